"""Opens a clip: one waveform and one run of frames for each window, whatever the file does."""

from __future__ import annotations

from av_tagger.media.backend import BACKENDS, DEFAULT, make_backend
from av_tagger.media.find import find_media
from av_tagger.media.guard import (
    GuardedWorker,
    close_workers,
    open_backend,
    open_media,
    probe,
    warm_up,
)

__all__ = [
    "BACKENDS",
    "DEFAULT",
    "GuardedWorker",
    "close_workers",
    "find_media",
    "make_backend",
    "open_backend",
    "open_media",
    "probe",
    "warm_up",
]
