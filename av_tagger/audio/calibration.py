"""How scores of one or more ears become calibrated probabilities, and the thresholds for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError

POINTS = ("f1", "precision")  # operating points: best F1, and few false tags

HEAD = "head: "  # before the labels of the columns that a part's extra head adds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Scores that take part: those of an ear, or of the extra head on its embeddings."""

    part: int  # index into `Calibration.parts`
    head: bool = False


@dataclass(frozen=True, eq=False)
class EmbeddingHead:
    """A linear layer on the embeddings of one part, one row per class of `labels`."""

    labels: tuple[str, ...]
    weight: NDArray[np.float32]  # (labels, width)
    bias: NDArray[np.float32]  # (labels,)


@dataclass(frozen=True)
class CalibrationNotes:
    """What the file says of itself."""

    licence: str = ""
    made: str = ""  # from which data, by which command
    notes: dict[str, Any] = field(default_factory=dict)  # measured figures


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the scores of one or more ears become one calibrated probability per class.

    `logit(p) = bias + sum over sources of weight * log(odds + floor)`. The floor makes every
    probability far below it mean the same plain "no".
    """

    parts: tuple[str, ...]  # names of the ears
    labels: tuple[str, ...]
    sources: tuple[Source, ...]
    weights: Floats  # (sources, labels); 0: this source does not know the class
    bias: Floats  # (labels,)
    thresholds: Mapping[str, Floats]  # by operating point, (labels,)
    floor: float = 3e-3
    head: EmbeddingHead | None = None
    about: CalibrationNotes = field(default_factory=CalibrationNotes)

    def __post_init__(self) -> None:
        shape = (len(self.sources), len(self.labels))
        if self.weights.shape != shape or self.bias.shape != shape[1:]:
            raise ValueError(f"{self.weights.shape = }, {self.bias.shape = }, expected {shape = }")
        if set(self.thresholds) != set(POINTS):
            raise ValueError(f"the operating points are {POINTS}, not {tuple(self.thresholds)}")
        if any(row.shape != shape[1:] for row in self.thresholds.values()):
            raise ValueError("a row of thresholds needs one number per class")
        if any(not 0 <= s.part < len(self.parts) for s in self.sources):
            raise ValueError(f"a source names a part that is not there: {self.sources = }")

    @property
    def name(self) -> str:
        return "+".join(self.parts)

    @property
    def digest(self) -> str:
        """Changes with any number of the calibration."""
        arrays: list[NDArray[Any]] = [self.weights, self.bias]
        arrays += [self.thresholds[point] for point in POINTS]
        arrays += [] if self.head is None else [self.head.weight, self.head.bias]
        data = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
        return hashlib.sha256(data).hexdigest()[:12]

    def combine(self, scores: Sequence[NDArray[np.floating]]) -> Floats:
        """Probabilities per source, (..., labels) each, to calibrated probabilities."""
        logits = self.bias + sum(
            w * floored_logit(p, self.floor) for w, p in zip(self.weights, scores, strict=True)
        )
        return sigmoid(np.asarray(logits, np.float64))


def floored_logit(probabilities: NDArray[np.floating], floor: float) -> Floats:
    """log(odds + floor); a class that a source does not know (NaN) counts as probability 0."""
    p = np.clip(np.nan_to_num(probabilities.astype(np.float64)), 0.0, 1 - 1e-7)
    return np.asarray(np.log(p / (1 - p) + floor), np.float64)


def sigmoid(x: Floats) -> Floats:
    """Without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def logit(p: Floats) -> Floats:
    q = np.clip(p, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(q / (1 - q)), np.float64)


def joined(calibrations: Sequence[Calibration]) -> Calibration:
    """A combination that has no file of its own: the mean of the parts' calibrated logits.

    Each class counts the parts that know it; thresholds are averaged in the logit domain.
    """
    labels = tuple(dict.fromkeys(label for c in calibrations for label in c.labels))
    knows = np.array([[label in c.labels for label in labels] for c in calibrations])
    share = knows / knows.sum(axis=0)  # (calibrations, labels)
    rows = [_spread(c, labels) for c in calibrations]
    heads = [c.head for c in calibrations if c.head is not None]
    if len(heads) > 1:
        raise UsageError("two of these ears have a head of their own; name another combination")
    first = np.cumsum([0, *(len(c.parts) for c in calibrations)])
    return Calibration(
        parts=tuple(part for c in calibrations for part in c.parts),
        labels=labels,
        sources=tuple(
            replace(s, part=s.part + int(at))
            for c, at in zip(calibrations, first, strict=False)
            for s in c.sources
        ),
        weights=np.concatenate([s * row.weights for s, row in zip(share, rows, strict=True)]),
        bias=np.sum([s * row.bias for s, row in zip(share, rows, strict=True)], axis=0),
        thresholds={
            point: sigmoid(
                np.sum(
                    [s * logit(r.thresholds[point]) for s, r in zip(share, rows, strict=True)],
                    axis=0,
                )
            )
            for point in POINTS
        },
        floor=calibrations[0].floor,
        head=heads[0] if heads else None,
    )


def _spread(calibration: Calibration, labels: tuple[str, ...]) -> Calibration:
    """The same over more classes, with zeros (thresholds: one half) for those it does not know."""
    columns = column_of(labels, calibration.labels)

    def wider(values: Floats, missing: float = 0.0) -> Floats:
        return np.where(columns >= 0, values[..., columns], missing)

    return replace(
        calibration,
        labels=labels,
        weights=wider(calibration.weights),
        bias=wider(calibration.bias),
        thresholds={k: wider(v, 0.5) for k, v in calibration.thresholds.items()},
    )


def column_of(wanted: Sequence[str], have: Sequence[str]) -> NDArray[np.int64]:
    """For each wanted label its column among `have`, -1 where it is missing."""
    position = {label: k for k, label in enumerate(have)}
    return np.array([position.get(label, -1) for label in wanted], np.int64)
