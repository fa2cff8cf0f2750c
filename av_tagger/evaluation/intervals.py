"""Confidence intervals by bootstrap over recordings: clips of one recording are drawn together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.dcase import parse_name

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

REPLICATES = 1000
FEWEST = 10  # recordings (of a class: with it) below which the bootstrap is too narrow: no interval
MOST_NUMBERS = 4_000_000  # of one block of replicates, in memory


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval; NaN bounds where there are too few recordings."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}" + ("" if math.isnan(self.low) else f" {self.bounds}")

    @property
    def bounds(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def as_json(self) -> list[float]:
        return [self.low, self.high]


@dataclass(frozen=True)
class Resamples:
    """Draws of recordings with replacement: how often each counts in each replicate."""

    groups: tuple[str, ...]  # the recording of each clip
    replicates: int = REPLICATES
    confidence: float = 0.95
    seed: int = 0

    @cached_property
    def member(self) -> Ints:
        """(clips,) index of the recording."""
        found: Ints = np.unique(np.array(self.groups, dtype=str), return_inverse=True)[1]
        return found

    @property
    def recordings(self) -> int:
        return int(self.member.max(initial=-1)) + 1

    @cached_property
    def draws(self) -> Ints:
        """(replicates, recordings)."""
        count = self.recordings
        rng = np.random.default_rng(self.seed)
        drawn: Ints = rng.multinomial(count, np.full(count, 1 / count), size=self.replicates)
        return drawn

    def sums(self, values: NDArray[Any]) -> Floats:
        """(clips, ...) to (replicates, ...): sums over the drawn clips."""
        by_group = np.zeros((self.recordings, *values.shape[1:]))
        np.add.at(by_group, self.member, values)
        return np.tensordot(self.draws.astype(np.float64), by_group, axes=1)

    def interval(self, value: float, replicates: Floats, recordings: int | None = None) -> Interval:
        """Percentiles of the replicates; none with fewer than 10 recordings."""
        count = self.recordings if recordings is None else recordings
        known = replicates[np.isfinite(replicates)]
        if count < FEWEST or not len(known) or math.isnan(value):
            return Interval(value, math.nan, math.nan)
        tail = 50 * (1 - self.confidence)
        low, high = np.percentile(known, (tail, 100 - tail))
        return Interval(value, float(low), float(high))

    def having(self, truth: Bools) -> Ints:
        """(classes,) recordings that hold each class."""
        table = np.zeros((self.recordings, truth.shape[1]), np.bool_)
        np.logical_or.at(table, self.member, truth)
        counted: Ints = table.sum(0)
        return counted


def recordings_of(names: Sequence[str], known: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The recording of each clip: as known, or the video's id where the name has one."""
    told = known or {}
    return tuple(
        told.get(name) or (parsed.id if (parsed := parse_name(name)) else name) for name in names
    )


@dataclass(frozen=True)
class ResampledF1:
    """F1 of decisions in every replicate."""

    micro: Floats  # (replicates,)
    macro: Floats  # (replicates,) of mean precision and mean recall
    classes: Floats  # (replicates, classes)


def resampled_f1(said: Bools, truth: Bools, draws: Resamples) -> ResampledF1:
    right, predicted, positives = (draws.sums(x) for x in (said & truth, said, truth))
    occurs = predicted + positives > 0
    precision, recall = (_mean(_ratio(right, below), occurs) for below in (predicted, positives))
    return ResampledF1(
        _ratio(2 * right.sum(1), (predicted + positives).sum(1)),
        _ratio(2 * precision * recall, precision + recall),
        _ratio(2 * right, predicted + positives),
    )


def resampled_ap(scores: Floats, truth: Bools, draws: Resamples) -> Floats:
    """(replicates, classes) average precision; NaN where no positive was drawn."""
    columns = [_ap(scores[:, k], truth[:, k], draws) for k in range(truth.shape[1])]
    return np.stack(columns, axis=1)


def mean_over_classes(values: Floats) -> Floats:
    """(replicates,) mean over the classes that are defined."""
    return _mean(np.nan_to_num(values), np.isfinite(values))


def _ap(scores: Floats, truth: Bools, draws: Resamples) -> Floats:
    """As `av_tagger.metrics.average_precision`, with the draws as weights."""
    s = np.where(np.isfinite(scores), scores, -np.inf)
    order = np.argsort(-s, kind="stable")
    s, y, member = s[order], truth[order], draws.member[order]
    last = np.flatnonzero(np.append(s[1:] != s[:-1], len(s) > 0))
    block = max(1, MOST_NUMBERS // max(1, len(s)))
    found = [
        _weighted_ap(draws.draws[at : at + block][:, member], y, last)
        for at in range(0, draws.replicates, block)
    ]
    return np.concatenate(found)


def _weighted_ap(weights: Ints, truth: Bools, last: Ints) -> Floats:
    hits = np.cumsum(weights * truth, axis=1)[:, last]
    predicted = np.cumsum(weights, axis=1)[:, last]
    added = np.diff(hits, axis=1, prepend=0)
    positives = hits[:, -1]
    total = (added * _ratio(hits, predicted)).sum(1)
    return np.where(positives > 0, total / np.maximum(positives, 1), np.nan)


def _mean(values: Floats, counts: Bools) -> Floats:
    return _ratio(np.where(counts, values, 0.0).sum(1), counts.sum(1))


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    a, b = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b > 0)
