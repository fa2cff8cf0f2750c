"""A decoder that crashes its process, or raises an error, when a file name asks for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.clip import Clip, Media, MediaInfo, Waveform
from av_tagger.errors import MediaError


class CrashingBackend:
    """One second of silence at 100 Hz."""

    name = "crashing"

    def probe(self, path: Path) -> MediaInfo:
        return MediaInfo(path, "fake", 1.0, None, None)

    def windows(self, clip: Clip, request: Any) -> Iterator[Media]:
        if "crash" in clip.path.stem:
            os.kill(os.getpid(), signal.SIGKILL)
        if "error" in clip.path.stem:
            raise MediaError(clip.path, "is broken")
        yield Media(clip, 0.0, 1.0, Waveform(np.zeros(100, np.float32), 100), None)


def make_backend(name: str, allocate: Any) -> CrashingBackend:
    return CrashingBackend()
