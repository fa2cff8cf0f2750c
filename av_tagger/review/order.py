"""The order of the questions: the nearest to their thresholds, and a random part among them."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from math import gcd

from av_tagger.review.units import ReviewUnit

BAND = 0.5  # log odds
Drawn = tuple[ReviewUnit, str]  # and how it was drawn: uncertain or random


def draws(
    units: Sequence[ReviewUnit], percent: int, settled: Callable[[str], bool], seed: int = 0
) -> Iterator[Drawn]:
    """All units that are not settled, each once; `percent` of the draws are random.

    Both kinds take the classes in turn, so that no class has to wait for the others.
    """
    rng = random.Random(seed)
    taken: set[str] = set()
    near, any_ = iter(_nearest(units)), _in_turn(units, rng.shuffle)
    streams = {"uncertain": near, "random": any_}
    for sample in cycle(_pattern(percent)):
        unit = next((u for u in streams[sample] if u.key not in taken and not settled(u.key)), None)
        if unit is None:  # both streams hold the same units: nothing is left
            return
        taken.add(unit.key)
        yield unit, sample


def _pattern(percent: int) -> list[str]:
    """20 % is every fifth: u u u u r."""
    step = gcd(percent, 100)
    rare, length = percent // step, 100 // step
    at = [(k + 1) * rare // length > k * rare // length for k in range(length)]
    return ["random" if is_random else "uncertain" for is_random in at]


def _nearest(units: Sequence[ReviewUnit]) -> list[ReviewUnit]:
    """Nearest first within a class; the classes take turns within bands of the margin.

    Without bands, most turns would go to classes without a score near their threshold.
    """
    seen: Counter[tuple[str, int]] = Counter()
    keyed = []
    for unit in sorted(units, key=lambda u: (abs(u.margin), u.key)):
        band = int(abs(unit.margin) / BAND)
        keyed.append((band, seen[unit.label, band], unit))
        seen[unit.label, band] += 1
    return [unit for _, _, unit in sorted(keyed, key=lambda row: row[:2])]


def _in_turn(
    units: Sequence[ReviewUnit], arrange: Callable[[list[ReviewUnit]], None]
) -> Iterator[ReviewUnit]:
    """One unit of each class after the other, in the order that `arrange` gives its list."""
    by_label: dict[str, list[ReviewUnit]] = defaultdict(list)
    for unit in units:
        by_label[unit.label].append(unit)
    columns = [by_label[label] for label in sorted(by_label)]
    for column in columns:
        arrange(column)
    for row in range(max(map(len, columns), default=0)):
        yield from (column[row] for column in columns if row < len(column))
