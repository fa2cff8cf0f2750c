"""What a run has learnt and how (ATT §VI-D, E; FUSE §5.1): figures by class, correlations, confusions, and what its instances say."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.bags import ASSUMPTIONS
from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.errors import TableError, UsageError, sentence
from av_tagger.learning.analysis.ensemble import read_opinion
from av_tagger.learning.data.bags import Bags
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.learner import features_of
from av_tagger.learning.validation import average_precision

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ClassFigures:
    """One class on the validation data; NaN where the data cannot tell."""

    label: str
    training: int  # clips it was learnt from
    validation: int
    ap: float
    auc: float
    d_prime: float
    threshold: float
    quality: float = float("nan")  # share of its labels that are right, where somebody checked


@dataclass(frozen=True)
class Correlation:
    """Pearson's, with the chance of one as strong if there were none."""

    r: float
    p: float
    classes: int


@dataclass(frozen=True)
class Analysis:
    """Of a run alone, without its data."""

    name: str
    classes: tuple[ClassFigures, ...]
    by_count: Correlation | None  # AP with the number of training clips
    by_quality: Correlation | None  # AP with label quality
    confusion: NDArray[np.int64]  # (true, said)
    labels: tuple[str, ...]

    def mean(self, what: str) -> float:
        values = np.array([getattr(c, what) for c in self.classes])
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    @property
    def d_prime(self) -> float:
        """ATT: of the mean AUC, as the papers give it."""
        return d_prime(self.mean("auc"))


@dataclass(frozen=True)
class Instances:
    """What a network says of the instances of some bags."""

    probabilities: tuple[NDArray[np.float32], ...]  # (I, classes) a bag
    embeddings: tuple[NDArray[np.float32], ...]  # (I, width)
    features: tuple[NDArray[np.float32], ...]  # (frames, bands), the first channel; what it heard
    targets: NDArray[np.float32]  # (bags, classes)

    def confidences(self) -> Numbers:
        """Of every instance, in the classes of its own bag (FUSE figure 6): positives that were found are near one."""
        return _concatenated(
            [p[:, t > 0.5].ravel() for p, t in zip(self.probabilities, self.targets, strict=True)]
        )

    def positive(self) -> tuple[NDArray[np.bool_], ...]:
        """FUSE §2: an instance is positive when its likeliest class is one of its bag's."""
        return tuple(
            t[p.argmax(axis=1)] > 0.5 for p, t in zip(self.probabilities, self.targets, strict=True)
        )

    def found(self) -> float:
        """The share of instances that are positive: low where MIL underestimates."""
        return float(np.concatenate(self.positive()).mean()) if self.probabilities else float("nan")

    def accuracy(self) -> dict[str, float]:
        """Clips whose likeliest class is one of theirs, under each assumption at inference."""
        right: dict[str, list[float]] = {name: [] for name in ASSUMPTIONS}
        for p, t in zip(self.probabilities, self.targets, strict=True):
            instances, mask = torch.from_numpy(p)[None], torch.ones(1, len(p), dtype=torch.bool)
            for name, assume in ASSUMPTIONS.items():
                right[name].append(float(t[int(assume(instances, mask)[0].argmax())] > 0.5))
        return {name: float(np.mean(hits)) for name, hits in right.items()}


def analyse(run: Path, qualities: Path | None = None) -> Analysis:
    """From a run's folder: its card and the scores of its best epoch."""
    opinion, card = read_opinion(run), read_card(run)
    quality = read_qualities(qualities) if qualities else {}
    rows = [
        _figures(c, opinion.scores[:, k], opinion.targets[:, k], quality)
        for k, c in enumerate(card["classes"])
    ]
    ap = np.array([c.ap for c in rows])
    counts, labelled = (
        np.array([float(c.training) for c in rows]),
        np.array([c.quality for c in rows]),
    )
    table = confusions(opinion.scores, opinion.targets)
    return Analysis(
        card["recipe"]["name"],
        tuple(rows),
        correlation(ap, counts),
        correlation(ap, labelled),
        table,
        opinion.labels,
    )


def read_card(run: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((run / "card.json").read_text(encoding="utf-8"))
    return card


def read_qualities(path: Path) -> dict[str, float]:
    """A CSV `label, quality` with quality between 0 and 1, or in percent."""
    found: dict[str, float] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines, skipinitialspace=True), 1):
                if row and not (number == 1 and row[-1].strip() == "quality"):
                    found[row[0].strip()] = _quality(path, number, row)
    except OSError as error:
        raise UsageError(
            sentence(path, f"cannot be read ({error.strerror})", "give a CSV of label, quality")
        ) from error
    return found


@torch.inference_mode()
def hear_instances(run: Path, bags: Bags, most: int = 500) -> Instances:
    """What the best weights of a run say of every instance of the first bags."""
    network, header = load_checkpoint(run / "best.safetensors", bags.labels)
    if (network.frontend is None) != (bags.kind == "embeddings"):
        raise UsageError(
            f"{run}: {header.name} does not learn from {bags.kind}; give data of its own kind"
        )
    chosen = range(min(most, len(bags)))
    found: list[tuple[NDArray[np.float32], ...]] = []
    for bag in chosen:
        inputs, lengths = bags.fetch(np.array([bag]), None)
        features, frames = features_of(
            network, Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.empty(0))
        )
        heard = network(features, frames)
        found.append(
            tuple(t[0].float().numpy() for t in (heard.instances, heard.embeddings, features[:, 0]))
        )
    instances, embeddings, features_heard = zip(*found, strict=True)
    return Instances(
        instances, embeddings, features_heard, np.asarray(bags.targets[: len(chosen)], np.float32)
    )


def correlation(x: Numbers, y: Numbers) -> Correlation | None:
    """ATT Table III; None where there are too few classes, or all are alike."""
    from scipy.stats import pearsonr

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    found = pearsonr(x, y)
    return Correlation(float(found.statistic), float(found.pvalue), len(x))


def confusions(scores: NDArray[np.float32], targets: NDArray[np.float32]) -> NDArray[np.int64]:
    """(true, said): a clip of n labels says its n likeliest; a label that is not among them was taken for the likeliest wrong one."""
    table = np.zeros((targets.shape[1],) * 2, np.int64)
    for row, truth in zip(scores, targets > 0.5, strict=True):
        order = np.argsort(-row, kind="stable")
        said = order[: int(truth.sum())]
        for true in np.flatnonzero(truth):
            wrong = order[~truth[order]]
            if true in said or not len(wrong):
                table[true, true] += 1
            else:
                table[true, wrong[0]] += 1
    return table


def auc(scores: Numbers, truth: NDArray[np.bool_]) -> float:
    """The chance that a clip of the class scores above one that is not; half a chance for a tie."""
    from scipy.stats import rankdata

    positives = int(truth.sum())
    if positives in (0, len(truth)):
        return float("nan")
    ranks = rankdata(scores)[truth].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * (len(truth) - positives)))


def d_prime(area: float) -> float:
    """ATT equation 32: sqrt(2) times the normal quantile of the AUC; infinite for a perfect one."""
    if not 0 < area < 1:
        return float("nan") if np.isnan(area) else float(np.copysign(np.inf, area - 0.5))
    return float(np.sqrt(2) * NormalDist().inv_cdf(area))


def _figures(
    entry: Mapping[str, Any],
    scores: NDArray[np.float32],
    targets: NDArray[np.float32],
    quality: Mapping[str, float],
) -> ClassFigures:
    known = ~np.isnan(targets)
    found, truth = scores[known].astype(np.float64), targets[known] > 0.5
    ap, area = average_precision(found, truth), auc(found, truth)
    return ClassFigures(
        entry["label"],
        entry["training"],
        entry["validation"],
        float("nan") if ap is None else ap,
        area,
        d_prime(area),
        entry["threshold"],
        quality.get(entry["label"], float("nan")),
    )


def _quality(path: Path, number: int, row: Sequence[str]) -> float:
    try:
        value = float(row[-1].strip().removesuffix("%")) / (
            100 if row[-1].strip().endswith("%") else 1
        )
    except ValueError as error:
        raise TableError(
            path, number, "has no quality", "label, quality between 0 and 1 or in percent"
        ) from error
    if len(row) < 2 or not 0 <= value <= 1:
        raise TableError(path, number, "has no quality between 0 and 1", "label, quality")
    return value


def _concatenated(parts: Sequence[NDArray[np.float32]]) -> Numbers:
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)
