"""Thresholds for a published ear, from labelled clips: few clips without a class get its tag.

    python -m av_tagger.studies.calibrate efficientat:mn04 SOUNDS -o fusion.efficientat.json
    python -m av_tagger.studies.calibrate efficientat:mn04 SOUNDS --check fusion.efficientat.json

SOUNDS is a sound manifest (columns file, labels, ambiguous). Clips whose label of a class is
unknown are left out for that class.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion import Thresholds, WeightedFusion, load_fusion, write_fusion
from av_tagger.plan import load
from av_tagger.scores import Failed
from av_tagger.studies.sound_manifest import LABELS, read_sounds
from av_tagger.studies.starter_score import report

Floats = NDArray[np.float64]

QUANTILE = 0.99  # share of a class's negative clips that stay below its threshold
LOWEST, HIGHEST = 0.08, 0.25  # bounds of thresholds; scores of these networks are low
EYE = 0.35  # threshold of the eye alone: share of the objects' probability


def scores_and_truth(ear: str, manifest: Path) -> tuple[Floats, Floats]:
    """(clips, classes): scores of the ear, and targets (NaN: unknown)."""
    tagger, rows = load(ear=ear, only="ear", offline=True), read_sounds(manifest)
    scores, truth = [], []
    for row, outcome in zip(rows, tagger.tag([row.path for row in rows]), strict=True):
        if isinstance(outcome, Failed):
            print(outcome.message)
            continue
        scores.append([outcome.scores[label].fused for label in LABELS])
        truth.append(row.targets)
    return np.array(scores), np.array(truth, dtype=np.float64)


def thresholds(scores: Floats, truth: Floats) -> Floats:
    """(classes,): a high quantile of the negative clips of each class, within bounds."""
    columns = zip(scores.T, truth.T, strict=True)
    rows = [np.quantile(column[labels == 0], QUANTILE) for column, labels in columns]
    bounded: Floats = np.clip(np.array(rows), LOWEST, HIGHEST).round(3)
    return bounded


def calibrated(ear: Floats, note: str) -> WeightedFusion:
    """The paper's weights; the threshold of both lies between ear and eye, by the weight."""
    paper = load_fusion("paper", LABELS)
    assert isinstance(paper, WeightedFusion)
    eye = np.full_like(ear, EYE)
    both = (paper.weights * ear + (1 - paper.weights) * eye).round(3)
    return replace(paper, rows=Thresholds(both, ear, eye), note=note)


def note(ear: str) -> str:
    return (
        "The paper's weights (section 3.4; weight is the ear's share). Ear thresholds: the "
        f"{QUANTILE:.0%} quantile of the scores of {ear} on training clips without the class, "
        f"within [{LOWEST}, {HIGHEST}]; made by av_tagger.studies.calibrate."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("ear")
    parser.add_argument("manifest", type=Path)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("-o", "--output", type=Path)
    group.add_argument("--check", type=Path)
    given = parser.parse_args(arguments)
    scores, truth = scores_and_truth(given.ear, given.manifest)
    if given.check is None:
        write_fusion(calibrated(thresholds(scores, truth), note(given.ear)), given.output)
    fusion = load_fusion(given.check or given.output, LABELS)
    print(report(scores, truth, fusion.rows.ear))


if __name__ == "__main__":
    main()
