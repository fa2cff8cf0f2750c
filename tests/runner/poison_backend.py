"""A backend for the decoding process that does to it what a file's name says (imports little: its start counts as decoding)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.clip import Clip, Media, MediaInfo, Waveform


class Poison:
    name = "poison"

    def probe(self, path: Path) -> MediaInfo:
        return MediaInfo(path, "fake", 1.0, None, None)

    def windows(self, clip: Clip, request: Any) -> Iterator[Media]:
        yield Media(clip, 0.0, 1.0, Waveform(np.zeros(100, np.float32), 100), None)
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
