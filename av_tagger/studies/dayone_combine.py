"""From what the networks say to calibration files: which sources make an ear, and its fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.calibration import (
    Calibration,
    CalibrationNotes,
    EmbeddingHead,
    Source,
    column_of,
    floored_logit,
    logit,
)
from av_tagger.audio.known.ear import narrower, raised
from av_tagger.audio.known.families import FAMILIES
from av_tagger.labels import dcase2017
from av_tagger.studies import dayone_audioset, dayone_fit
from av_tagger.studies.dayone_features import (
    EFFICIENTAT,
    STARTER,
    YAMNET,
    Numbers,
    WindowFeatures,
)
from av_tagger.studies.dayone_fit import Held, Platt
from av_tagger.studies.dayone_head import apply

Floats = NDArray[np.float64]

FLOOR = 3e-3
LABELS = dcase2017().labels
HEAD_WEIGHT = 0.5
# The starter learned from made sounds: signals can be made truer to life than engines.
SIGNALS, ENGINES = 0.5, 0.25
_SIGNAL = np.array([c.group == "warning" or c.label == "Screaming" for c in dcase2017()])
STARTER_WEIGHTS = np.where(_SIGNAL, SIGNALS, ENGINES)

EARS: tuple[tuple[str, ...], ...] = (  # the files that ship
    (STARTER,),
    (YAMNET,),
    (EFFICIENTAT,),
    (YAMNET, STARTER),
    (EFFICIENTAT, STARTER),
    (YAMNET, STARTER, EFFICIENTAT),
)


@dataclass(frozen=True, eq=False)
class RealClips:
    """What every source says of the real clips; the head's scores are of folds held out."""

    features: WindowFeatures
    head: Numbers  # (windows, 17)
    targets: Numbers  # (clips, 17)
    folds: NDArray[np.int64]  # (clips,)
    source_labels: tuple[str, ...]  # what the sources call the first of these clips


def labels_of(ear: str) -> tuple[str, ...]:
    return LABELS if ear == STARTER else FAMILIES[ear].labels


def sources_of(parts: Sequence[str]) -> tuple[Source, ...]:
    """Every part, and YAMNet's head where the starter joins in."""
    own = [Source(i) for i in range(len(parts))]
    headed = [Source(parts.index(YAMNET), head=True)] if has_head(parts) else []
    return (*own, *headed)


def has_head(parts: Sequence[str]) -> bool:
    return YAMNET in parts and STARTER in parts


def weights_of(parts: Sequence[str], labels: Sequence[str]) -> Floats:
    """(sources, labels) before calibration.

    The 17 classes: a sum of the ears, the starter with less weight. Others: the mean of the ears
    that know AudioSet.
    """
    aware = [p for p in parts if p != STARTER]
    ours = column_of(labels, LABELS)
    rows = []
    for part in parts:
        knows = column_of(labels, labels_of(part)) >= 0
        alone = len(parts) == 1 or part != STARTER
        of_17 = np.where(alone, 1.0, STARTER_WEIGHTS[np.maximum(ours, 0)])
        rest = 1 / len(aware) if part in aware else 0.0
        rows.append(np.where(ours >= 0, of_17, rest) * knows)
    if has_head(parts):
        rows.append(np.where(ours >= 0, HEAD_WEIGHT, 0.0))
    return _renormalised(np.array(rows), labels)


def _renormalised(rows: Floats, labels: Sequence[str]) -> Floats:
    """Classes outside the 17 that only some ears know: the mean is over those."""
    other = column_of(labels, LABELS) < 0
    total = rows.sum(axis=0)
    return np.where(other & (total > 0), rows / np.where(total > 0, total, 1.0), rows)


def window_scores(
    parts: Sequence[str], labels: Sequence[str], features: WindowFeatures, head: Numbers | None
) -> list[Numbers]:
    """(windows, labels) of each source, NaN for a class that it does not know."""
    values = [_columns(_heard(features, p), labels_of(p), labels) for p in parts]
    return values + ([] if head is None else [_columns(head, LABELS, labels)])


def _heard(features: WindowFeatures, ear: str) -> Numbers:
    """As the ear says it: with narrower classes counted for their broader ones."""
    return raised(features.scores[ear].copy(), narrower(labels_of(ear)))


def summed(parts: Sequence[str], labels: Sequence[str], real: RealClips) -> Floats:
    """(clips, labels): the weighted sum of floored logits, before slope and bias."""
    head = real.head if has_head(parts) else None
    values = window_scores(parts, labels, real.features, head)
    weights = weights_of(parts, labels)
    z = sum(w * floored_logit(v, FLOOR) for w, v in zip(weights, values, strict=True))
    return real.features.highest(np.asarray(z)).astype(np.float64)


def probabilities(calibration: Calibration, features: WindowFeatures) -> Floats:
    """(clips, labels) as the program would say: windows combined, the highest counts."""
    head = None if calibration.head is None else apply(calibration.head, features)
    values = window_scores(calibration.parts, calibration.labels, features, head)
    return features.highest(calibration.combine(values)).astype(np.float64)


def _columns(values: Numbers, have: Sequence[str], labels: Sequence[str]) -> Numbers:
    columns = column_of(labels, have)
    return np.where(columns >= 0, values[:, columns], np.nan).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A calibration, and what it is worth on folds held out."""

    calibration: Calibration
    held: Held
    truth: Floats


def fit(parts: Sequence[str], real: RealClips, head: EmbeddingHead, made: str) -> Fitted:
    """Slope, biases and thresholds of one ear."""
    labels = LABELS if parts == (STARTER,) else _all_labels(parts)
    z = summed(parts, labels, real)
    ours = column_of(LABELS, labels)
    truth = real.targets.astype(np.float64)
    held = dayone_fit.best_held_out(z[:, ours], truth, real.folds)
    platt = dayone_fit.fit_platt(z[:, ours], truth, held.ridge)
    f1 = dayone_fit.f1_threshold(held.probabilities, truth)
    sure = dayone_fit.precision_threshold(held.probabilities, truth, f1)
    slopes, bias = _all_classes(z, labels, platt, f1, real)
    calibration = Calibration(
        parts=tuple(parts),
        labels=labels,
        sources=sources_of(parts),
        weights=weights_of(parts, labels) * slopes,
        bias=bias,
        thresholds={"f1": np.full(len(labels), f1), "precision": np.full(len(labels), sure)},
        floor=FLOOR,
        head=head if has_head(parts) else None,
        about=CalibrationNotes("Apache-2.0", made, _notes(held, truth, f1, sure)),
    )
    return Fitted(calibration, held, truth)


def _all_labels(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for p in parts if p != STARTER for label in labels_of(p)))


def _all_classes(
    z: Floats, labels: tuple[str, ...], platt: Platt, f1: float, real: RealClips
) -> tuple[Floats, Floats]:
    """Slopes and biases of the 17 as fitted. Of all others: the same slope, and such a bias that
    the ear's threshold lies where `dayone_audioset.biases` puts it."""
    ours = column_of(labels, LABELS)
    bias = platt.bias[np.maximum(ours, 0)].copy()
    if len(labels) > len(LABELS):
        named = dayone_audioset.named_clips(real.source_labels, labels)
        cuts = dayone_audioset.biases(z[: len(real.source_labels)], named)
        others = logit(np.array(f1)) - platt.slope * cuts
        bias = np.where(ours >= 0, bias, others)
    return np.full(len(labels), platt.slope), bias


def _notes(held: Held, truth: Floats, f1: float, sure: float) -> dict[str, float]:
    p = held.probabilities
    return {
        "ridge": held.ridge,
        "held_out_log_loss": round(held.log_loss, 1),
        "held_out_mean_ap": round(dayone_fit.mean_precision(p, truth), 3),
        "held_out_micro_f1": round(dayone_fit.micro_f1(p, truth, f1), 3),
        "held_out_false_tags": round(dayone_fit.false_tags(p, truth, f1), 3),
        "held_out_precision": round(dayone_fit.precision(p, truth, sure), 3),
    }
