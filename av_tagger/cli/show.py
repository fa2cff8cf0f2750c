"""Results on the terminal: a table per file, and one line about the ear and the eye in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from av_tagger.cli.console import Console
from av_tagger.cli.output import visible
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

EVENTS_SHOWN = 4  # more events are summed up
EVIDENCE_SHOWN = 2
SHOTS_SHOWN = 40
WIDE = 100  # columns from which on there is room for thresholds
MARKS = "✓ tag: the probability reaches the threshold of the class"
NO_WEIGHTS = "no weights: av-tag weights fetch"


def show(outcome: Outcome, console: Console, errors: Console, *, top: int | None = None) -> None:
    """Print an outcome: a table of tags, or one sentence on stderr for a file that failed."""
    if isinstance(outcome, Failed):
        errors.print(Text(visible(f"av-tag: {outcome.message}"), style="red"), soft_wrap=True)
        return
    shown = chosen(outcome, top)
    if shown:
        console.print(_title(outcome))
        look = Look(thresholds=top is not None or console.width >= WIDE, marks=top is not None)
        console.print(table(shown, look))
    else:
        console.print(_no_tags(outcome))
    if outcome.shots:
        console.print(shot_table(outcome.shots))
    for note in outcome.notes:
        line = visible(f"{outcome.clip.name}: {note}")
        errors.print(Text(line, style="yellow"), soft_wrap=True)


@dataclass(frozen=True)
class Look:
    """What a table shows besides the scores."""

    thresholds: bool = False
    marks: bool = False  # which rows are tags; others are below their thresholds


def table(tags: Sequence[Tag], look: Look) -> Table:
    """Probability, branch scores, events and evidence per tag; below the threshold: dimmed.

    The column "why" is left out if no tag has evidence or a mark.
    """
    grid = Table(caption=MARKS if look.marks else None, caption_justify="left")
    grid.add_column("class" if look.marks else "tag", style="bold cyan")
    for name in ("probability", *(["threshold"] if look.thresholds else []), "heard", "seen"):
        grid.add_column(name, justify="right")
    grid.add_column("when")
    explained = any(tag.evidence or tag.mark for tag in tags)
    if explained:
        grid.add_column("why", overflow="fold")
    for tag in tags:
        is_tag = tag.probability >= tag.threshold
        limit = (_threshold(tag.threshold),) if look.thresholds else ()
        scores = (f"{tag.probability:.2f}", *limit, _score(tag.heard), _score(tag.seen))
        reasons = (why(tag.evidence, tag.mark),) if explained else ()
        label = f"{'✓' if is_tag else ' '} {tag.label}" if look.marks else tag.label
        grid.add_row(label, *scores, when(tag.events), *reasons, style="" if is_tag else "dim")
    return grid


def shot_table(shots: Sequence[Shot]) -> Table:
    """The shots of a film and the tags in each."""
    grid = Table(caption_justify="left")
    grid.add_column("shot", justify="right")
    grid.add_column("time")
    grid.add_column("tags, with their peaks", overflow="fold")
    for number, shot in enumerate(shots[:SHOTS_SHOWN], 1):
        tags = ", ".join(f"{label} {_score(peak)}" for label, peak in shot.tags)
        grid.add_row(str(number), span(shot.start, shot.end), tags or "–")
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


def used(ear: BranchInfo, eye: BranchInfo, device: str) -> str:
    """One line: which ear and eye, with which weights, on which device."""
    return f"ear: {_branch(ear)}   eye: {_branch(eye)}   device: {device}"


def when(events: Sequence[Event]) -> str:
    """A few events one by one; many as their number, their span, and where the longest is."""
    if len(events) <= EVENTS_SHOWN:
        return ", ".join(span(e.start, e.end) for e in events)
    longest = max(events, key=lambda e: e.end - e.start)
    whole = span(events[0].start, max(e.end for e in events))
    return f"{len(events)} events, {whole}, longest at {clock(longest.start)}"


def span(start: float, end: float) -> str:
    return f"{clock(start).removesuffix(' s')}–{clock(end)}"


def why(evidence: Sequence[Evidence], mark: str = "") -> str:
    shown = evidence[:EVIDENCE_SHOWN]
    reasons = ", ".join(f"{e.object} {e.probability:.2f} at {clock(e.seconds)}" for e in shown)
    return ": ".join(part for part in (visible(mark), reasons) if part)


def clock(seconds: float) -> str:
    """3.2 s, 1:03.2 or 1:02:03.2, whichever is shortest."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _branch(branch: BranchInfo) -> str:
    if branch.status is Status.NO_WEIGHTS:
        return f"{branch.model} ({NO_WEIGHTS})"
    if branch.status in (Status.OFF, Status.NO_TRACK):
        return str(branch.status)
    weights = f", {branch.weights}" if branch.weights else ""
    state = "" if branch.status is Status.OK else f" ({branch.status})"
    return f"{branch.model}{weights}{state}"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _threshold(value: float) -> str:
    """A threshold that no probability reaches switches the class off."""
    return f"{value:.2f}" if value <= 1 else "off"


def _title(tagged: Tagged) -> Text:
    duration = clock(tagged.duration_seconds)
    return Text(visible(tagged.clip.name), style="bold").append(f"  {duration}", style="dim")


def _no_tags(tagged: Tagged) -> Text:
    """One line for a file without tags: the class that came nearest to its threshold."""
    known = {label: score for label, score in tagged.scores.items() if score.known}
    if not known:
        why_not = " (no class got a score)" if tagged.scores else ""
        return _title(tagged).append(f"  no tags{why_not}", style="dim")
    label, score = max(known.items(), key=lambda item: item[1].margin)
    near = f"nearest: {label} {score.fused:.2f}, threshold {score.threshold:.2f}"
    return _title(tagged).append(f"  no tags ({near})", style="dim")
