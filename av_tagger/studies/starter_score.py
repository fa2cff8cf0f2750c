"""What a trained starter ear is worth: scores of a manifest's clips, average precision, false alarms, and thresholds from held-out data."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly

from av_tagger.audio.network import MilNetwork
from av_tagger.studies.starter_data import EAR_RATE, LABELS, targets_of

Numbers = NDArray[np.float32]
WINDOW, HOP, LEAST = (
    10 * EAR_RATE,
    9 * EAR_RATE,
    EAR_RATE // 10,
)  # samples: windows overlap by a second; a shorter rest is dropped


def windows(x: Numbers) -> list[Numbers]:
    """As the program reads long files: 10 s with a second of overlap."""
    parts = [x[s : s + WINDOW] for s in range(0, max(1, len(x) - EAR_RATE), HOP)]
    return [p for i, p in enumerate(parts) if i == 0 or len(p) >= LEAST]


@torch.inference_mode()
def listen(network: MilNetwork, clips: Sequence[Numbers]) -> Numbers:
    """(clips, classes): the highest over each clip's windows, windows of one length at a time."""
    network.eval()
    parts = [(i, w) for i, x in enumerate(clips) for w in windows(x)]
    out = np.full((len(clips), network.head.dense.out_features), -1.0, np.float32)
    for at in range(0, len(parts), 16):
        chunk = sorted(parts, key=lambda p: len(p[1]))[at : at + 16]
        frames = [
            network.features(torch.from_numpy(np.ascontiguousarray(w))[None])[0] for _, w in chunk
        ]
        longest = max(f.shape[1] for f in frames)
        batch = torch.stack(
            [torch.nn.functional.pad(f, (0, 0, 0, longest - f.shape[1])) for f in frames]
        )
        heard = network(batch, torch.tensor([f.shape[1] for f in frames]))
        np.maximum.at(out, [i for i, _ in chunk], heard.bags.float().numpy())
    return out


def read_manifest(manifest: Path) -> tuple[list[str], list[Numbers], Numbers]:
    """Files, waveforms at the ear's rate, and the truth: 1, 0, NaN unknown."""
    import soundfile  # type: ignore[import-untyped]

    files, clips, truth = [], [], []
    with manifest.open(newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            x, rate = soundfile.read(manifest.parent / row["file"], dtype="float32")
            mono = x if x.ndim == 1 else x.mean(1)
            files.append(row["file"])
            divisor = int(np.gcd(EAR_RATE, rate))
            clips.append(
                resample_poly(mono, EAR_RATE // divisor, rate // divisor).astype(np.float32)
            )
            truth.append(
                targets_of(
                    *(tuple(v for v in row[k].split("|") if v) for k in ("labels", "ambiguous"))
                )
            )
    return files, clips, np.array(truth)


def average_precision(scores: Numbers, truth: Numbers) -> dict[str, float]:
    """By class with at least three positives; unknown clips take no part."""
    from sklearn.metrics import average_precision_score

    out = {}
    for k, label in enumerate(LABELS):
        use = np.isfinite(truth[:, k])
        if truth[use, k].sum() >= 3:
            out[label] = float(average_precision_score(truth[use, k], scores[use, k]))
    return out


def micro_f1(scores: Numbers, truth: Numbers, thresholds: Numbers) -> float:
    tagged = scores >= thresholds
    hits, false, missed = (
        int(v.sum()) for v in (tagged & (truth == 1), tagged & (truth == 0), ~tagged & (truth == 1))
    )
    return 2 * hits / max(1, 2 * hits + false + missed)


def without_any(truth: Numbers) -> NDArray[np.bool_]:
    """Clips that surely hold none of the classes."""
    return np.asarray(np.nan_to_num(truth, nan=1.0).max(axis=1) == 0)


def false_alarms(scores: Numbers, truth: Numbers, thresholds: Numbers) -> float:
    """Share of the clips without any class that get a tag."""
    return float((scores[without_any(truth)] >= thresholds).any(axis=1).mean())


def tune(scores: Numbers, truth: Numbers, margin: float) -> Numbers:
    """A threshold a class: where the class's F1 is best, but above all that clips without any class reach; then `margin` (logits) higher.

    The margin is for the world, which holds more that is near but wrong than any held-out set.
    """
    rows = np.array([best_f1(scores[:, k], truth[:, k]) for k in range(scores.shape[1])])
    rows = np.clip(np.maximum(rows, scores[without_any(truth)].max(axis=0) + 1e-3), 0.05, 0.95)
    raised = 1 / (1 + (1 - rows) / rows * np.exp(-margin))
    return np.asarray(raised.round(3), np.float32)


def best_f1(scores: Numbers, truth: Numbers) -> float:
    use = np.isfinite(truth)
    s, y = scores[use], truth[use] == 1
    cuts = np.unique(np.quantile(s, np.linspace(0, 1, 400)).clip(0.05, 0.9))
    f1 = [2 * (y & (s >= c)).sum() / max(1, (s >= c).sum() + y.sum()) for c in cuts]
    return float(cuts[int(np.argmax(f1))])
