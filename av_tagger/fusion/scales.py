"""Scales: one rising curve per class that turns fused scores into calibrated probabilities.

A fusion file holds them in readable form, for each row of thresholds: `both_scale`, `ear_scale` and
`eye_scale`; and `unseen_scale` for what was heard while the eye looked and found no evidence (by
default as `both_scale`). Each is either `[slope, intercept]` of the log-odds (Platt scaling) or
`[[score, probability], ...]`, linear between the points (isotonic regression). A class without one
keeps its scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import WeightsError, sentence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS = ("both", "ear", "eye")
UNSEEN = len(ROWS)  # index of the row without evidence, which has no thresholds of its own
NAMES = (*ROWS, "unseen")
KEYS = tuple(f"{row}_scale" for row in NAMES)
CERTAIN = 1e-7  # probabilities are kept this far from 0 and 1
LARGEST = 1e6


@dataclass(frozen=True)
class ScoreScale:
    """`points`: (score, probability) pairs, both rising; or none: Platt scaling."""

    slope: float = 1.0
    intercept: float = 0.0
    points: tuple[tuple[float, float], ...] = ()

    def __call__(self, scores: Floats) -> Floats:
        """NaN stays NaN. A scale of slope 1 and intercept 0 changes nothing."""
        if self.changes_nothing:
            return scores
        if self.points:
            x, y = np.array(self.points, np.float64).T
            mapped: Floats = np.interp(scores, x, y)
            return np.where(np.isfinite(scores), mapped, np.nan)
        return _platt(scores, self.slope, self.intercept)

    def inverse(self, probabilities: Floats) -> Floats:
        """The scores of these probabilities."""
        if self.changes_nothing:
            return probabilities
        if self.points:
            x, y = np.array(self.points, np.float64).T
            scores: Floats = np.interp(probabilities, y, x)
            return scores
        slope = 1.0 / self.slope
        return ScoreScale(slope, -self.intercept * slope)(probabilities)

    @property
    def changes_nothing(self) -> bool:
        return not self.points and (self.slope, self.intercept) == (1.0, 0.0)

    def as_list(self) -> list[Any]:
        return [list(p) for p in self.points] if self.points else [self.slope, self.intercept]


def _platt(scores: Floats, slope: Floats | float, intercept: Floats | float) -> Floats:
    """A line on the log-odds of the scores; NaN stays NaN."""
    p = np.clip(scores, CERTAIN, 1 - CERTAIN)
    z = slope * (np.log(p) - np.log1p(-p)) + intercept
    small = np.exp(-np.abs(z))
    scaled: Floats = np.where(z >= 0, 1.0, small) / (1.0 + small) + 0.0 * scores
    return scaled


class _Curves:
    """The scales of one row, as arrays over the classes: one call scales all of them."""

    def __init__(self, scales: Sequence[ScoreScale | None]) -> None:
        moved = [(k, s) for k, s in enumerate(scales) if s is not None and not s.changes_nothing]
        self.moves = bool(moved)  # any score
        lines = [(k, s) for k, s in moved if not s.points]
        self.isotonic = [(k, s) for k, s in moved if s.points]
        self.columns = [k for k, _ in lines]
        self.slope = np.array([s.slope for _, s in lines])
        self.intercept = np.array([s.intercept for _, s in lines])

    def __call__(self, scores: Floats) -> Floats:
        out = scores.copy()
        lines = np.ascontiguousarray(scores[..., self.columns])
        out[..., self.columns] = _platt(lines, self.slope, self.intercept)
        for k, scale in self.isotonic:
            out[..., k] = scale(scores[..., k])
        return out


@dataclass(frozen=True)
class Scales:
    """Per row of thresholds, per class: a scale, or None to keep the scores."""

    both: tuple[ScoreScale | None, ...] = field(default=())
    ear: tuple[ScoreScale | None, ...] = field(default=())
    eye: tuple[ScoreScale | None, ...] = field(default=())
    unseen: tuple[ScoreScale | None, ...] = field(default=())

    def apply(self, scores: Floats, rows: Ints) -> Floats:
        """`scores` (clips, classes), `rows` the same shape: index into NAMES."""
        out = scores
        for r, curves in enumerate(self._curves):
            mine = rows == r
            if curves.moves and mine.any():
                out = np.where(mine, curves(scores), out)
        return out.copy() if out is scores else out

    @cached_property
    def _curves(self) -> tuple[_Curves, ...]:
        return tuple(_Curves(getattr(self, name)) for name in NAMES)

    def thresholds(self, row: str, values: Floats) -> Floats:
        """Thresholds on the new scale; those above 1 (never) stay."""
        out = values.copy()
        for k, scale in enumerate(getattr(self, row)):
            if scale is not None and values[k] <= 1:
                out[k] = scale(values[k : k + 1])[0]
        return out

    def unseen_thresholds(self, both: Floats) -> Floats:
        """Thresholds of the row `both` on the scale without evidence."""
        out = both.copy()
        for k, (one, other) in enumerate(zip(self.both, self.unseen, strict=True)):
            if both[k] <= 1:
                score = both[k : k + 1] if one is None else one.inverse(both[k : k + 1])
                out[k] = (score if other is None else other(score))[0]
        return out

    def columns(self, k: int) -> dict[str, list[Any]]:
        """What a fusion file says of class k."""
        found = {f"{row}_scale": getattr(self, row) for row in NAMES}
        return {key: s[k].as_list() for key, s in found.items() if len(s) > k and s[k] is not None}


def read_scales(
    path: Path, rows: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> Scales | None:
    """From the classes of a fusion file; None if no class has a scale."""
    by_label = {str(row.get("label")): row for row in rows}
    columns = {
        row: tuple(_scale(path, label, key, by_label.get(label, {}).get(key)) for label in labels)
        for row, key in zip(NAMES, KEYS, strict=True)
    }
    if not any(columns["unseen"]):
        columns["unseen"] = ()
    return Scales(**columns) if any(s for c in columns.values() for s in c) else None


def _scale(path: Path, label: str, key: str, value: object) -> ScoreScale | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) < 2:
        raise _wrong(path, label, key, "is not a list")
    if all(_is_number(v) for v in value) and len(value) == 2:
        if value[0] <= 0:
            raise _wrong(path, label, key, "does not rise")
        return ScoreScale(float(value[0]), float(value[1]))
    if not all(isinstance(p, list) and len(p) == 2 and all(map(_is_number, p)) for p in value):
        raise _wrong(path, label, key, "has something other than numbers")
    points = tuple((float(x), float(y)) for x, y in value)
    rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(points))
    if not rising or not all(0 <= v <= 1 for p in points for v in p):
        raise _wrong(path, label, key, "does not rise within 0 and 1")
    return ScoreScale(points=points)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < LARGEST


def _wrong(path: Path, label: str, key: str, what: str) -> WeightsError:
    remedy = "write [slope, intercept] with a slope above 0, or rising [score, probability] pairs"
    return WeightsError(sentence(path, f"{key!r} of class {label!r} {what}", remedy))
