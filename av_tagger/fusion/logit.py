"""Fusion in the logit domain: what is seen moves the log-odds of what is heard, within limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion.scales import UNSEEN
from av_tagger.fusion.thresholds import Floats
from av_tagger.fusion.weighing import Weighing
from av_tagger.scores import Scores, Status

NEUTRAL_GAIN, NEUTRAL_AGAINST = 2.0, 0.0  # of a class that nothing was fitted for
CERTAIN = 1e-7  # probabilities are kept this far from 0 and 1
EVIDENCE = 0.05  # what is seen below counts as nothing seen, for the choice of a scale
LOOKED = (Status.OK, Status.DEGRADED)


@dataclass(frozen=True, eq=False)
class LogitFusion(Weighing):
    """logit(p_k) = logit(heard_k) + gain_k seen_k - against_k rival_k.

    `seen` is evidence from 0 to 1, NaN where there is none: that leaves what is heard as it is, so
    "not seen" is no "no". `rival` is by how much another class of the same family is seen better:
    a picture of an ambulance speaks against a police car. Rises with `heard` and with `seen`; the
    gain bounds what looking can do, so where the ear is near zero the eye alone makes no tag.
    Expects calibrated ears. Without an ear the eye decides, with its own thresholds.
    """

    gain: Floats = field(kw_only=True)  # (classes,) log-odds that full evidence adds
    against: Floats = field(kw_only=True)  # (classes,) log-odds that a rival in full view takes
    family: tuple[str, ...] = field(kw_only=True)  # classes of one family exclude each other

    def combine(self, heard: Floats, seen: Floats) -> Floats:
        moved = logit(heard) + shift(self, seen)
        fused: Floats = np.where(np.isfinite(heard), sigmoid(moved), seen)
        return fused

    def thresholds(self, heard: Scores, seen: Scores) -> NDArray[np.float64]:
        """`both` for every class that was heard, if the eye could look, whatever it found."""
        looked = np.array([seen.status in LOOKED])
        of_one = self._thresholds(heard.probabilities[None], seen.probabilities[None], looked)
        row: Floats = of_one[0]
        return row

    def decide(self, heard: Floats, seen: Floats) -> NDArray[np.bool_]:
        """Takes it that the eye could look at every clip."""
        looked = np.ones(len(heard), np.bool_)
        limits = self._thresholds(heard, seen, looked)
        said: NDArray[np.bool_] = self.scaled(heard, seen, looked) >= limits
        return said

    def _thresholds(self, heard: Floats, seen: Floats, looked: NDArray[np.bool_]) -> Floats:
        """(clips, classes), on the scale of the scores that they are compared with."""
        rows = self.row_of(heard, seen, looked)
        picked: Floats = self._limits[rows, np.arange(len(self.labels))]
        return picked

    @cached_property
    def _limits(self) -> Floats:
        """(rows, classes) thresholds, in the order of `scales.NAMES`."""
        both = self.rows.both
        split = self.scales is not None and self.scales.unseen
        unseen = self.scales.unseen_thresholds(both) if self.scales and split else both
        return np.stack([both, self.rows.ear, self.rows.eye, unseen])

    def row_of(self, heard: Floats, seen: Floats, looked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """3: heard, and looked for without any evidence, where that has a scale of its own."""
        split = self.scales is not None and self.scales.unseen
        both = np.where(or_zero(seen) < EVIDENCE, UNSEEN, 0) if split else 0
        return np.where(np.isfinite(heard), np.where(looked[:, None], both, 1), 2)


def shift(fusion: LogitFusion, seen: Floats) -> Floats:
    """(clips, classes) what looking adds to the log-odds; 0 without evidence."""
    evidence = or_zero(seen)
    moved: Floats = fusion.gain * evidence - fusion.against * rivals(evidence, fusion.family)
    return moved


def or_zero(scores: Floats) -> Floats:
    """0 for classes without a score: `np.nan_to_num` takes five times as long for so few."""
    return np.where(np.isnan(scores), 0.0, scores)


def rivals(evidence: Floats, family: tuple[str, ...]) -> Floats:
    """By how much another class of the same family is seen better; 0 without family."""
    surpassed = np.zeros_like(evidence)
    for mine in _members(tuple(family)):
        own = evidence[..., mine]
        surpassed[..., mine] = own.max(axis=-1, keepdims=True) - own
    return surpassed


@cache
def _members(family: tuple[str, ...]) -> list[NDArray[np.int64]]:
    """The classes of each family."""
    names = np.array(family, dtype=str)
    return [np.flatnonzero(names == name) for name in dict.fromkeys(family) if name]


def logit(probabilities: Floats) -> Floats:
    p = np.clip(probabilities, CERTAIN, 1 - CERTAIN)
    log_odds: Floats = np.log(p) - np.log1p(-p)
    return log_odds


def sigmoid(log_odds: Floats) -> Floats:
    small = np.exp(-np.abs(log_odds))  # cannot overflow
    probabilities: Floats = np.where(log_odds >= 0, 1.0, small) / (1.0 + small)
    return probabilities
