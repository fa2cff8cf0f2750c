"""A run's folder with random results and their ground truth, for tuning and evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_tagger.clip import Clip
from av_tagger.dcase import write_tags
from av_tagger.labels import dcase2017
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, ClassScore, RunInfo, Status, Tag, Tagged

LABELS = dcase2017().labels
THRESHOLD = 0.4
# Log-odds between positives and negatives; 0: the branch cannot tell the class.
EAR_SKILL = np.where(np.arange(17) % 3 == 0, 0.0, 3.0)
EYE_SKILL = np.where(np.arange(17) % 3 == 1, 0.0, 3.0)


def run_folder(folder: Path, clips: int = 400, missing: int = 10) -> tuple[Path, Path]:
    """results.jsonl and truth.csv in `folder`; the last `missing` clips have no result."""
    rng = np.random.default_rng(8)
    truth = rng.random((clips, 17)) < 0.12
    heard, seen = (
        np.round(1 / (1 + np.exp(-(rng.normal(size=truth.shape) + skill * truth - 2))), 6)
        for skill in (EAR_SKILL, EYE_SKILL)
    )
    names = [f"video{i // 2:06d}_{10 * (i % 2)}.000_{10 * (i % 2) + 10}.000" for i in range(clips)]
    rows = {name: [LABELS[k] for k in np.flatnonzero(truth[i])] for i, name in enumerate(names)}
    write_tags(folder / "truth.csv", rows)
    lines = [
        as_line(result(Path(f"clips/Y{name}.mp4"), heard[i], seen[i]))
        for i, name in enumerate(names[: clips - missing])
    ]
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    return folder, folder / "truth.csv"


def result(path: Path, heard: np.ndarray, seen: np.ndarray) -> Tagged:
    """A result in which ear and eye count equally."""
    scores = {
        label: ClassScore((heard[k] + seen[k]) / 2, heard[k], seen[k], THRESHOLD)
        for k, label in enumerate(LABELS)
    }
    tags = [
        Tag(label, s.fused, THRESHOLD, s.heard, s.seen)
        for label, s in scores.items()
        if s.fused >= THRESHOLD
    ]
    branch = BranchInfo(Status.OK, "random")
    run = RunInfo("0", "cpu", "", 0.0)
    return Tagged(Clip(path), 10.0, tuple(tags), scores, (), branch, branch, run)
