"""Labelled videos through the eye: the evidence for each of the 17 classes, kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip, Frames
from av_tagger.labels import dcase2017
from av_tagger.media import open_media
from av_tagger.protocols import DecodeRequest, VideoBranch
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eyes import load_eye

Floats = NDArray[np.float64]


def look(paths: Sequence[Path], kept: Path, settings: EyeSettings | None = None) -> Floats:
    """(videos, 17) evidence, NaN for none. What `kept` holds is not looked at again."""
    names = [path.name for path in paths]
    if kept.is_file():
        with np.load(kept) as stored:
            if list(stored["files"]) == names:
                found: Floats = stored["seen"]
                return found
    eye = load_eye(settings or EyeSettings(pictures=False), dcase2017())
    seen = np.stack([highest(eye, windows(path, eye.short_side)) for path in paths])
    np.savez(kept, files=names, seen=seen, eye=f"{eye.info.model}; {eye.info.weights}")
    return seen


def windows(path: Path, short_side: int) -> list[Frames]:
    """The pictures of a video in the windows in which the program would see it."""
    request = DecodeRequest(audio_rate=None, short_side=short_side)
    opened = (media.frames for media in open_media(Clip(path), request))
    return [frames for frames in opened if frames is not None and len(frames)]


def highest(eye: VideoBranch, frames: Sequence[Frames]) -> Floats:
    """(classes,) the best evidence in any window."""
    seen = [scores.probabilities for scores in eye.see(frames)]
    if not seen:
        return np.full(len(eye.labels), np.nan)
    best: Floats = np.fmax.reduce(np.stack(seen))
    return best
