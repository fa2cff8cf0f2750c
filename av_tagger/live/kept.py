"""Ears and eyes that compute each frame of a stream once: what overlapping windows share is kept.

Results are kept by the content of what they were computed from, so a window gets the scores that
the ear or eye gives it without memory.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.frame_times import TIMELINE_RATE
from av_tagger.clip import Frames
from av_tagger.live.memory import Kept, chunk_of
from av_tagger.live.threads import exported_parts
from av_tagger.protocols import AudioBranch, FrameFeatures, Recogniser, VideoBranch
from av_tagger.scores import BranchInfo

T = TypeVar("T")

LONGEST_GRID = 4.8  # seconds between window starts; ears without a common grid share no frames
USUAL_GRID = 1.0


def kept_ear(ear: AudioBranch) -> AudioBranch:
    """The same ear for a stream; ears of other kinds are returned as they are."""
    if not _torch_is_loaded():
        return ear
    from av_tagger.audio.branch import MilEar
    from av_tagger.audio.combined import CombinedEar
    from av_tagger.audio.ensemble import EnsembleEar
    from av_tagger.audio.known.ear import KnownEar
    from av_tagger.live.kept_networks import kept_known, kept_trained

    if isinstance(ear, CombinedEar):
        return CombinedEar([kept_ear(part) for part in ear.parts], ear.calibration)
    if isinstance(ear, EnsembleEar):
        return EnsembleEar([kept_ear(m) for m in ear.members], ear.ensemble, ear.header)
    if isinstance(ear, KnownEar):
        return kept_known(ear)
    return kept_trained(ear) if isinstance(ear, MilEar) else ear


def kept_eye(eye: VideoBranch) -> VideoBranch:
    """The same eye for a stream: features per frame and objects per picture are kept."""
    from av_tagger.video.branch import SparseEye

    if not isinstance(eye, SparseEye):
        return eye
    twin = copy.copy(eye)
    recogniser = eye.parts.recogniser
    twin.parts = replace(
        eye.parts,
        features=KeptFeatures(eye.parts.features),
        recogniser=None if recogniser is None else KeptRecogniser(recogniser),
    )
    return twin


class KeptFeatures:
    """`FrameFeatures` that describe each frame once."""

    def __init__(self, inner: FrameFeatures, most: int = 64) -> None:
        self.inner, self.name = inner, inner.name
        self.how = getattr(inner, "how", None)
        self.kept: Kept[Any] = Kept(most)

    def describe(self, clips: Sequence[Frames]) -> list[Any]:
        import torch

        return [torch.stack(self._rows(clip)) for clip in clips]

    def _rows(self, clip: Frames) -> list[Any]:
        def compute(rows: list[int]) -> list[Any]:
            some = Frames(clip.images[rows], clip.times[rows], 0, clip.luma)
            (described,) = self.inner.describe([some])
            return list(described)

        return self.kept.all(list(clip.images), compute)


class KeptRecogniser:
    """A `Recogniser` that looks at each picture once."""

    def __init__(self, inner: Recogniser, most: int = 32) -> None:
        self.inner = inner
        self.how = getattr(inner, "how", None)
        self.kept: Kept[NDArray[np.float32]] = Kept(most)

    @property
    def objects(self) -> tuple[str, ...]:
        return self.inner.objects

    @property
    def info(self) -> BranchInfo:
        return self.inner.info

    def recognise(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        def compute(positions: list[int]) -> list[NDArray[np.float32]]:
            return list(self.inner.recognise([images[i] for i in positions]))

        return np.stack(self.kept.all(images, compute))


def grid_of(ear: AudioBranch | None) -> tuple[float, float]:
    """Seconds between window starts that keep what ears keep in place; their longest frame."""
    parts = _grids(ear)
    if not parts:
        return USUAL_GRID, 0.1
    together = float(_common([grid for grid, _ in parts]))
    grid = together * max(1, round(USUAL_GRID / together))
    longest = float(max(frame for _, frame in parts))
    return (grid if grid <= LONGEST_GRID else USUAL_GRID), longest


def _common(grids: Sequence[Fraction]) -> Fraction:
    """The least common multiple."""
    bottom = math.lcm(*(g.denominator for g in grids))
    return Fraction(math.lcm(*(int(g * bottom) for g in grids)), bottom)


def _torch_is_loaded() -> bool:
    """Without it there are no ears of torch, and none of it is loaded to ask."""
    return "torch" in sys.modules


def _grids(ear: AudioBranch | None) -> list[tuple[Fraction, Fraction]]:
    """Grid and frame of each part, in seconds."""
    exported = [Fraction(e.facts.frame_rate).limit_denominator(1000) for e in exported_parts(ear)]
    if exported or not _torch_is_loaded():
        return [(1 / rate, 1 / rate) for rate in exported]
    from av_tagger.audio.branch import MilEar
    from av_tagger.audio.combined import CombinedEar
    from av_tagger.audio.ensemble import EnsembleEar
    from av_tagger.audio.known.ear import KnownEar

    if isinstance(ear, CombinedEar | EnsembleEar):
        parts = ear.parts if isinstance(ear, CombinedEar) else ear.members
        return [pair for part in parts for pair in _grids(part)]
    if isinstance(ear, KnownEar):
        frame = Fraction(ear.family.frames.hop).limit_denominator(1000)
        return [(_common([frame, 1 / Fraction(TIMELINE_RATE)]), frame)]
    if isinstance(ear, MilEar):
        frame = Fraction(ear.instance_samples, ear.rate)
        return [(frame * chunk_of(ear), frame)]
    return []
