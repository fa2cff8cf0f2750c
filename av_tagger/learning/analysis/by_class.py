"""Metrics of a run per class, their correlations, and confusions (ATT §VI-D, E)."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import TableError, UsageError, sentence
from av_tagger.learning.analysis.ensemble import read_scores
from av_tagger.metrics import average_precision, d_prime, mean_of_defined, roc_auc

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ClassMetrics:
    """One class on the validation data; NaN where undefined."""

    label: str
    training: int  # training clips of the class
    validation: int
    ap: float
    auc: float
    d_prime: float
    threshold: float
    quality: float = math.nan  # share of the labels that are correct, from a quality table


@dataclass(frozen=True)
class Correlation:
    """Pearson correlation, and the probability of one as strong by chance."""

    r: float
    p: float
    classes: int


@dataclass(frozen=True)
class Analysis:
    """Metrics of a run, from its folder alone."""

    name: str
    classes: tuple[ClassMetrics, ...]
    by_count: Correlation | None  # of AP with the number of training clips
    by_quality: Correlation | None  # of AP with label quality
    confusion: NDArray[np.int64]  # (true, predicted)
    labels: tuple[str, ...]

    def mean(self, what: str) -> float:
        """The mean of a metric over the classes where it is defined."""
        return mean_of_defined([getattr(c, what) for c in self.classes])

    @property
    def d_prime(self) -> float:
        """d' of the mean AUC, as in the papers."""
        return d_prime(self.mean("auc"))


def analyse(run: Path, qualities: Path | None = None) -> Analysis:
    """From the card of a run and the validation scores of its best epoch."""
    found, card = read_scores(run), read_card(run)
    quality = read_qualities(qualities) if qualities else {}
    rows = [
        _metrics(c, found.scores[:, k], found.targets[:, k], quality)
        for k, c in enumerate(card["classes"])
    ]
    ap, counts, labelled = (
        np.array([float(getattr(c, name)) for c in rows]) for name in ("ap", "training", "quality")
    )
    return Analysis(
        card["recipe"]["name"],
        tuple(rows),
        correlation(ap, counts),
        correlation(ap, labelled),
        confusions(found.scores, found.targets),
        found.labels,
    )


def read_card(run: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((run / "card.json").read_text(encoding="utf-8"))
    return card


def read_qualities(path: Path) -> dict[str, float]:
    """A CSV of label and quality, between 0 and 1 or in percent."""
    found: dict[str, float] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines, skipinitialspace=True), 1):
                if row and not (number == 1 and row[-1].strip() == "quality"):
                    found[row[0].strip()] = _quality(path, number, row)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise UsageError(sentence(path, reason, "give a CSV of label, quality")) from error
    return found


def correlation(x: Numbers, y: Numbers) -> Correlation | None:
    """ATT Table III; None for fewer than three classes or constant values."""
    from scipy.stats import pearsonr

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    found = pearsonr(x, y)
    return Correlation(float(found.statistic), float(found.pvalue), len(x))


def confusions(scores: NDArray[np.float32], targets: NDArray[np.float32]) -> NDArray[np.int64]:
    """(true, predicted): the n highest scores are the predictions of a clip with n labels.

    A label that is not among them counts as confused with the highest wrong score.
    """
    table = np.zeros((targets.shape[1],) * 2, np.int64)
    for row, truth in zip(scores, targets > 0.5, strict=True):
        order = np.argsort(-row, kind="stable")
        predicted, wrong = order[: int(truth.sum())], order[~truth[order]]
        for true in np.flatnonzero(truth):
            right = true in predicted or not len(wrong)
            table[true, true if right else wrong[0]] += 1
    return table


def _metrics(
    entry: Mapping[str, Any],
    scores: NDArray[np.float32],
    targets: NDArray[np.float32],
    quality: Mapping[str, float],
) -> ClassMetrics:
    auc = roc_auc(scores, targets)
    return ClassMetrics(
        entry["label"],
        entry["training"],
        entry["validation"],
        average_precision(scores, targets),
        auc,
        d_prime(auc),
        entry["threshold"],
        quality.get(entry["label"], math.nan),
    )


def _quality(path: Path, number: int, row: Sequence[str]) -> float:
    text = row[-1].strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        columns = "label, quality between 0 and 1 or in percent"
        raise TableError(path, number, "has no quality", columns) from error
    if len(row) < 2 or not 0 <= value <= 1:
        raise TableError(path, number, "has no quality between 0 and 1", "label, quality")
    return value
