"""Thresholds for an ear that others trained: set on labelled clips so that few clips without a class get its tag.

    python -m av_tagger.studies.calibrate efficientat:mn04 ../shared/data/sounds/train.csv -o weights/fusion.efficientat.json
    python -m av_tagger.studies.calibrate efficientat:mn04 ../shared/data/sounds/dev.csv --check weights/fusion.efficientat.json

A clip that an indefinite label makes unclear counts neither for nor against a class.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion import Thresholds, Weighing, WeightedFusion, load_fusion, write_fusion
from av_tagger.labels import dcase2017
from av_tagger.plan import load
from av_tagger.scores import Failed
from av_tagger.studies.starter_data import targets_of

Floats = NDArray[np.float64]

QUANTILE = 0.99  # of a class's negatives that stay without its tag
LOWEST, HIGHEST = (
    0.08,
    0.25,
)  # bounds for classes with few negatives near, and with many (these networks whisper)
EYE = 0.35  # of the objects' probability that must fall to a class when the eye is alone


def score(ear: str, manifest: Path) -> tuple[Floats, Floats]:
    """(clips, classes): what the ear says, and the truth (NaN: unclear)."""
    tagger = load(ear=ear, only="ear", offline=True)
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    heard, truth = [], []
    for row, outcome in zip(
        rows, tagger.tag([manifest.parent / row["file"] for row in rows]), strict=True
    ):
        if isinstance(outcome, Failed):
            print(outcome.message)
            continue
        heard.append([outcome.scores[label].fused for label in dcase2017().labels])
        truth.append(
            targets_of(*(tuple(x for x in row[k].split("|") if x) for k in ("labels", "ambiguous")))
        )
    return np.array(heard), np.array(truth, dtype=np.float64)


def thresholds(heard: Floats, truth: Floats) -> Floats:
    """(classes,) a high quantile of each class's negatives, within bounds."""
    rows = [np.quantile(heard[truth[:, k] == 0, k], QUANTILE) for k in range(heard.shape[1])]
    bounded: Floats = np.clip(np.array(rows), LOWEST, HIGHEST).round(3)
    return bounded


def calibrated(ear: Floats, note: str) -> WeightedFusion:
    """The paper's weights; with both witnesses the threshold lies between the two alone, as far as the weight does."""
    paper = load_fusion("paper", dcase2017().labels)
    assert isinstance(paper, WeightedFusion)
    eye = np.full_like(ear, EYE)
    both = (paper.weights * ear + (1 - paper.weights) * eye).round(3)
    return replace(paper, rows=Thresholds(both, ear, eye), note=note)


def report(heard: Floats, truth: Floats, rows: Floats) -> str:
    tagged, known = heard >= rows, np.isfinite(truth)
    hits = int((tagged & (truth == 1)).sum())
    false, missed = int((tagged & (truth == 0)).sum()), int((~tagged & (truth == 1)).sum())
    empty = known.all(axis=1) & (np.nan_to_num(truth) == 0).all(axis=1)
    alarms = float(tagged[empty].any(axis=1).mean())
    f1 = 2 * hits / max(1, 2 * hits + false + missed)
    return f"{len(heard)} clips: micro-F1 {f1:.3f}; {100 * alarms:.1f} % of the {int(empty.sum())} clips without any class get a tag"


def _check(heard: Floats, truth: Floats, fusion: Weighing) -> None:
    print(report(heard, truth, fusion.rows.ear))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ear")
    parser.add_argument("manifest", type=Path)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("-o", "--output", type=Path)
    group.add_argument("--check", type=Path)
    arguments = parser.parse_args()
    heard, truth = score(arguments.ear, arguments.manifest)
    if arguments.check is not None:
        _check(heard, truth, load_fusion(arguments.check, dcase2017().labels))
        return
    note = (
        f"The paper's weights (section 3.4; weight is the ear's share). Ear thresholds: the {QUANTILE:.0%} quantile of the scores of "
        f"{arguments.ear} on training clips without the class, within [{LOWEST}, {HIGHEST}]; made by av_tagger.studies.calibrate."
    )
    fusion = calibrated(thresholds(heard, truth), note)
    write_fusion(fusion, arguments.output)
    _check(heard, truth, fusion)


if __name__ == "__main__":
    main()
