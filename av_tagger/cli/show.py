"""Results on the terminal: a table per file, and one line about the ear and the eye in use."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from av_tagger.cli.console import Console
from av_tagger.cli.output import visible
from av_tagger.scores import BranchInfo, Event, Evidence, Failed, Outcome, Status, Tag, Tagged

EVENTS_SHOWN = 4  # further events are only counted
EVIDENCE_SHOWN = 2
NO_WEIGHTS = "no weights: av-tag weights fetch"


def show(outcome: Outcome, console: Console, errors: Console, *, top: int | None = None) -> None:
    """Print an outcome: a table of tags, or one sentence on stderr for a file that failed."""
    if isinstance(outcome, Failed):
        errors.print(Text(visible(f"av-tag: {outcome.message}"), style="red"), soft_wrap=True)
        return
    shown = chosen(outcome, top)
    console.print(table(outcome, shown) if shown else _no_tags(outcome), soft_wrap=not shown)
    for note in outcome.notes:
        line = visible(f"{outcome.clip.path}: {note}")
        errors.print(Text(line, style="yellow"), soft_wrap=True)


def table(tagged: Tagged, tags: Sequence[Tag]) -> Table:
    """Probability, branch scores, events and evidence per tag; below the threshold: dimmed.

    The column "why" is left out if no tag has evidence.
    """
    grid = Table(title=_title(tagged), title_justify="left")
    grid.add_column("tag", style="bold cyan")
    for name in ("probability", "heard", "seen"):
        grid.add_column(name, justify="right")
    grid.add_column("when")
    explained = any(tag.evidence for tag in tags)
    if explained:
        grid.add_column("why", overflow="fold")
    for tag in tags:
        scores = (f"{tag.probability:.2f}", _score(tag.heard), _score(tag.seen))
        reasons = (why(tag.evidence),) if explained else ()
        style = "" if tag.probability >= tag.threshold else "dim"
        grid.add_row(tag.label, *scores, when(tag.events), *reasons, style=style)
    return grid


def chosen(tagged: Tagged, top: int | None) -> Sequence[Tag]:
    """The tags; with `top` the most probable classes, tags first."""
    if top is None:
        return tagged.tags
    named = {tag.label for tag in tagged.tags}
    others = [
        Tag(label, score.fused, score.threshold, score.heard, score.seen)
        for label, score in tagged.scores.items()
        if label not in named
    ]
    others.sort(key=lambda tag: (tag.probability, tag.label), reverse=True)
    return [*tagged.tags, *others][:top]


def used(ear: BranchInfo, eye: BranchInfo, device: str) -> str:
    """One line: which ear and eye, with which weights, on which device."""
    return f"ear: {_branch(ear)}   eye: {_branch(eye)}   device: {device}"


def when(events: Sequence[Event]) -> str:
    spans = [f"{clock(e.start).removesuffix(' s')}–{clock(e.end)}" for e in events[:EVENTS_SHOWN]]
    more = len(events) - EVENTS_SHOWN
    return ", ".join(spans) + (f" and {more} more" if more > 0 else "")


def why(evidence: Sequence[Evidence]) -> str:
    shown = evidence[:EVIDENCE_SHOWN]
    return ", ".join(f"{e.object} {e.probability:.2f} at {clock(e.seconds)}" for e in shown)


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


def _title(tagged: Tagged) -> Text:
    duration = clock(tagged.duration_seconds)
    return Text(visible(f"{tagged.clip.path}"), style="bold").append(f"  {duration}", style="dim")


def _no_tags(tagged: Tagged) -> Text:
    """One line for a file without tags: the class that came nearest to its threshold."""
    if not tagged.scores:
        return _title(tagged).append("  no tags", style="dim")
    label, score = max(tagged.scores.items(), key=lambda item: item[1].fused - item[1].threshold)
    near = f"nearest: {label} {score.fused:.2f}, threshold {score.threshold:.2f}"
    return _title(tagged).append(f"  no tags ({near})", style="dim")
