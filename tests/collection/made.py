"""Runs with known tags and events, made by hand or at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from av_tagger.clip import Clip
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, Event, RunInfo, Status, Tag, Tagged

BRANCH, RUN = BranchInfo(Status.OK, "made"), RunInfo("0", "cpu", "", 0.0)
Times = Sequence[tuple[float, float]]


def result(name: str | Path, tags: Mapping[str, Times], probability: float = 0.8) -> Tagged:
    """A result of 60 s whose tags have these events."""
    found = tuple(
        Tag(label, probability, 0.3, None, None, tuple(Event(s, e, 0.9) for s, e in times))
        for label, times in tags.items()
    )
    return Tagged(Clip(Path(name)), 60.0, found, {}, (), BRANCH, BRANCH, RUN)


def write_run(folder: Path, results: Sequence[Tagged]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(as_line(one) + "\n" for one in results)
    (folder / "results.jsonl").write_text(lines)
    return folder


def random_results(count: int, labels: Sequence[str], seed: int = 0) -> list[Tagged]:
    """Every clip has some of the labels, with up to three events each."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        tags = []
        for label in labels:
            if rng.random() < 0.5:
                starts = np.round(rng.uniform(0, 50, rng.integers(0, 4)), 3)
                events = tuple(
                    Event(float(s), float(s + round(rng.uniform(0.1, 5), 3)), 0.5) for s in starts
                )
                tags.append(Tag(label, round(float(rng.random()), 3), 0.1, None, None, events))
        clip = Clip(Path(f"films/{number % 3}/clip_{number}.mp4"))
        found.append(Tagged(clip, 60.0, tuple(tags), {}, (), BRANCH, BRANCH, RUN))
    return found
