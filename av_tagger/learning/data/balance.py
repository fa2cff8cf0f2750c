"""Samplers: which clip is at which position of the training sequence, as a function of a seed.

Any batch can be made again from its number: workers, ranks and resumed runs agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Balance = Literal["none", "batch", "classwise"]


def generator(*key: int) -> np.random.Generator:
    """Random numbers that depend on this key alone, in any process and at any time."""
    return np.random.default_rng(key)


class Shuffled:
    """Each clip once per epoch, in random order (`none`)."""

    def __init__(self, targets: NDArray[np.float32], seed: int) -> None:
        self._deck = _Deck(np.arange(len(targets)), (seed, 1))

    def places(self, first: int, count: int) -> Indices:
        return np.array([self._deck[place] for place in range(first, first + count)], np.int64)


class BatchBalanced:
    """PROB §3.5: all classes take turns, and clips without a class take one turn as well."""

    def __init__(self, targets: NDArray[np.float32], seed: int) -> None:
        groups = class_members(targets)
        self._decks = [_Deck(members, (seed, 2, k)) for k, members in enumerate(groups)]
        self._turns = _Deck(np.arange(len(self._decks)), (seed, 3))

    def places(self, first: int, count: int) -> Indices:
        return np.array([self._at(place) for place in range(first, first + count)], np.int64)

    def _at(self, place: int) -> int:
        return self._decks[self._turns[place]][place // len(self._decks)]


class ClassWise:
    """A random class, then a random clip of it."""

    def __init__(self, targets: NDArray[np.float32], seed: int) -> None:
        self._members = class_members(targets)
        self._seed = seed

    def places(self, first: int, count: int) -> Indices:
        draws = (generator(self._seed, 4, place) for place in range(first, first + count))
        return np.array([self._at(draw) for draw in draws], np.int64)

    def _at(self, draw: np.random.Generator) -> int:
        return int(draw.choice(self._members[draw.integers(len(self._members))]))


Sampler = Shuffled | BatchBalanced | ClassWise


def sampler(balance: Balance, targets: NDArray[np.float32], seed: int) -> Sampler:
    return SAMPLERS[balance](targets, seed)


def class_members(targets: NDArray[np.float32]) -> list[Indices]:
    """The clips of each class that has any, then the clips with no positive label."""
    present = targets > 0.5  # False for unknown labels (NaN)
    members = [np.flatnonzero(column) for column in present.T]
    members.append(np.flatnonzero(~present.any(axis=1)))
    return [m for m in members if len(m)]


def class_counts(targets: NDArray[np.float32]) -> Indices:
    return np.asarray((targets > 0.5).sum(axis=0), np.int64)


def missing_classes(targets: NDArray[np.float32], labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label, n in zip(labels, class_counts(targets), strict=True) if n == 0)


class _Deck:
    """An endless sequence of items, reshuffled each time all have been drawn."""

    def __init__(self, items: Indices, key: tuple[int, ...]) -> None:
        self._items, self._key = items, key
        self._round, self._order = -1, items

    def __getitem__(self, place: int) -> int:
        number, slot = divmod(place, len(self._items))
        if number != self._round:  # the order is cached: access is nearly always sequential
            order = generator(*self._key, number).permutation(self._items)
            self._round, self._order = number, order
        return int(self._order[slot])


SAMPLERS: dict[Balance, Callable[[NDArray[np.float32], int], Sampler]] = {
    "none": Shuffled,
    "batch": BatchBalanced,
    "classwise": ClassWise,
}
