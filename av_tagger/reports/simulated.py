"""Simulated scores and results for notebooks, benchmarks and tests: random, with known truth."""

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
_ONSET_ERROR = 0.4  # seconds: standard deviation of predicted starts and ends
_STRONG, _EYE_STRONG = (1.8, 3.4), (1.8, 3.0)  # standard deviations between the two truths
_WEAK, _EYE_WEAK = (0.6, 1.4), (0.0, 1.2)
_ABSENT = 0.05  # share of clips without an ear, and as many without an eye

Spans = dict[str, tuple[Event, ...]]  # events of one clip, by label


def simulated_scores(
    labels: Sequence[str], by_eye: Sequence[str], clips: int = 400, seed: int = 0
) -> SavedScores:
    """Random scores: the eye is good at the classes `by_eye`, the ear at all others.

    Each clip has one or two classes, and a tenth of the clips lack the ear or the eye.
    """
    random = np.random.default_rng(seed)
    truth = np.zeros((clips, len(labels)), dtype=bool)
    for row in truth:
        row[random.choice(len(labels), size=random.integers(1, 3), replace=False)] = True
    eye, n = np.isin(labels, by_eye), len(labels)
    heard_skill = np.where(eye, random.uniform(*_WEAK, n), random.uniform(*_STRONG, n))
    heard = _scores(random, truth, heard_skill)
    seen_skill = np.where(eye, random.uniform(*_EYE_STRONG, n), random.uniform(*_EYE_WEAK, n))
    seen = _scores(random, truth, seen_skill)
    absent = random.random(clips)
    heard[absent < _ABSENT] = np.nan
    seen[absent > 1 - _ABSENT] = np.nan
    return SavedScores(tuple(labels), heard, seen, truth)


def _scores(random: np.random.Generator, truth: NDArray[np.bool_], skill: Floats) -> Floats:
    """Probabilities with normal log-odds; positives lie `skill` above negatives."""
    odds = random.normal(size=truth.shape) + skill * (truth - 0.5) - 0.9
    probabilities: Floats = np.round(1 / (1 + np.exp(-1.5 * odds)), 4)
    return probabilities


def simulated_events(examples: SavedScores, seed: int = 0) -> list[Spans]:
    """True events of each clip: one per label."""
    random = np.random.default_rng(seed)
    return [
        {examples.labels[k]: (_event(random),) for k in np.flatnonzero(row)}
        for row in examples.truth
    ]


def simulated_results(
    examples: SavedScores, weighing: Weighing, events: Sequence[Spans], seed: int = 0
) -> list[Tagged]:
    """The results of a tagger with these scores; its events are the true ones with errors."""
    random = np.random.default_rng(seed)
    fused = weighing.combine(examples.heard, examples.seen)
    thresholds = weighing.rows.pick(examples.heard, examples.seen)
    rows = np.stack([fused, thresholds], axis=1)
    return [_result(examples, n, rows[n], events[n], random) for n in range(len(fused))]


def _result(
    examples: SavedScores, n: int, row: Floats, events: Spans, random: np.random.Generator
) -> Tagged:
    heard, seen = examples.heard[n], examples.seen[n]
    scores = {
        label: ClassScore(float(row[0, k]), _known(heard[k]), _known(seen[k]), float(row[1, k]))
        for k, label in enumerate(examples.labels)
    }
    tags = [
        Tag(label, s.fused, s.threshold, s.heard, s.seen, _predicted(events.get(label), random))
        for label, s in scores.items()
        if s.fused >= s.threshold
    ]
    tags.sort(key=lambda tag: -tag.probability)
    ear, eye = _branch("simulated ear", heard), _branch("simulated eye", seen)
    clip, run = Clip(Path(f"clip {n:04d}.wav")), RunInfo("simulated", "cpu", "", 0.0)
    return Tagged(clip, CLIP_SECONDS, tuple(tags), scores, (), ear, eye, run)


def _branch(name: str, row: Floats) -> BranchInfo:
    return BranchInfo(Status.OK if np.isfinite(row).any() else Status.NO_TRACK, name)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _event(random: np.random.Generator) -> Event:
    length = random.uniform(1.0, 6.0)
    start = random.uniform(0.0, CLIP_SECONDS - length)
    return Event(round(start, 2), round(start + length, 2), 1.0)


def _predicted(true: tuple[Event, ...] | None, random: np.random.Generator) -> tuple[Event, ...]:
    """The true events with errors of start and end; a false tag gets a random event."""
    return tuple(_inexact(event, random) for event in true or (_event(random),))


def _inexact(event: Event, random: np.random.Generator) -> Event:
    ends = random.normal((event.start, event.end), _ONSET_ERROR)
    start, end = np.clip(ends, 0.0, CLIP_SECONDS)
    return Event(round(float(start), 2), round(max(float(end), float(start) + 0.1), 2), 0.8)
