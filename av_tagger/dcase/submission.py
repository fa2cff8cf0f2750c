"""Writing submissions that the official scripts read: one row per tag or event."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.dcase.names import clip_key, parse_name, public_name
from av_tagger.dcase.tables import SoundEvent
from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.scores import Outcome, Tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    """Subtask B: a row per event with onset and offset in the clip; else a bare name."""
    _write(path, _one_each(events), (_event_rows(name, found) for name, found in events.items()))


def from_outcomes(
    outcomes: Iterable[tuple[str, Outcome]],
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[SoundEvent, ...]]]:
    """Tags and events by listed name, in seconds of the clip; failures are left out."""
    tags: dict[str, tuple[str, ...]] = {}
    events: dict[str, tuple[SoundEvent, ...]] = {}
    for name, outcome in outcomes:
        if isinstance(outcome, Tagged):
            tags[name] = tuple(tag.label for tag in outcome.tags)
            events[name] = _events(outcome)
    return tags, events


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


def _write(path: Path, count: int, rows: Iterable[list[str]]) -> None:
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
