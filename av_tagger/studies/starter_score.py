"""Scores of an ear on a sound manifest: average precision, false alarms, thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.network import MilNetwork
from av_tagger.metrics import Counts, average_precision
from av_tagger.studies.sound_manifest import LABELS

Numbers = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
LEAST_POSITIVES = 3  # of a class whose average precision is reported
BATCH = 16  # windows


def windows(x: Numbers, rate: int) -> list[Numbers]:
    """10-s windows that overlap by a second; a rest below 0.1 s is dropped."""
    parts = [x[s : s + 10 * rate] for s in range(0, max(1, len(x) - rate), 9 * rate)]
    return [p for i, p in enumerate(parts) if i == 0 or len(p) >= rate // 10]


@torch.inference_mode()
def listen(network: MilNetwork, clips: Sequence[Numbers]) -> Numbers:
    """(clips, classes): the maximum over the windows of each clip at the network's rate."""
    assert network.frontend is not None
    rate = network.frontend.settings.rate
    parts = [(i, w) for i, x in enumerate(clips) for w in windows(x, rate)]
    parts.sort(key=lambda part: len(part[1]))  # windows of similar length share a batch
    out = np.full((len(clips), len(LABELS)), -1.0, np.float32)
    for at in range(0, len(parts), BATCH):
        chunk = parts[at : at + BATCH]
        frames = [_features(network, w) for _, w in chunk]
        longest = max(f.shape[1] for f in frames)
        padded = [torch.nn.functional.pad(f, (0, 0, 0, longest - f.shape[1])) for f in frames]
        heard = network(torch.stack(padded), torch.tensor([f.shape[1] for f in frames]))
        np.maximum.at(out, [i for i, _ in chunk], heard.bags.float().numpy())
    return out


def _features(network: MilNetwork, wave: Numbers) -> torch.Tensor:
    return network.features(torch.from_numpy(np.ascontiguousarray(wave))[None])[0]


def precisions(scores: Floats, truth: Floats) -> dict[str, float]:
    """Average precision of each class with at least three positives."""
    counted = np.flatnonzero((truth == 1).sum(0) >= LEAST_POSITIVES)
    return {LABELS[k]: average_precision(scores[:, k], truth[:, k]) for k in counted}


def without_any(truth: Floats) -> NDArray[np.bool_]:
    """Clips that certainly have none of the classes."""
    return np.asarray((truth == 0).all(axis=1))


def false_alarms(scores: Floats, truth: Floats, thresholds: Floats) -> float:
    """The share of clips without any class that get a tag; 0 if there are none."""
    empty = without_any(truth)
    return float((scores[empty] >= thresholds).any(axis=1).mean()) if empty.any() else 0.0


def report(scores: Floats, truth: Floats, thresholds: Floats) -> str:
    """Micro-F1 and false alarms in one line."""
    f1 = Counts.of(scores >= thresholds, truth).f1
    alarms, empty = 100 * false_alarms(scores, truth, thresholds), int(without_any(truth).sum())
    return (
        f"{len(scores)} clips: micro-F1 {f1:.3f}; "
        f"{alarms:.1f} % of the {empty} clips without any class get a tag"
    )


def tune(scores: Numbers, truth: Numbers, margin: float) -> Numbers:
    """Thresholds at the best F1 of each class, but above all clips without any class.

    They are then raised by `margin` (logits), because real data have more near misses than
    held-out data.
    """
    rows = np.array([best_f1(scores[:, k], truth[:, k]) for k in range(scores.shape[1])])
    highest = scores[without_any(truth)].max(axis=0, initial=0.0)
    rows = np.clip(np.maximum(rows, highest + 1e-3), 0.05, 0.95)
    raised = 1 / (1 + (1 - rows) / rows * np.exp(-margin))
    return np.asarray(raised.round(3), np.float32)


def best_f1(scores: Numbers, truth: Numbers) -> float:
    """The threshold with the best F1, among 400 quantiles of the scores."""
    known = np.isfinite(truth)
    s, y = scores[known], truth[known]
    cuts = np.unique(np.quantile(s, np.linspace(0, 1, 400)).clip(0.05, 0.9))
    f1 = Counts.of(s[:, None] >= cuts, np.repeat(y[:, None], len(cuts), axis=1)).class_f1
    return float(cuts[int(np.argmax(f1))])
