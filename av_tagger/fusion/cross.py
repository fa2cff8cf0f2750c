"""Cross-validation: fit on some folds, measure on the others; a group is never split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from av_tagger.errors import UsageError
from av_tagger.fusion.counts import Counts
from av_tagger.fusion.fit import DevelopmentScores, FitSettings, FusionFitter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Honest:
    """Counts of ear, eye and both fused on held-out clips."""

    heard: Counts
    seen: Counts
    fused: Counts
    folds: int
    said: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)  # held-out decisions
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))  # held-out, fused
    parts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # the folds


def cross_validate(
    table: DevelopmentScores,
    settings: FitSettings,
    groups: Sequence[str] | None = None,
    folds: int = 5,
) -> Honest:
    """Every clip is decided by a fit to the other folds; counts are pooled before any ratio is
    taken.
    """
    parts = split(table.truth, groups, folds, settings.seed)
    said = {name: np.zeros_like(table.truth) for name in ("heard", "seen", "fused")}
    scores = np.full(table.truth.shape, np.nan)
    for fold in np.unique(parts):
        held = parts == fold
        rest = table.rows(~held)
        if not rest.truth.any():
            raise UsageError(
                "one group holds every clip that has a class; "
                "cross-validation needs them in several groups"
            )
        fusion = FusionFitter(settings).fit(rest.heard, rest.seen, rest.truth, rest.labels).fusion_
        said["fused"][held] = fusion.decide(table.heard[held], table.seen[held])
        scores[held] = fusion.combine(table.heard[held], table.seen[held])
        said["heard"][held] = table.heard[held] >= fusion.rows.ear
        said["seen"][held] = table.seen[held] >= fusion.rows.eye
    counts = {name: Counts.of(values, table.truth) for name, values in said.items()}
    return Honest(**counts, folds=len(np.unique(parts)), said=said, scores=scores, parts=parts)


def split(truth: ArrayLike, groups: Sequence[str] | None, folds: int, seed: int) -> Ints:
    """A fold for every clip: rare classes are dealt out first, whole groups at a time; named groups
    do not mind the order of rows.
    """
    y = np.asarray(truth, dtype=np.int64)
    names, member = np.unique(
        np.array(groups if groups is not None else range(len(y)), dtype=str), return_inverse=True
    )
    if folds < 2 or len(names) < folds:
        raise UsageError(
            f"{folds} folds cannot be made of {len(names)} groups of clips; "
            "give 2 or more folds, and as many groups"
        )
    labels = np.zeros((len(names), y.shape[1]), dtype=np.int64)
    np.add.at(labels, member, y)
    sizes = np.bincount(member, minlength=len(names))
    rarest = np.where(labels > 0, y.sum(0), len(y) + 1).argmin(
        1
    )  # the rarest class that a group holds
    rarity = np.where(labels.any(1), y.sum(0)[rarest], len(y) + 1)
    order = np.lexsort((np.random.default_rng(seed).permutation(len(names)), -sizes, rarity))
    fold_labels, fold_sizes = (
        np.zeros((folds, y.shape[1]), dtype=np.int64),
        np.zeros(folds, dtype=np.int64),
    )
    fold_of = np.empty(len(names), dtype=np.int64)
    for g in order:
        crowd = fold_labels[:, rarest[g]] if labels[g].any() else fold_sizes
        fold = int(np.lexsort((fold_sizes, crowd))[0])
        fold_of[g] = fold
        fold_labels[fold] += labels[g]
        fold_sizes[fold] += sizes[g]
    result: Ints = fold_of[member]
    return result
