"""Results on the terminal: a table per file, and one line about the ear and the eye in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from av_tagger.cli.cells import Items, with_commas
from av_tagger.cli.console import Console
from av_tagger.cli.output import visible
from av_tagger.cli.styles import ERROR, NAME, QUIET, STRONG, WARNING
from av_tagger.cli.tables import GAP, plain_table
from av_tagger.cli.wrapping import columns
from av_tagger.scores import (
    BranchInfo,
    Event,
    Evidence,
    Failed,
    Outcome,
    Shot,
    Status,
    Tag,
    Tagged,
)

if TYPE_CHECKING:
    from rich.table import Table

EVENTS_SHOWN = 4  # more events are summed up
EVIDENCE_SHOWN = 2
SHOTS_SHOWN = 40
THRESHOLDS_FROM = 100  # columns of the terminal with room for these
NARROW_LABEL = 20  # columns of a label below that
MARKS = "✓ tag: the probability reaches the threshold of the class"
NO_WEIGHTS = "no weights: av-tag weights fetch"


def show(outcome: Outcome, console: Console, errors: Console, *, top: int | None = None) -> None:
    """Print an outcome: a table of tags, or one sentence on stderr for a file that failed."""
    if isinstance(outcome, Failed):
        errors.say(f"av-tag: {outcome.message}", ERROR)
        return
    shown = chosen(outcome, top)
    if shown:
        console.say(_title(outcome))
        thresholds = top is not None or console.width >= THRESHOLDS_FROM
        console.print(table(shown, Look(console.width, thresholds, marks=top is not None)))
        console.print()
    else:
        console.say(_no_tags(outcome))
    if outcome.shots:
        console.print(shot_table(outcome.shots))
        console.print()
    for note in outcome.notes:
        errors.say(f"{outcome.clip.name}: {note}", WARNING)


@dataclass(frozen=True)
class Look:
    """What a table shows besides the scores, and how wide it may be."""

    width: int
    thresholds: bool = False
    marks: bool = False  # which rows are tags; others are below their thresholds

    @property
    def heads(self) -> list[str]:
        """Of the columns of numbers."""
        return ["probability", *(["threshold"] if self.thresholds else []), "heard", "seen"]

    def room(self, tags: Sequence[Tag]) -> int:
        """Columns that are left for times and reasons."""
        labels = max(columns(_label(tag, self)) for tag in tags)
        return self.width - labels - sum(GAP + len(head) for head in self.heads) - GAP


def table(tags: Sequence[Tag], look: Look) -> Table:
    """Probability, branch scores, events and evidence per tag; below the threshold: grey.

    Times and reasons stand beside each other where each fits in one line, else under each other.
    """
    rows = [(Items(when(tag.events)), Items(why(tag.evidence, tag.mark), QUIET)) for tag in tags]
    times, reasons = (max(items.width for items in both) for both in zip(*rows, strict=True))
    explained = reasons > 0
    split = explained and times + GAP + reasons <= look.room(tags)
    grid = plain_table(caption=MARKS if look.marks else None, caption_justify="left")
    limit = None if look.width >= THRESHOLDS_FROM else NARROW_LABEL
    grid.add_column("class" if look.marks else "tag", overflow="fold", max_width=limit)
    for name in look.heads:
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("when" if split or not explained else "when, and why")
    if split:
        grid.add_column("why")
    for tag, texts in zip(tags, rows, strict=True):
        is_tag = tag.probability >= tag.threshold
        limits = (_threshold(tag.threshold),) if look.thresholds else ()
        scores = (f"{tag.probability:.2f}", *limits, _score(tag.heard), _score(tag.seen))
        label = Text(_label(tag, look), style=NAME if is_tag else "")
        cells = texts if split else (Group(*texts),)
        grid.add_row(label, *scores, *cells, style="" if is_tag else QUIET)
    return grid


def _label(tag: Tag, look: Look) -> str:
    mark = "✓ " if tag.probability >= tag.threshold else "  "
    return visible(f"{mark if look.marks else ''}{tag.label}")


def shot_table(shots: Sequence[Shot]) -> Table:
    """The shots of a film and the tags in each."""
    grid = plain_table(caption_justify="left")
    grid.add_column("shot", justify="right", no_wrap=True)
    grid.add_column("time", no_wrap=True)
    grid.add_column("tags, with their peaks")
    for number, shot in enumerate(shots[:SHOTS_SHOWN], 1):
        tags = with_commas([f"{label} {_score(peak)}" for label, peak in shot.tags])
        grid.add_row(str(number), span(shot.start, shot.end), Items(tags or ["–"]))
    if len(shots) > SHOTS_SHOWN:
        grid.caption = f"and {len(shots) - SHOTS_SHOWN} more shots: see --json or -o FOLDER"
    return grid


def chosen(tagged: Tagged, top: int | None) -> Sequence[Tag]:
    """The tags; with `top` also the classes that came nearest to their thresholds.

    Nearness is measured in log odds: .38 of .50 is nearer than .01 of .08.
    """
    if top is None:
        return tagged.tags
    named = {tag.label for tag in tagged.tags}
    others = [
        Tag(label, score.fused, score.threshold, score.heard, score.seen)
        for label, score in tagged.scores.items()
        if label not in named and score.known
    ]
    others.sort(key=lambda tag: (tagged.scores[tag.label].margin, tag.label), reverse=True)
    return [*tagged.tags, *others][:top]


def used(ear: BranchInfo, eye: BranchInfo, device: str, *, verbose: bool = False) -> list[str]:
    """Which ear and eye on which device: one line of names, or all that is known of each."""
    if verbose:
        return [f"ear: {_detailed(ear)}", f"eye: {_detailed(eye)}", f"device: {device}"]
    heard = (ear.weights or ear.model).split("+")
    heard = ear.model.split("+") if "+" in ear.model else heard
    names = " + ".join(name.removeprefix("crnn.") for name in heard)
    seen = eye.model.rpartition(", ")[2]
    return [f"ear: {_short(ear, names)} · eye: {_short(eye, seen)} · device: {device}"]


def when(events: Sequence[Event]) -> list[str]:
    """A few events one by one; many as their number, their span, and where the longest is."""
    if len(events) <= EVENTS_SHOWN:
        return with_commas([span(e.start, e.end) for e in events])
    longest = max(events, key=lambda e: e.end - e.start)
    whole = span(events[0].start, max(e.end for e in events))
    return with_commas([f"{len(events)} events", whole, f"longest at {clock(longest.start)}"])


def span(start: float, end: float) -> str:
    return f"{clock(start).removesuffix(' s')}–{clock(end)}"


def why(evidence: Sequence[Evidence], mark: str = "") -> list[str]:
    """A remark such as `heard, not seen`, and what was seen where."""
    shown = evidence[:EVIDENCE_SHOWN]
    reasons = [f"{e.object} {e.probability:.2f} at {clock(e.seconds)}" for e in shown]
    remark = [visible(mark) + (":" if reasons else "")] if mark else []
    return [*remark, *with_commas(reasons)]


def clock(seconds: float) -> str:
    """3.2 s, 1:03.2 or 1:02:03.2, whichever is shortest."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _detailed(branch: BranchInfo) -> str:
    weights = f", {branch.weights}" if branch.weights else ""
    return _short(branch, f"{branch.model}{weights}", f"{branch.model} ({NO_WEIGHTS})")


def _short(branch: BranchInfo, name: str, without: str = NO_WEIGHTS) -> str:
    """The name with what is special about the branch; for a branch that is off, that alone."""
    if branch.status is Status.NO_WEIGHTS:
        return without
    if branch.status in (Status.OFF, Status.NO_TRACK):
        return str(branch.status)
    return name if branch.status is Status.OK else f"{name} ({branch.status})"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _threshold(value: float) -> str:
    """A threshold that no probability reaches switches the class off."""
    return f"{value:.2f}" if value <= 1 else "off"


def _title(tagged: Tagged) -> Text:
    duration = clock(tagged.duration_seconds)
    return Text().append(visible(tagged.clip.name), STRONG).append(f"  {duration}", QUIET)


def _no_tags(tagged: Tagged) -> Text:
    """One line for a file without tags: the class that came nearest to its threshold."""
    known = {label: score for label, score in tagged.scores.items() if score.known}
    if not known:
        why_not = " (no class got a score)" if tagged.scores else ""
        return _title(tagged).append(f"  no tags{why_not}", style=QUIET)
    label, score = max(known.items(), key=lambda item: item[1].margin)
    near = f"nearest: {label} {score.fused:.2f}, threshold {score.threshold:.2f}"
    return _title(tagged).append(f"  no tags ({near})", style=QUIET)
