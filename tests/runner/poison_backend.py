"""A backend for the decoding process that does to it what a file's name says."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fakes import window

from av_tagger.clip import Clip, Media, MediaInfo


class Poison:
    name = "poison"

    def probe(self, path: Path) -> MediaInfo:
        return MediaInfo(path, "fake", 1.0, None, None)

    def windows(self, clip: Clip, want: Any) -> Iterator[Media]:
        yield window(clip)
        match clip.path.stem.rstrip("0123456789"):
            case "hang":
                threading.Event().wait()
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "memory":
                np.zeros(1 << 62, np.uint8)
            case "error":
                raise ZeroDivisionError("a defect of the decoder")


def make(name: str, allocate: Any) -> Poison:
    return Poison()
