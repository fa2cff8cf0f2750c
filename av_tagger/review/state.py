"""What the answers say about each unit: present, absent, skipped or still open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from av_tagger.review.answers import ReviewAnswer
from av_tagger.review.units import ReviewUnit


@dataclass(frozen=True)
class UnitState:
    """`present` is None while it is open, or where the unit was skipped."""

    present: bool | None = None
    skipped: bool = False
    part: int = 0  # the next one to play
    sample: str = ""  # how the unit was drawn; "told" if it was named as another class

    @property
    def settled(self) -> bool:
        return self.skipped or self.present is not None


OPEN = UnitState()


@dataclass
class ReviewState:
    """The state of every unit that has an answer."""

    units: dict[str, ReviewUnit]
    answers: list[ReviewAnswer] = field(default_factory=list)
    by_key: dict[str, UnitState] = field(default_factory=dict)
    by_clip: dict[tuple[str, tuple[float, float | None], str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, units: Sequence[ReviewUnit], answers: Iterable[ReviewAnswer]) -> ReviewState:
        """Answers about units that the results no longer hold are passed over."""
        state = cls({unit.key: unit for unit in units})
        state.by_clip = {(u.file, u.clip, u.label): u.key for u in units if not u.live}
        for answer in answers:
            state.take(answer)
        return state

    def of_unit(self, key: str) -> UnitState:
        return self.by_key.get(key, OPEN)

    def take(self, answer: ReviewAnswer) -> None:
        unit = self.units.get(answer.key)
        if unit is None or not 0 <= answer.part < len(unit.parts):
            return
        self.answers.append(answer)
        self.by_key[unit.key] = _after(unit, answer)
        key = self.by_clip.get((unit.file, unit.clip, answer.other))
        if answer.other and key and key != unit.key and not self.of_unit(key).settled:
            self.by_key[key] = UnitState(present=True, sample="told")

    @property
    def known(self) -> list[tuple[ReviewUnit, UnitState]]:
        """Units of which it is known whether the class is there."""
        pairs = ((self.units[key], state) for key, state in self.by_key.items())
        return [(unit, state) for unit, state in pairs if state.present is not None]

    def positives(self) -> dict[str, int]:
        counts: dict[str, int] = defaultdict(int)
        for unit, state in self.known:
            counts[unit.label] += bool(state.present)
        return dict(counts)


def _after(unit: ReviewUnit, answer: ReviewAnswer) -> UnitState:
    """A class is absent when all played parts of the unit were answered no."""
    if answer.answer == "skip":
        return UnitState(skipped=True, sample=answer.sample)
    if answer.answer == "yes" or answer.other == unit.label:
        return UnitState(present=True, sample=answer.sample)
    more = answer.part + 1 < len(unit.parts)
    return UnitState(None if more else False, part=answer.part + 1, sample=answer.sample)
