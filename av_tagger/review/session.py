"""A review in progress: what is asked next, answers, undo, and what they come to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import RLock
from typing import Any

from av_tagger.errors import UsageError
from av_tagger.reports.html.parts import shown_folder
from av_tagger.review.answers import AnswerLog, ReviewAnswer
from av_tagger.review.labels import write_labels
from av_tagger.review.media_files import MediaFiles, is_sound
from av_tagger.review.order import Drawn, draws
from av_tagger.review.pictures import PictureReader
from av_tagger.review.state import ReviewState
from av_tagger.review.units import FoundUnits, ReviewUnit

AHEAD = 6  # questions that the page holds, so that the next clip is loaded
FEW = 1000  # answers up to which the tables are written after each; then every twentieth time
LONGEST_NAME = 200


@dataclass
class ReviewSession:
    """Everything that the server asks; safe to use from several threads."""

    found: FoundUnits
    log: AnswerLog
    media: MediaFiles
    pictures: PictureReader
    reviewer: str = ""
    random_percent: int = 20
    classes: Sequence[str] = ()  # that may be named instead, besides those of the units
    state: ReviewState = field(init=False)
    _lock: RLock = field(default_factory=RLock)
    _waiting: deque[Drawn] = field(default_factory=deque)
    _draws: Iterator[Drawn] = field(init=False)
    _unwritten: int = 0

    def __post_init__(self) -> None:
        self.state = self._state()
        playable = [unit for unit in self.found.units if self.media.locate(unit) is not None]
        self._draws = draws(
            playable, self.random_percent, lambda key: self.state.of_unit(key).settled
        )
        self._resume(playable)

    @property
    def labels(self) -> list[str]:
        return sorted({*self.found.labels, *self.classes})

    def _state(self) -> ReviewState:
        return ReviewState.of(self.found.units, self.log.answers.values())

    def _resume(self, playable: Iterable[ReviewUnit]) -> None:
        """Units with a part answered and another to play come first."""
        for unit in playable:
            state = self.state.by_key.get(unit.key)
            if state is not None and not state.settled:
                self._waiting.append((unit, state.sample or "uncertain"))

    def questions(self, count: int = AHEAD) -> list[dict[str, Any]]:
        """The next ones, as the page shows them."""
        with self._lock:
            self._fill(count)
            drawn = list(self._waiting)[:count]
        return [self._question(unit, sample) for unit, sample in drawn]

    def _fill(self, count: int) -> None:
        settled = self.state.of_unit
        self._waiting = deque(d for d in self._waiting if not settled(d[0].key).settled)
        keys = {unit.key for unit, _ in self._waiting}
        while len(self._waiting) < count:
            drawn = next(self._draws, None)
            if drawn is None:
                return
            if drawn[0].key not in keys:
                self._waiting.append(drawn)

    def _question(self, unit: ReviewUnit, sample: str) -> dict[str, Any]:
        number = self.state.of_unit(unit.key).part
        part, path = unit.parts[number], self.media.locate(unit)
        stored = self.pictures.of(unit)
        name = Path(unit.file)
        return {
            "key": unit.key,
            "part": number,
            "parts": len(unit.parts),
            "label": unit.label,
            "name": name.name,
            "folder": shown_folder(name),
            "start": part.start,
            "end": part.end,
            "score": unit.score,
            "threshold": unit.threshold,
            "heard": unit.heard,
            "seen": unit.seen,
            "sample": sample,
            "sound": path is not None and is_sound(path),
            "evidence": [{"object": e.object, "time": e.seconds} for e in unit.evidence],
            "keyframes": [{"time": k.seconds} for k in stored.keyframes],
            "spectrogram": list(stored.span) if stored.spectrogram else None,
        }

    def unit(self, key: str) -> ReviewUnit | None:
        return self.state.units.get(key)

    def answer(self, answer: ReviewAnswer) -> None:
        """Stored and synced before this returns; the tables follow."""
        with self._lock:
            unit = self.state.units.get(answer.key)
            if unit is None or not 0 <= answer.part < len(unit.parts):
                raise UsageError("there is no such question; load the page again")
            if answer.other and answer.other not in self.labels:
                raise UsageError(f"there is no class {answer.other!r:.80}; choose one of the list")
            sample = next((s for u, s in self._waiting if u.key == unit.key), "uncertain")
            named = replace(
                answer,
                sample=sample,
                reviewer=answer.reviewer[:LONGEST_NAME] or self.reviewer,
                label=unit.label,
                file=unit.file,
            )
            self.state.take(self.log.add(named))
            self._count()

    def undo(self) -> str | None:
        """Take the last answer back and ask again; the key of its unit."""
        with self._lock:
            answer = self.log.undo()
            if answer is None:
                return None
            self.state = self._state()
            unit = self.state.units.get(answer.key)
            if unit is not None:
                kept = (drawn for drawn in self._waiting if drawn[0].key != unit.key)
                self._waiting = deque([(unit, answer.sample), *kept])
            self._count()
            return answer.key

    def _count(self) -> None:
        self._unwritten += 1
        if self._unwritten >= (1 if len(self.log.answers) < FEW else 20):
            self.write_tables()

    def write_tables(self) -> None:
        """Bring the tables of labels up to date."""
        with self._lock:
            write_labels(self.state, self.log.path.parent, self.media.locate)
            self._unwritten = 0

    def progress(self) -> dict[str, Any]:
        """Counts for the page."""
        with self._lock:
            known = self.state.known
            return {
                "answers": len(self.log.answers),
                "present": sum(bool(s.present) for _, s in known),
                "absent": sum(not s.present for _, s in known),
                "units": len(self.found.units),
                "reviewers": sorted({a.reviewer for a in self.log.answers.values() if a.reviewer}),
            }
