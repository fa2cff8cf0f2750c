"""Scores and results that nobody measured, for notebooks, examples and tests: plain randomness with two different witnesses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.clip import Clip
from av_tagger.reports.explore import Floats, SavedScores
from av_tagger.scores import BranchInfo, ClassScore, Event, RunInfo, Status, Tag, Tagged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from av_tagger.fusion import Weighing

CLIP_SECONDS = 10.0
_SLIP_SECONDS = (
    0.4  # how far a made-up ear is off at the beginning and the end of a sound, typically
)
Spans = dict[str, tuple[Event, ...]]  # of one clip, by label


def made_up_scores(
    labels: Sequence[str], by_eye: Sequence[str], clips: int = 400, seed: int = 0
) -> SavedScores:
    """Scores that nobody measured: each witness separates the classes it is good at well, and the others barely.

    Classes are rare (one to two a clip), and a tenth of the clips lack the ear or the eye.
    """
    random = np.random.default_rng(seed)
    truth = np.zeros((clips, len(labels)), dtype=bool)
    for row in truth:
        row[random.choice(len(labels), size=random.integers(1, 3), replace=False)] = True
    eye = np.isin(labels, by_eye)
    heard = _branch(
        random,
        truth,
        np.where(eye, random.uniform(0.6, 1.4, len(labels)), random.uniform(1.8, 3.4, len(labels))),
    )
    seen = _branch(
        random,
        truth,
        np.where(eye, random.uniform(1.8, 3.0, len(labels)), random.uniform(0.0, 1.2, len(labels))),
    )
    lacking = random.random(clips)
    heard[lacking < 0.05] = np.nan
    seen[lacking > 0.95] = np.nan
    return SavedScores(tuple(labels), heard, seen, truth)


def _branch(random: np.random.Generator, truth: NDArray[np.bool_], skill: Floats) -> Floats:
    """Log-odds from two normal distributions `skill` standard deviations apart, as probabilities."""
    odds = random.normal(size=truth.shape) + skill * (truth - 0.5) * 1.0 - 0.9
    probabilities: Floats = np.round(1 / (1 + np.exp(-1.5 * odds)), 4)
    return probabilities


def made_up_events(examples: SavedScores, seed: int = 0) -> list[Spans]:
    """When the true sounds happen in each clip: one stretch a label."""
    random = np.random.default_rng(seed)
    return [
        {examples.labels[k]: (_stretch(random),) for k in np.flatnonzero(row)}
        for row in examples.truth
    ]


def as_results(
    examples: SavedScores, weighing: Weighing, events: Sequence[Spans], seed: int = 0
) -> list[Tagged]:
    """What a tagger with these scores would have answered: the true events a little off, and somewhere where there are none."""
    random = np.random.default_rng(seed)
    fused = weighing.combine(examples.heard, examples.seen)
    thresholds = weighing.rows.pick(examples.heard, examples.seen)
    return [
        _result(examples, n, np.stack([fused[n], thresholds[n]]), events[n], random)
        for n in range(len(fused))
    ]


def _result(
    examples: SavedScores, n: int, row: Floats, events: Spans, random: np.random.Generator
) -> Tagged:
    scores = {
        label: ClassScore(
            float(row[0, k]),
            _known(examples.heard[n, k]),
            _known(examples.seen[n, k]),
            float(row[1, k]),
        )
        for k, label in enumerate(examples.labels)
    }
    tags = [
        Tag(
            label,
            s.fused,
            s.threshold,
            s.heard,
            s.seen,
            tuple(_slipped(e, random) for e in events.get(label, (_stretch(random),))),
        )
        for label, s in scores.items()
        if s.fused >= s.threshold
    ]
    tags.sort(key=lambda tag: -tag.probability)
    ear, eye = (
        _branch_of(name, table[n])
        for name, table in (("made-up ear", examples.heard), ("made-up eye", examples.seen))
    )
    clip, run = Clip(Path(f"clip {n:04d}.wav")), RunInfo("made up", "cpu", "", 0.0)
    return Tagged(clip, CLIP_SECONDS, tuple(tags), scores, (), ear, eye, run)


def _branch_of(name: str, row: Floats) -> BranchInfo:
    return BranchInfo(Status.OK if np.isfinite(row).any() else Status.NO_TRACK, name)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _stretch(random: np.random.Generator) -> Event:
    length = random.uniform(1.0, 6.0)
    start = random.uniform(0.0, CLIP_SECONDS - length)
    return Event(round(start, 2), round(start + length, 2), 1.0)


def _slipped(event: Event, random: np.random.Generator) -> Event:
    start, end = np.clip(random.normal((event.start, event.end), _SLIP_SECONDS), 0.0, CLIP_SECONDS)
    return Event(round(float(start), 2), round(max(float(end), float(start) + 0.1), 2), 0.8)
