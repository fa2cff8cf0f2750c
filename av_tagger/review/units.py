"""What can be asked: a class in a result or in an event of a live journal, and where to listen."""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from av_tagger.collection.sources import IndexSource, line_of, read_only
from av_tagger.dcase import parse_name
from av_tagger.reports.schema import read_results
from av_tagger.scores import ClassScore, Evidence, Tagged, log_odds

MOST_PARTS = 3  # strongest events of a class that are played before it counts as absent
PADDING = 0.5  # seconds around an event
SHORTEST = 1.0  # of a played part
LONGEST_WHOLE = 30.0  # seconds of a clip that is played whole where no event tells the place
LOWEST_MARGIN = -4.0  # log odds below the threshold from which a class is no candidate
MOST_UNITS = 200_000  # more candidates are thinned out by clip, at random
LINES = """
SELECT id, kind, document FROM lines WHERE kind IN ('close', 'kept') ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class PlayedPart:
    """Seconds of the media file."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class ReviewUnit:
    """A question: is this class in this clip? `parts` are where it is most likely."""

    key: str
    label: str
    file: str  # as the result names it
    clip: tuple[float, float | None]  # the part of the file that was tagged
    score: float
    threshold: float
    heard: float | None
    seen: float | None
    parts: tuple[PlayedPart, ...]
    evidence: tuple[Evidence, ...] = ()
    line: tuple[int, int] = (-1, 0)  # source and line of the result, for its pictures
    live: bool = False  # an event of a stream; `file` is its kept sound

    @property
    def margin(self) -> float:
        """Distance from the threshold in log odds: comparable between classes."""
        return log_odds(self.score) - log_odds(self.threshold)

    @property
    def recording(self) -> str:
        """Parts of one video are not independent."""
        name = parse_name(self.file)
        return name.id if name else self.file

    @property
    def row(self) -> str:
        """The row of thresholds that decided: both, ear or eye."""
        if self.heard is not None and self.seen is not None:
            return "both"
        return "ear" if self.seen is None else "eye"


@dataclass
class FoundUnits:
    """The candidates of all sources, and what was left out."""

    units: list[ReviewUnit] = field(default_factory=list)
    ears: set[str] = field(default_factory=set)
    eyes: set[str] = field(default_factory=set)
    placeless: int = 0  # candidates of long clips without an event: nowhere to listen
    share: float = 1.0  # of the clips that were kept

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({unit.label for unit in self.units}))


def read_units(sources: Iterable[IndexSource], wanted: frozenset[str] = frozenset()) -> FoundUnits:
    """Candidates of results and journals; all classes where `wanted` is empty."""
    found = FoundUnits()
    for number, source in enumerate(sources):
        read = _of_journal(source.path) if source.live else _of_results(source.path, number, found)
        for unit in read:
            if (not wanted or unit.label in wanted) and _draw(unit.file) < found.share:
                found.units.append(unit)
            if len(found.units) > MOST_UNITS:
                _thin_out(found)
    return found


def _thin_out(found: FoundUnits) -> None:
    """Keep every second clip, chosen by a hash of its name: the rest stays a random sample."""
    found.share /= 2
    found.units = [unit for unit in found.units if _draw(unit.file) < found.share]


def _draw(name: str) -> float:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def line_offsets(path: Path) -> array[int]:
    """The byte at which each line begins."""
    offsets = array("q", [0])
    with path.open("rb") as file:
        for line in file:
            offsets.append(offsets[-1] + len(line))
    return offsets


def _of_results(path: Path, source: int, found: FoundUnits) -> Iterator[ReviewUnit]:
    for number, _, outcome in read_results(path):
        if not isinstance(outcome, Tagged):
            continue
        found.ears.add(outcome.ear.name)
        found.eyes.add(outcome.eye.name)
        for label, score in outcome.scores.items():
            if not _candidate(score):
                continue
            unit = _unit(outcome, label, score, (source, number))
            if unit.parts:
                yield unit
            else:
                found.placeless += 1


def _candidate(score: ClassScore) -> bool:
    finite = math.isfinite(score.fused) and math.isfinite(score.threshold)
    return score.known and finite and score.threshold <= 1 and score.margin >= LOWEST_MARGIN


def _unit(tagged: Tagged, label: str, score: ClassScore, line: tuple[int, int]) -> ReviewUnit:
    tag = next((t for t in tagged.tags if t.label == label), None)
    clip = (tagged.clip.start_seconds, tagged.clip.end_seconds)
    return ReviewUnit(
        key=_key(tagged.clip.name, *clip, label),
        label=label,
        file=tagged.clip.name,
        clip=clip,
        score=score.fused,
        threshold=score.threshold,
        heard=_finite(score.heard),
        seen=_finite(score.seen),
        parts=tuple(_parts(tagged, label)),
        evidence=tag.evidence[:3] if tag else (),
        line=line,
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _key(*parts: object) -> str:
    text = json.dumps(parts, default=str)
    return hashlib.sha256(text.encode("ascii", "backslashreplace")).hexdigest()[:20]


def _parts(tagged: Tagged, label: str) -> Iterator[PlayedPart]:
    """The strongest events, else the peak of the activity, else a clip that is short."""
    first = tagged.clip.start_seconds
    last = first + tagged.duration_seconds
    if not math.isfinite(last):
        return
    tag = next((t for t in tagged.tags if t.label == label), None)
    events = sorted(tag.events if tag else (), key=lambda e: -e.peak)
    centres = [(e.start, e.end) for e in events[:MOST_PARTS]] or list(_peak(tagged, label))
    if not centres and tag and tag.evidence:
        centres = [(tag.evidence[0].seconds - 1, tag.evidence[0].seconds + 1)]
    if not centres and tagged.duration_seconds <= LONGEST_WHOLE:
        centres = [(first, last)]
    for start, end in centres:
        yield _padded(start, end, first, last)


def _padded(start: float, end: float, first: float, last: float) -> PlayedPart:
    middle = max(0.0, SHORTEST - (end - start)) / 2
    start = min(max(first, start - max(PADDING, middle)), max(first, last - SHORTEST))
    end = max(start + SHORTEST, min(last, end + max(PADDING, middle)))
    return PlayedPart(round(start, 3), round(end, 3))


def _peak(tagged: Tagged, label: str) -> Iterator[tuple[float, float]]:
    """Two seconds around the highest activity, where activity is stored."""
    labels = list(tagged.scores)
    if tagged.activity is not None and len(tagged.activity.values):
        column = tagged.activity.values[:, labels.index(label)]
        middle = (float(column.argmax()) + 0.5) / tagged.activity.rate
        seconds = tagged.activity.start_seconds + middle
        yield seconds - 1, seconds + 1


def _of_journal(path: Path) -> Iterator[ReviewUnit]:
    """Events of which the sound was kept; the kept file begins before the event."""
    closed: dict[Any, dict[str, Any]] = {}
    with closing(read_only(path)) as db:
        for _, kind, text in db.execute(LINES):
            line = line_of(text)
            number = line.get("number")
            if kind == "close":
                closed[number] = line
            elif number in closed and isinstance(line.get("text"), str):
                unit = _live_unit(path, closed.pop(number), line)
                if unit is not None:
                    yield unit


def _live_unit(journal: Path, event: dict[str, Any], kept: dict[str, Any]) -> ReviewUnit | None:
    names = ("start", "end", "threshold")
    numbers = [_number(event.get(name)) for name in names] + [_number(kept.get("start"))]
    start, end, threshold, begin = numbers
    score = _number(event.get("probability"))
    score = _number(event.get("peak")) if score is None else score
    label = event.get("label")
    if None in (start, end, score, begin) or not isinstance(label, str):
        return None
    assert start is not None
    assert end is not None
    assert score is not None
    assert begin is not None
    return ReviewUnit(
        key=_key(journal.name, event.get("number"), start, label),
        label=label,
        file=str(kept["text"]),
        clip=(0.0, None),
        score=score,
        threshold=0.5 if threshold is None else threshold,
        heard=_number(event.get("heard")),
        seen=_number(event.get("seen")),
        parts=(_padded(start - begin, end - begin, 0.0, end - begin + PADDING),),
        live=True,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e10 else None
