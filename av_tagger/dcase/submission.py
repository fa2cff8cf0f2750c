"""Writing submissions that the official scripts read: one row per tag or event."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.dcase.names import SAME_LENGTH, clip_key, parse_name, public_name
from av_tagger.dcase.tables import SoundEvent
from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.scores import Failed, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from av_tagger.scores import Tagged

_USUAL_SECONDS = 10.0  # of nearly all clips; for names without start and end


def write_tags(
    path: Path, tags: Mapping[str, Sequence[str]], seconds: Mapping[str, float] | None = None
) -> None:
    """Subtask A: a row per tag with the clip's start and end in the video; else a bare name."""
    _write(
        path,
        _one_each(tags),
        (
            _tag_rows(name, labels, (seconds or {}).get(name, _USUAL_SECONDS))
            for name, labels in tags.items()
        ),
    )


def write_events(path: Path, events: Mapping[str, Sequence[SoundEvent]]) -> None:
    """Subtask B: a row per event with onset and offset in the clip; else a bare name.

    The same rows stand in a file `.txt` beside it: newer versions of sed_eval take the first row
    of `.tsv` and `.csv` for a heading.
    """
    count = _one_each(events)
    rows = [row for name, found in events.items() for row in _event_rows(name, found)]
    for target in dict.fromkeys((path, path.with_suffix(".txt"))):
        _write(target, count, [in_readable_order(rows)])


def in_readable_order(rows: Iterable[str]) -> Iterator[str]:
    """Rows with plain labels first, then rows with commas, then bare names.

    The reader of the challenge guesses the separator from the first row, and fails on a bare name
    or a label with a comma there.
    """
    later: list[str] = []
    for row in rows:
        if "\t" in row and "," not in row:
            yield row
        else:
            later.append(row)
    yield from (row for row in later if "\t" in row)
    yield from (row for row in later if "\t" not in row)


@dataclass(frozen=True)
class Submission:
    """Tags and events by listed name, in seconds of the clip, and what is to be said of them."""

    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    events: dict[str, tuple[SoundEvent, ...]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    shorter: list[tuple[str, float, float]] = field(default_factory=list)
    """Name, seconds that were decoded, and seconds that the list promises."""

    @property
    def remarks(self) -> tuple[str, ...]:
        lines = []
        if self.failed:
            names = (
                "clip that failed is a bare name"
                if len(self.failed) == 1
                else ("clips that failed are bare names")
            )
            lines.append(f"{len(self.failed)} {names} in the submission: untagged")
        if self.shorter:
            name, heard, listed = self.shorter[0]
            clips = "clip is" if len(self.shorter) == 1 else "clips are"
            example = f"{name} has {heard:.1f} of {listed:.1f} s"
            lines.append(f"{len(self.shorter)} {clips} shorter than listed, such as: {example}")
        return tuple(lines)


def from_outcomes(outcomes: Iterable[tuple[str, Outcome]]) -> Submission:
    """Outcomes by listed name to a submission.

    A clip that failed has no tags and so becomes a bare name: the official script does not count
    the labels of a clip without a row as missed.
    """
    made = Submission()
    for name, outcome in outcomes:
        if isinstance(outcome, Failed):
            made.tags[name], made.events[name] = (), ()
            made.failed.append(name)
            continue
        made.tags[name] = tuple(tag.label for tag in outcome.tags)
        made.events[name] = _events(outcome)
        listed = parse_name(name)
        if listed and outcome.duration_seconds < listed.end - listed.start - SAME_LENGTH:
            made.shorter.append((name, outcome.duration_seconds, listed.end - listed.start))
    return made


def _events(tagged: Tagged) -> tuple[SoundEvent, ...]:
    offset = tagged.clip.start_seconds
    found = [
        SoundEvent(tag.label, max(0.0, event.start - offset), event.end - offset)
        for tag in tagged.tags
        for event in tag.events
    ]
    kept = [event for event in found if event.end > event.start]
    return tuple(sorted(kept, key=lambda e: (e.start, e.end, e.label)))


def _tag_rows(name: str, labels: Sequence[str], seconds: float) -> list[str]:
    parsed = parse_name(name)
    start, end = (parsed.start, parsed.end) if parsed else (0.0, max(seconds, 0.001))
    unique = dict.fromkeys(labels)
    return [_row(name, start, end, label) for label in unique] or [public_name(name)]


def _event_rows(name: str, events: Sequence[SoundEvent]) -> list[str]:
    """Events that are not empty at the written precision of 1 ms."""
    kept = [e for e in events if round(e.end, 3) > round(e.start, 3)]
    return [_row(name, e.start, e.end, e.label) for e in kept] or [public_name(name)]


def _row(name: str, start: float, end: float, label: str) -> str:
    return f"{public_name(name)}\t{start:.3f}\t{end:.3f}\t{_plain(label)}"


def _plain(label: str) -> str:
    if not label.strip() or any(sign in label for sign in "\t\r\n"):
        raise UsageError(
            f"the label {label!r} does not fit a tab-separated table; rename the class"
        )
    return label


def _one_each(names: Iterable[str]) -> int:
    """The number of clips; the same clip under two names would be scored as repeated rows."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(clip_key(name), name)
        if other != name:
            raise UsageError(f"{other!r} and {name!r} are the same clip; name each clip once")
    return len(seen)


def _write(path: Path, count: int, rows: Iterable[Iterable[str]]) -> None:
    """The file is written completely or not at all."""
    if not count:
        raise UsageError(f"{path}: no clip to submit; tag some first")
    text = "".join(f"{row}\n" for clip in rows for row in clip)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        remedy = "free some space or choose another folder"
        reason = f"cannot be written ({error.strerror})"
        raise StorageError(sentence(path, reason, remedy)) from error
