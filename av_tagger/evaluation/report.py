"""The evaluation as a whole: reads the files, scores them, and gives a report with its JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.dcase import SoundEvent, parse_name, public_name
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.evaluation.detection import EventScores, score_events
from av_tagger.evaluation.event_scores import CollarScores, collar_scores, psds
from av_tagger.evaluation.labelled import LabelledScores, labelled_scores
from av_tagger.evaluation.modality import Counted, modality_counts
from av_tagger.evaluation.official import (
    OfficialScores,
    OfficialTable,
    read_official,
    score_officially,
)
from av_tagger.evaluation.predictions import (
    BRANCHES,
    Predictions,
    is_json,
    matched,
    read_predictions,
    shorter_than_named,
    without_unknown,
)
from av_tagger.evaluation.ranking import Ranking, curves, rank
from av_tagger.evaluation.tagging import TagScores, confusion, label_matrix, score_tags
from av_tagger.evaluation.truth import WeakTruth, read_true_events, read_truth
from av_tagger.evaluation.uncertainty import Comparison, Uncertainty, compare, uncertainty
from av_tagger.labels import dcase2017

if TYPE_CHECKING:
    from pathlib import Path

    from av_tagger.labels import ClassList

TASKS = ("a", "b")
DIFFERENCES_B = (
    "a clip of the ground truth without a prediction counts as missed, not as absent",
    "predictions for other clips are left out and counted",
    "rows from 0 to 0 mean that nothing is heard",
)
SHARE_OF_WEAK_ROWS = 0.5  # a strong list has few events that begin and end with the clip's name


@dataclass(frozen=True)
class TagReport:
    """Subtask A."""

    scores: TagScores
    failed: int
    repeated: int
    confusion: list[list[int]]
    rankings: dict[str, Ranking]  # by branch that was used; empty without scores
    curves: dict[str, Any]  # by label, of the fused scores
    uncertainty: Uncertainty
    scored: dict[str, int] = field(default_factory=dict)  # clips of the truth, by branch
    remarks: tuple[str, ...] = ()
    comparison: Comparison | None = None
    modality: Counted = field(default_factory=dict)  # by class; empty without ear and eye

    @property
    def unused(self) -> tuple[str, ...]:
        """Branches that scored no clip: the run had no ear, or no eye."""
        return tuple(b for b in BRANCHES if b not in self.rankings) if self.rankings else ()

    def as_json(self) -> dict[str, Any]:
        return {
            "task": "a",
            **self.scores.as_json(),
            "ranking": {branch: ranking.as_json() for branch, ranking in self.rankings.items()},
            "unused": list(self.unused),
            "scored": self.scored,
            "remarks": list(self.remarks),
            "failed": self.failed,
            "repeated": self.repeated,
            "confusion": self.confusion,
            "curves": self.curves,
            "intervals": self.uncertainty.as_json(),
            "looking": self.modality,
            "comparison": None if self.comparison is None else self.comparison.as_json(),
        }


@dataclass(frozen=True)
class EventReport:
    """Subtask B."""

    scores: EventScores
    failed: int
    remarks: tuple[str, ...] = ()
    collar: CollarScores | None = None  # on demand
    psds: Mapping[str, float] = field(default_factory=dict)  # by scenario

    def as_json(self) -> dict[str, Any]:
        report = {"task": "b", **self.scores.as_json(), "failed": self.failed}
        if self.collar is not None:
            report |= {"collar": self.collar.as_json(), "psds": dict(self.psds)}
        return report | {"differences": list(DIFFERENCES_B), "remarks": list(self.remarks)}


@dataclass(frozen=True)
class OfficialReport:
    """Subtask A as the challenge's script scores it."""

    scores: OfficialScores

    def as_json(self) -> dict[str, Any]:
        return {"task": "a", "official": True, **self.scores.as_json()}


Report = TagReport | EventReport | OfficialReport


def score(
    predictions: Path,
    truth: Path,
    classes: ClassList | None = None,
    task: str = "a",
    *,
    official: bool = False,
    old: Path | None = None,
    event_scores: bool = False,
) -> Report:
    """Subtask a (tags per clip) or b (events)."""
    task = task.casefold()
    if task not in TASKS:
        raise UsageError(f"there is no task {task!r}; {did_you_mean(task, TASKS)}")
    if old is not None and (official or task != "a"):
        raise UsageError("--compare is for task a, without --official")
    if task == "a":
        if event_scores:
            raise UsageError("--event-scores is for task b; add --task b")
        if not official:
            return evaluate_tags(predictions, truth, classes, old)
        return evaluate_officially(predictions, truth, classes)
    if official:
        raise UsageError(
            "--official is for task a; task b is always scored in segments of 1 s, as by the"
            " challenge, except for what its report lists"
        )
    classes = classes or dcase2017()
    return evaluate_events(predictions, truth, classes, event_scores=event_scores)


def evaluate_tags(
    predictions: Path, truth: Path, classes: ClassList | None = None, old: Path | None = None
) -> TagReport:
    """`old`: predictions to compare with."""
    found = read_truth(truth, classes, partly=True)
    real, classes = found.tags, found.classes
    read = _known_of(predictions, found)
    tags = {name: clip.tags for name, clip in read.clips.items()}
    scores = score_tags(real, tags, classes.labels)
    table = confusion(
        label_matrix(real.values(), classes.labels),
        label_matrix((tags.get(name, ()) for name in real), classes.labels),
    )
    rankings, drawn, scored = _ranked(read, found)
    before = None
    if old is not None:
        before = _known_of(old, found)
    return TagReport(
        scores,
        len(read.failed),
        read.repeated,
        table.tolist(),
        rankings,
        drawn,
        uncertainty(read, real, classes.labels, found.recordings),
        scored,
        (*found.remarks, *_remarks(read)),
        None if before is None else compare(before, read, real, classes.labels, found.recordings),
        modality_counts(read, found),
    )


def _known_of(predictions: Path, truth: WeakTruth) -> Predictions:
    """Under the keys of the truth, without what the truth does not know."""
    read = read_predictions(predictions, truth.classes, others=truth.manifest)
    return without_unknown(matched(read, truth.tags), truth.unknown)


def evaluate_events(
    predictions: Path, truth: Path, classes: ClassList, *, event_scores: bool = False
) -> EventReport:
    """With `event_scores` also collar-based F1, and PSDS where the results have activity."""
    real = read_true_events(truth, classes)
    read = matched(read_predictions(predictions, classes), real)
    events = {name: clip.events for name, clip in read.clips.items()}
    scores = score_events(real, events, classes.labels)
    weak = (WEAK_TRUTH,) if _looks_weak(real) else ()
    report = EventReport(scores, len(read.failed), (*weak, *_remarks(read)))
    if not event_scores:
        return report
    collar, found = collar_scores(real, events, classes.labels), dict[str, float]()
    try:
        if read.has_scores:
            found = psds(predictions, real, classes.labels, read.renamed)
    except UsageError as error:
        report = replace(report, remarks=(*report.remarks, str(error)))
    return replace(report, collar=collar, psds=found)


WEAK_TRUTH = (
    "the ground truth looks like a weak list (its times are those of the clips in their videos);"
    " task b needs the strong list, with onset and offset in the clip"
)


def _looks_weak(real: Mapping[str, Sequence[SoundEvent]]) -> bool:
    """Most rows begin and end where the name of the clip says, and not at the clip's start."""
    pairs = [
        (name.start, name.end, event.start, event.end)
        for key, events in real.items()
        if (name := parse_name(key)) and name.start
        for event in events
    ]
    same = sum((a, b) == (start, end) for a, b, start, end in pairs)
    return same > SHARE_OF_WEAK_ROWS * len(pairs) if pairs else False


def _remarks(read: Predictions) -> tuple[str, ...]:
    lines = []
    if read.renamed:
        own, name = next(iter(read.renamed.items()))
        lines.append(f"matched by id and start or length: {len(read.renamed)} ({own} is {name})")
    if short := shorter_than_named(read):
        lines.append(f"shorter than listed: {len(short)} clips, such as {short[0]}")
    if read.left_out:
        some = ", ".join(read.left_out[:3])
        lines.append(f"results have {len(read.left_out)} more classes, left out: {some} ...")
    return tuple(lines)


def evaluate_officially(
    predictions: Path, truth: Path, classes: ClassList | None = None
) -> OfficialReport:
    """A table is read as the script reads it; JSON lines are scored like their submission."""
    classes = classes or dcase2017()
    if predictions.is_dir() or is_json(predictions):
        clips = read_predictions(predictions, classes).clips
        names = {public_name(name).removesuffix(".wav"): clip.tags for name, clip in clips.items()}
        table = OfficialTable.of(names)
    else:
        table = read_official(predictions)
    return OfficialReport(score_officially(read_official(truth), table))


def without_nan(value: Any) -> Any:
    """NaN and infinity become None, since JSON has neither."""
    if isinstance(value, dict):
        return {key: without_nan(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ranked(
    read: Predictions, truth: WeakTruth
) -> tuple[dict[str, Ranking], dict[str, Any], dict[str, int]]:
    """Rankings by branch, curves of the fused scores by label, and scored clips by branch."""
    if not read.has_scores:
        return {}, {}, {}
    classes = truth.classes
    table: LabelledScores = labelled_scores(read, truth.tags, classes.labels)
    known = _known_pairs(table, truth)
    scored = {b: int(np.isfinite(getattr(table, b)).any(1).sum()) for b in BRANCHES}
    used = [b for b, clips in scored.items() if clips]
    rankings = {b: rank(getattr(table, b), table.truth, table.labels, known) for b in used}
    drawn = {
        label: curves(table.fused[known[:, k], k], table.truth[known[:, k], k]).as_json()
        for k, label in enumerate(classes.labels)
    }
    return rankings, drawn, scored


def _known_pairs(table: LabelledScores, truth: WeakTruth) -> NDArray[np.bool_]:
    """(clips, classes) pairs of which the truth is known."""
    none: frozenset[str] = frozenset()
    rows = [truth.unknown.get(name, none) for name in table.names]
    return np.array([[label not in row for label in table.labels] for row in rows], np.bool_)
