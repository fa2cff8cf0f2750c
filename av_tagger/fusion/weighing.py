"""Fusions of ear and eye per class, with threshold rows for both, ear alone and eye alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.fusion.joint import weigh
from av_tagger.fusion.scales import Scales
from av_tagger.scores import Scores, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from av_tagger.fusion.thresholds import Floats

NEUTRAL_WEIGHT = 0.5
NEUTRAL_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Thresholds:
    """(classes,) each: with scores of both, of the ear only, of the eye only."""

    both: Floats
    ear: Floats
    eye: Floats

    @classmethod
    def neutral(cls, classes: int) -> Thresholds:
        return cls(*(np.full(classes, NEUTRAL_THRESHOLD) for _ in range(3)))

    def pick(self, heard: Floats, seen: Floats) -> Floats:
        """The row that fits, class by class; works on one clip and on many."""
        hears, sees = np.isfinite(heard), np.isfinite(seen)
        picked: Floats = np.where(
            hears & ~sees, self.ear, np.where(sees & ~hears, self.eye, self.both)
        )
        return picked


@dataclass(frozen=True, eq=False)
class Weighing:
    """Base class: where one branch has no score for a class, the other decides alone."""

    labels: tuple[str, ...]
    rows: Thresholds
    neutral: tuple[str, ...] = field(
        default=(), kw_only=True
    )  # classes that nothing is known of: even-handed, threshold one half
    note: str = field(default="", kw_only=True)
    fitted_ear: str = field(default="", kw_only=True)  # as results name it; empty: for any
    fitted_eye: str = field(default="", kw_only=True)
    scales: Scales | None = field(default=None, kw_only=True)  # calibration of the fused scores

    def combine(self, heard: Floats, seen: Floats) -> Floats:
        """(clips, classes) fused; NaN only where neither has an opinion."""
        raise NotImplementedError

    def fuse(self, heard: Sequence[Scores], seen: Sequence[Scores]) -> list[Scores]:
        pairs = list(zip(heard, seen, strict=True))
        if not pairs:
            return []
        for branch in (s for pair in pairs for s in pair):
            if branch.labels != self.labels:
                raise ValueError(
                    "ear, eye and fusion know the same classes in the same order: "
                    f"{branch.labels = }, {self.labels = }"
                )
        tables = [np.array([branch.probabilities for branch in side]) for side in (heard, seen)]
        looked = np.array([s.status in (Status.OK, Status.DEGRADED) for s in seen])
        fused = self.scaled(tables[0], tables[1], looked)
        return [_scores(h, s, row) for (h, s), row in zip(pairs, fused, strict=True)]

    def scaled(self, heard: Floats, seen: Floats, looked: NDArray[np.bool_]) -> Floats:
        """(clips, classes) fused and calibrated; `looked` (clips,): the eye had pictures."""
        fused = self.combine(heard, seen)
        if self.scales is None:
            return fused
        return self.scales.apply(fused, self.row_of(heard, seen, looked))

    def row_of(self, heard: Floats, seen: Floats, looked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(clips, classes) which row decides: 0 both, 1 ear, 2 eye."""
        del looked  # the eye's scores tell
        hears, sees = np.isfinite(heard), np.isfinite(seen)
        return np.where(hears & ~sees, 1, np.where(sees & ~hears, 2, 0))

    def thresholds(self, heard: Scores, seen: Scores) -> NDArray[np.float64]:
        return self.rows.pick(heard.probabilities, seen.probabilities)

    def decide(self, heard: Floats, seen: Floats) -> NDArray[np.bool_]:
        """(clips, classes) which tags come out."""
        looked = np.ones(len(heard), np.bool_)
        said: NDArray[np.bool_] = self.scaled(heard, seen, looked) >= self.rows.pick(heard, seen)
        return said

    def with_thresholds(
        self, both: Floats | None = None, ear: Floats | None = None, eye: Floats | None = None
    ) -> Weighing:
        """The same weighing with other threshold rows, such as those that an ear's weights file
        holds.
        """
        rows = self.rows
        new = Thresholds(
            *(
                old if row is None else row
                for old, row in ((rows.both, both), (rows.ear, ear), (rows.eye, eye))
            )
        )
        return replace(self, rows=new)


@dataclass(frozen=True, eq=False)
class WeightedFusion(Weighing):
    """p_k = a_k heard_k + (1 - a_k) seen_k (AV §2.3)."""

    weights: Floats = field(kw_only=True)  # (classes,) a_k, the ear's

    def combine(self, heard: Floats, seen: Floats) -> Floats:
        return weigh(heard, seen, self.weights)


@dataclass(frozen=True, eq=False)
class StackedFusion(Weighing):
    """A logistic regression per class on both scores."""

    ear: Floats = field(kw_only=True)  # (classes,) coefficients
    eye: Floats = field(kw_only=True)
    intercept: Floats = field(kw_only=True)

    def combine(self, heard: Floats, seen: Floats) -> Floats:
        both = np.isfinite(heard) & np.isfinite(seen)
        log_odds = np.where(both, self.ear * heard + self.eye * seen + self.intercept, 0.0)
        stacked = np.where(log_odds >= 0, 1.0, np.exp(-np.abs(log_odds))) / (
            1.0 + np.exp(-np.abs(log_odds))
        )  # cannot overflow
        fused: Floats = np.where(both, stacked, weigh(heard, seen, NEUTRAL_WEIGHT))
        return fused


@dataclass(frozen=True, eq=False)
class MaxFusion(Weighing):
    """The more convinced of the two."""

    def combine(self, heard: Floats, seen: Floats) -> Floats:
        fused: Floats = np.fmax(heard, seen)
        return fused


@dataclass(frozen=True, eq=False)
class EarOnly(Weighing):
    """What was heard; the eye is asked only where the ear has no opinion."""

    def combine(self, heard: Floats, seen: Floats) -> Floats:
        return weigh(heard, seen, 1.0)


@dataclass(frozen=True, eq=False)
class EyeOnly(Weighing):
    """What was seen; the ear is asked only where the eye has no opinion."""

    def combine(self, heard: Floats, seen: Floats) -> Floats:
        return weigh(heard, seen, 0.0)


def _scores(heard: Scores, seen: Scores, fused: Floats) -> Scores:
    """The fused scores keep the ear's timeline and the eye's evidence."""
    return Scores(
        heard.labels, fused, _status(heard, seen), heard.activity, seen.evidence, seen.keyframes
    )


def _status(heard: Scores, seen: Scores) -> Status:
    """Degraded when a branch with scores was; a missing branch has its own status."""
    scored = [s.status for s in (heard, seen) if s.has_opinion]
    if not scored:
        return heard.status if heard.status is not Status.OFF else seen.status
    return Status.DEGRADED if Status.DEGRADED in scored else Status.OK
