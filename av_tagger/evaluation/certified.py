"""A fusion whose thresholds hold a goal on new clips: split by recording, fit, order, then test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from av_tagger.errors import UsageError
from av_tagger.evaluation.guarantees import (
    ALARMS,
    RECALL,
    Bools,
    ClassClips,
    Floats,
    Goal,
    Guarantee,
    guarantee,
)
from av_tagger.evaluation.labelled import LabelledScores, labelled_scores
from av_tagger.evaluation.predictions import matched, read_predictions
from av_tagger.evaluation.truth import read_truth
from av_tagger.fusion.fit import FitSettings, FusionFitter
from av_tagger.fusion.logit import LogitFusion
from av_tagger.fusion.thresholds import NOTHING

if TYPE_CHECKING:
    from pathlib import Path

    from av_tagger.fusion import Weighing
    from av_tagger.labels import ClassList

FIT_SHARE = 1 / 3  # of the recordings: fits the weights, orders the thresholds; the others test
ROWS = ("both", "ear", "eye")
METHODS = {
    ALARMS: "an exact Poisson bound",
    RECALL: "an exact binomial bound on order statistics",
    "precision": "Learn-then-Test with exact binomial tests",
}


@dataclass(frozen=True)
class CertifiedClass:
    """One class: its threshold in the main row, its bound, and counts on the test clips."""

    label: str
    row: str  # both, ear or eye: the row that decides most of these clips
    result: Guarantee
    tagged: int
    right: int
    positives: int


@dataclass(frozen=True)
class Certified:
    """A fusion with guaranteed thresholds, and how each of them came about."""

    fusion: Weighing
    goal: Goal
    classes: tuple[CertifiedClass, ...]
    fit_clips: int
    test_clips: int  # one clip per recording

    @property
    def failed(self) -> tuple[CertifiedClass, ...]:
        return tuple(c for c in self.classes if not c.result.holds)

    @property
    def together(self) -> float:
        """Confidence that all guaranteed classes hold at once (union bound)."""
        count = len(self.classes) - len(self.failed)
        return max(0.0, 1.0 - count * self.goal.delta)

    @property
    def statement(self) -> str:
        """The guarantee in words: goal, confidence, method, assumption."""
        goal = self.goal
        words = {
            ALARMS: f"at most {goal.value:g} false tags per hour",
            RECALL: f"recall of at least {goal.value:g}",
            "precision": f"precision of at least {goal.value:g}",
        }[goal.kind]
        return (
            f"Every class that is not switched off has {words} with {100 * goal.confidence:g} %"
            f" confidence, by {METHODS[goal.kind]} on {self.test_clips} clips, one per recording."
            f" {self._at_once} Assumption: new clips come from the same distribution as these."
        )

    @property
    def _at_once(self) -> str:
        """What holds for all classes together, and what would."""
        count = len(self.classes) - len(self.failed)
        if count < 2:
            return "That is one class."
        alone = 1.0 - self.goal.delta / count
        known = f"with at least {100 * self.together:.0f} % confidence"
        together = known if self.together > 0 else "with no known confidence"
        return (
            f"All {count} classes at once hold it {together}"
            f" (union bound); for {100 * self.goal.confidence:g} % at once give --confidence"
            f" {math.ceil(alone * 1e4) / 1e4:g}."
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "goal": vars(self.goal),
            "statement": self.statement,
            "fit_clips": self.fit_clips,
            "test_clips": self.test_clips,
            "confidence_together": self.together,
            "classes": {
                c.label: {
                    **vars(c.result),
                    "row": c.row,
                    "tagged": c.tagged,
                    "right": c.right,
                    "positives": c.positives,
                }
                for c in self.classes
            },
        }


def certify(
    results: Path, truth: Path, classes: ClassList | None, settings: FitSettings, goal: Goal
) -> Certified:
    """Fit to one third of the recordings, guarantee thresholds on the others."""
    real = read_truth(truth, classes)
    read = matched(read_predictions(results, real.classes, others=real.manifest), real.tags)
    data = labelled_scores(read, real.tags, real.classes.labels, real.recordings)
    hours = np.array([read.clips[name].seconds for name in data.names]) / 3600
    if goal.kind == ALARMS and not (hours > 0).all():
        raise UsageError(f"{results}: has no durations; use the JSON lines of av-tag --json")
    return certified(data, hours, settings, goal)


def certified(data: LabelledScores, hours: Floats, settings: FitSettings, goal: Goal) -> Certified:
    fit, test = halves(data.groups, settings.seed)
    fitted = FusionFitter(settings).fit(
        data.heard[fit], data.seen[fit], data.truth[fit], data.labels
    )
    parts = [_Part(fitted.fusion_, data, hours, which) for which in (fit, test)]
    found = [_class(goal, parts[0], parts[1], k) for k in range(len(data.labels))]
    rows = {row: np.array([f[row].threshold for _, f in found]) for row in ROWS}
    done = Certified(
        fitted.fusion_.with_thresholds(**rows),
        goal,
        tuple(c for c, _ in found),
        int(fit.sum()),
        int(test.sum()),
    )
    return replace(done, fusion=replace(done.fusion, note=done.statement))


def refuse_failed(done: Certified, where: Path) -> None:
    """An error that says what is missing, if a class has no guarantee."""
    short = [c for c in done.failed if c.result.missing]
    never = [c.label for c in done.failed if not c.result.missing]
    unit = "hours" if done.goal.kind == ALARMS else "clips"
    share = 1.0 - FIT_SHARE
    needs = [f"{math.ceil(c.result.missing / share)} more {unit} of {c.label}" for c in short]
    reasons = [f"needs at least {', '.join(needs)}"] if needs else []
    reasons += [f"no threshold reaches it for {', '.join(never)}"] if never else []
    if reasons:
        raise UsageError(
            f"{where}: {done.goal.kind} {done.goal.value:g} cannot be guaranteed with"
            f" {100 * done.goal.confidence:g} % confidence: {'; '.join(reasons)}; add clips, or"
            " switch these classes off with --where-possible"
        )


def halves(groups: tuple[str, ...], seed: int) -> tuple[Bools, Bools]:
    """Clips to fit, all of their recordings; and one random clip of each other recording."""
    names, member = np.unique(np.array(groups, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    to_fit = np.zeros(len(names), np.bool_)
    to_fit[order[: max(1, round(FIT_SHARE * len(names)))]] = True
    shuffled = rng.permutation(len(member))
    _, first = np.unique(member[shuffled], return_index=True)  # a random clip per recording
    chosen = np.zeros(len(member), np.bool_)
    chosen[shuffled[first]] = True
    return to_fit[member], chosen & ~to_fit[member]


@dataclass(frozen=True)
class _Part:
    """Some of the clips, with what each row of thresholds is compared with."""

    fusion: Weighing
    data: LabelledScores
    hours: Floats
    which: Bools

    def clips(self, k: int) -> Mapping[str, tuple[ClassClips, Bools]]:
        """By row: the scores of class k, and the clips that this row decides."""
        heard, seen = self.data.heard[self.which], self.data.seen[self.which]
        scores = {"both": self.fusion.combine(heard, seen), "ear": heard, "eye": seen}
        used = dict(_decided_by(self.fusion, heard, seen))
        truth, hours = self.data.truth[self.which, k], self.hours[self.which]
        return {row: (ClassClips(scores[row][:, k], truth, hours), used[row][:, k]) for row in ROWS}


def _decided_by(fusion: Weighing, heard: Floats, seen: Floats) -> Iterator[tuple[str, Bools]]:
    """(clips, classes) for each row of thresholds: where it is the one that counts."""
    hears, sees = np.isfinite(heard), np.isfinite(seen)
    looked = isinstance(fusion, LogitFusion) and sees.any()  # no evidence is no missing eye
    both = hears if looked else hears & sees
    yield from {"both": both, "ear": hears & ~both, "eye": sees & ~hears}.items()


def _class(
    goal: Goal, fit: _Part, test: _Part, k: int
) -> tuple[CertifiedClass, Mapping[str, Guarantee]]:
    """The guarantee of the main row, and those of all rows: switched off where there is none."""
    order, clips = fit.clips(k), test.clips(k)
    main = max(ROWS, key=lambda row: int(clips[row][1].sum()))
    found = {row: _row(goal, order[row], clips[row], row == main) for row in ROWS}
    if not found[main].holds:
        found = {row: replace(g, threshold=NOTHING) for row, g in found.items()}
    scores, used = clips[main]
    said = used & (scores.scores >= found[main].threshold)
    counts = int(said.sum()), int((said & scores.truth).sum()), int(scores.truth.sum())
    return CertifiedClass(test.data.labels[k], main, found[main], *counts), found


def _row(
    goal: Goal, order: tuple[ClassClips, Bools], test: tuple[ClassClips, Bools], main: bool
) -> Guarantee:
    """A row that decides no clip of these is tested on all scores of its branch."""
    scores, used = test
    if main and goal.kind == RECALL:  # what other rows decide counts as missed
        all_clips = replace(scores, scores=np.where(used, scores.scores, np.nan))
        return guarantee(goal, order[0], all_clips)
    used = used if used.any() else np.isfinite(scores.scores)
    fit = order[1] if order[1].any() else np.isfinite(order[0].scores)
    return guarantee(goal, order[0].of(fit), scores.of(used))
