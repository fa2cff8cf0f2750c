"""Writing submissions that the official scripts read: no `Y`, one row a tag or event, never a row `0 0`."""

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

_USUAL_SECONDS = 10.0  # nearly every clip of the challenge; only for names that do not say it


def write_tags(
    path: Path, tags: Mapping[str, Sequence[str]], seconds: Mapping[str, float] | None = None
) -> None:
    """Subtask A: one row a tag with the clip's place in its video, a bare name for a clip without tags."""
    _write(
        path,
        _one_each(tags),
        (
            _tag_rows(name, labels, (seconds or {}).get(name, _USUAL_SECONDS))
            for name, labels in tags.items()
        ),
    )


def write_events(path: Path, events: Mapping[str, Sequence[SoundEvent]]) -> None:
    """Subtask B: one row an event with onset and offset inside the clip, a bare name for a silent clip."""
    _write(path, _one_each(events), (_event_rows(name, found) for name, found in events.items()))


def from_outcomes(
    outcomes: Iterable[tuple[str, Outcome]],
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[SoundEvent, ...]]]:
    """Tags and events by listed name; times become those of the clip; what failed is left out."""
    tags: dict[str, tuple[str, ...]] = {}
    events: dict[str, tuple[SoundEvent, ...]] = {}
    for name, outcome in outcomes:
        if isinstance(outcome, Tagged):
            zero = outcome.clip.start_seconds
            tags[name] = tuple(tag.label for tag in outcome.tags)
            found = (
                SoundEvent(tag.label, max(0.0, e.start - zero), e.end - zero)
                for tag in outcome.tags
                for e in tag.events
            )
            events[name] = tuple(
                sorted(
                    (e for e in found if e.end > e.start), key=lambda e: (e.start, e.end, e.label)
                )
            )
    return tags, events


def _tag_rows(name: str, labels: Sequence[str], seconds: float) -> list[str]:
    parsed = parse_name(name)
    start, end = (parsed.start, parsed.end) if parsed else (0.0, max(seconds, 0.001))  # never `0 0`
    rows = [
        f"{public_name(name)}\t{start:.3f}\t{end:.3f}\t{_plain(label)}"
        for label in dict.fromkeys(labels)
    ]
    return rows or [public_name(name)]


def _event_rows(name: str, events: Sequence[SoundEvent]) -> list[str]:
    spans = [(f"{e.start:.3f}", f"{e.end:.3f}", _plain(e.label)) for e in events]
    rows = [
        f"{public_name(name)}\t{start}\t{end}\t{label}"
        for start, end, label in spans
        if float(end) > float(start)
    ]
    return rows or [public_name(name)]


def _plain(label: str) -> str:
    if not label.strip() or any(sign in label for sign in "\t\r\n"):
        raise UsageError(
            f"the label {label!r} cannot stand in a tab-separated table; rename the class"
        )
    return label


def _one_each(names: Iterable[str]) -> int:
    """How many clips there are; two spellings of one clip would be scored as repeated rows."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(clip_key(name), name)
        if other != name:
            raise UsageError(
                f"{other!r} and {name!r} are the same clip; a submission names each clip once"
            )
    return len(seen)


def _write(path: Path, count: int, rows: Iterable[list[str]]) -> None:
    """All or nothing: the file appears whole under its name."""
    if not count:
        raise UsageError(f"{path}: there is no clip to submit; tag some first")
    text = "".join(f"{row}\n" for clip in rows for row in clip)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StorageError(
            sentence(path, f"cannot be written ({error.strerror})", "choose another place")
        ) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise StorageError(
            sentence(
                path,
                f"cannot be written ({error.strerror})",
                "free some space or choose another place",
            )
        ) from error
