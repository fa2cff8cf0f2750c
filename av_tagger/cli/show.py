"""Results for people: one table a file, and the one line that says what was used."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from av_tagger.scores import BranchInfo, Event, Evidence, Failed, Outcome, Status, Tag, Tagged

MORE_EVENTS = 4  # that many spans of time stand in the table before the rest is only counted

_ADVICE = {
    Status.NO_WEIGHTS: "no weights: av-tag weights fetch",
    Status.NO_TRACK: "no track",
    Status.OFF: "off",
}


def show(outcome: Outcome, console: Console, errors: Console, *, top: int | None = None) -> None:
    """Print one outcome: a table of tags, or one sentence on stderr for a clip that failed."""
    if isinstance(outcome, Failed):
        errors.print(Text(f"av-tag: {outcome.message}", style="red"), soft_wrap=True)
        return
    shown = chosen(outcome, top)
    console.print(table(outcome, shown) if shown else _nothing(outcome), soft_wrap=not shown)
    for note in outcome.notes:
        errors.print(Text(f"{outcome.clip.path}: {note}", style="yellow"), soft_wrap=True)


def table(tagged: Tagged, tags: Sequence[Tag]) -> Table:
    """Tag, probability, what was heard and seen, when, and why; classes below their threshold are dim."""
    grid = Table(title=_title(tagged), title_justify="left")
    grid.add_column("tag", style="bold cyan")
    for name in ("probability", "heard", "seen"):
        grid.add_column(name, justify="right")
    grid.add_column("when")
    grid.add_column("why", overflow="fold")
    for tag in tags:
        style = "" if tag.probability >= tag.threshold else "dim"
        grid.add_row(
            tag.label,
            f"{tag.probability:.2f}",
            _score(tag.heard),
            _score(tag.seen),
            when(tag.events),
            why(tag.evidence),
            style=style,
        )
    return grid


def chosen(tagged: Tagged, top: int | None) -> Sequence[Tag]:
    """The tags, or with `top` the most probable classes, tags first."""
    if top is None:
        return tagged.tags
    named = {tag.label for tag in tagged.tags}
    rest = sorted((s.fused, label) for label, s in tagged.scores.items() if label not in named)[
        ::-1
    ]
    others = [
        Tag(
            label,
            fused,
            tagged.scores[label].threshold,
            tagged.scores[label].heard,
            tagged.scores[label].seen,
        )
        for fused, label in rest
    ]
    return [*tagged.tags, *others][:top]


def used(ear: BranchInfo, eye: BranchInfo, device: str) -> str:
    """One line: which ear, which eye, which weights, which device."""
    return f"ear: {_branch(ear)}   eye: {_branch(eye)}   device: {device}"


def when(events: Sequence[Event]) -> str:
    spans = [f"{clock(e.start).removesuffix(' s')}–{clock(e.end)}" for e in events[:MORE_EVENTS]]
    more = len(events) - MORE_EVENTS
    return ", ".join(spans) + (f" and {more} more" if more > 0 else "")


def why(evidence: Sequence[Evidence]) -> str:
    return ", ".join(f"{e.object} {e.probability:.2f} at {clock(e.seconds)}" for e in evidence[:2])


def clock(seconds: float) -> str:
    """3.2 s, 1:03.2 or 1:02:03.2, whichever is shortest."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _branch(branch: BranchInfo) -> str:
    if branch.status in _ADVICE:
        return (
            f"{branch.model} ({_ADVICE[branch.status]})"
            if branch.status is Status.NO_WEIGHTS
            else str(_ADVICE[branch.status])
        )
    weights = f", {branch.weights}" if branch.weights else ""
    return f"{branch.model}{weights}" + (
        "" if branch.status is Status.OK else f" ({branch.status})"
    )


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _title(tagged: Tagged) -> Text:
    return Text(f"{tagged.clip.path}", style="bold").append(
        f"  {clock(tagged.duration_seconds)}", style="dim"
    )


def _nothing(tagged: Tagged) -> Text:
    """One line for a clip without tags: how near the nearest class came."""
    if not tagged.scores:
        return _title(tagged).append("  no tags", style="dim")
    label, score = max(tagged.scores.items(), key=lambda item: item[1].fused - item[1].threshold)
    near = f"  no tags (nearest: {label} {score.fused:.2f}, threshold {score.threshold:.2f})"
    return _title(tagged).append(near, style="dim")
