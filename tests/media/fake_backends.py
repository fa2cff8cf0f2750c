"""Backends that misbehave, for the guard: they hang, crash, and run out of memory when asked by name."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.clip import Clip, Frames, Media, MediaInfo, Waveform
from av_tagger.errors import MediaError
from av_tagger.media.windows import Allocate


class Fake:
    def __init__(self, name: str, allocate: Allocate) -> None:
        self.name, self.allocate = name, allocate

    def probe(self, path: Path) -> MediaInfo:
        return MediaInfo(path, "fake", 1.0, None, None)

    def windows(self, clip: Clip, request: Any) -> Iterator[Media]:
        for number in range(3):
            yield self.window(clip, number)
            self.misbehave(clip)

    def window(self, clip: Clip, number: int) -> Media:
        images = self.allocate((2, 4, 6, 3))
        images[...] = number + 1
        elsewhere = np.full((2, 4, 6, 3), number + 1, np.uint8)
        frames = Frames(elsewhere if self.name == "copied" else images, np.array([0.0, 0.5]))
        return Media(
            clip,
            float(number),
            number + 1.0,
            Waveform(np.full(5, number, np.float32), 5),
            frames,
            (str(os.getpid()),),
        )

    def misbehave(self, clip: Clip) -> None:
        match self.name:
            case "hang":
                threading.Event().wait()
            case "hang with lock":
                ctypes.PyDLL(None).sleep(60)  # PyDLL keeps the interpreter's lock
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                os._exit(3)
            case "memory":
                np.zeros(1 << 62, np.uint8)
            case "error":
                raise MediaError(clip.path, "is haunted", "call a priest")


def make(name: str, allocate: Allocate) -> Fake:
    return Fake(name, allocate)


def add(left: int, right: int) -> int:
    return left + right


def is_loaded(module: str) -> bool:
    return module in sys.modules
