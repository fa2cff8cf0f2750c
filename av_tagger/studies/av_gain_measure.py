"""The fusion-gain study: fit on one half of the clips, measure on the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion import WeightedFusion, load_fusion
from av_tagger.fusion.fit import DevelopmentScores, FitSettings, FusionFitter
from av_tagger.fusion.joint import weigh
from av_tagger.metrics import Counts
from av_tagger.studies.av_gain_clips import SHOWS
from av_tagger.studies.sound_manifest import LABELS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WAYS = ("heard", "seen", "paper weights", "paper rule", "fitted")


@dataclass(frozen=True)
class HeldOutHalf:
    """Fitted on one half of the clips, counted on the other."""

    counts: Mapping[str, Counts]  # by way
    by_kind: Mapping[str, Mapping[str, Counts]]  # by kind of sound, then by way
    weights: Floats  # fitted weight of the ear
    trusts_eye: Bools  # paper rule: the eye was better than the ear on the fitted half


def measure(
    table: DevelopmentScores, halves: NDArray[np.int64], kinds: Mapping[str, Bools]
) -> list[HeldOutHalf]:
    """Both directions: each half once for fitting and once for measuring."""
    return [_measure_one(table, halves == half, halves != half, kinds) for half in (0, 1)]


def _measure_one(
    table: DevelopmentScores, fit: Bools, held: Bools, kinds: Mapping[str, Bools]
) -> HeldOutHalf:
    mine, other = table.rows(fit), table.rows(held)
    shares = weights_of(mine)
    decisions = {way: decided(mine, other, share) for way, share in shares.items()}
    counts = {way: Counts.of(found, other.truth) for way, found in decisions.items()}
    by_kind = {
        kind: {
            way: Counts.of(found[which[held]], other.truth[which[held]])
            for way, found in decisions.items()
        }
        for kind, which in kinds.items()
    }
    return HeldOutHalf(counts, by_kind, shares["fitted"], shares["paper rule"] < 0.5)


def weights_of(mine: DevelopmentScores) -> dict[str, Floats]:
    """The weight of the ear in every class, by way."""
    paper = load_fusion("paper", LABELS)
    assert isinstance(paper, WeightedFusion)
    ones, by_rule, jointly = np.ones(len(LABELS)), _fit(mine, "paper-rule"), _fit(mine, "joint")
    return dict(zip(WAYS, (ones, 0 * ones, paper.weights, by_rule, jointly), strict=True))


def _fit(mine: DevelopmentScores, method: str) -> Floats:
    fitter = FusionFitter(FitSettings(method)).fit(mine.heard, mine.seen, mine.truth, LABELS)
    assert isinstance(fitter.fusion_, WeightedFusion)
    return fitter.fusion_.weights


def decided(mine: DevelopmentScores, other: DevelopmentScores, share: Floats) -> Bools:
    """Decisions on the other half; thresholds are fitted in the same way for all weights."""
    fused, silent = weigh(mine.heard, mine.seen, share), np.full(mine.heard.shape, np.nan)
    fitter = FusionFitter(FitSettings("ear")).fit(fused, silent, mine.truth, LABELS)
    return fitter.predict(weigh(other.heard, other.seen, share), np.full(other.heard.shape, np.nan))


def summary(results: Sequence[HeldOutHalf]) -> dict[str, Any]:
    """Means and spreads over all fits; classes are counted over all fits together."""
    f1 = {way: np.array([half.counts[way].f1 for half in results]) for way in WAYS}
    pooled = {way: Counts.pooled([half.counts[way] for half in results]) for way in WAYS}
    kinds = {
        kind: {way: Counts.pooled([half.by_kind[kind][way] for half in results]).f1 for way in WAYS}
        for kind in results[0].by_kind
    }
    return {
        "fits": len(results),
        "micro_f1": {way: _spread(values) for way, values in f1.items()},
        "gain": {way: _spread(f1[way] - f1["heard"]) for way in WAYS[1:]},
        "micro_f1_by_sound": kinds,
        "classes": {label: _class_row(k, pooled, results) for k, label in enumerate(LABELS)},
    }


def _class_row(
    k: int, pooled: Mapping[str, Counts], results: Sequence[HeldOutHalf]
) -> dict[str, Any]:
    deals = len(results) // 2  # each measures every clip once
    return {
        "clips": int(pooled["heard"].positives[k]) // deals,
        **{way: float(pooled[way].class_f1[k]) for way in WAYS},
        "ear_weight": float(np.mean([half.weights[k] for half in results])),
        "trusts_eye": int(sum(half.trusts_eye[k] for half in results)),
        "can_be_seen": LABELS[k] in SHOWS,
    }


def _spread(values: Floats) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)),
        "least": float(values.min()),
        "most": float(values.max()),
    }
