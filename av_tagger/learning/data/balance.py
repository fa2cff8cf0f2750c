"""Which clips stand in which place of which batch: pure functions of a seed and a position, so that any batch can be made anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Balance = Literal["none", "batch", "classwise"]


def generator(*key: int) -> np.random.Generator:
    """Random numbers that belong to this key alone, whichever process draws them and whenever."""
    return np.random.default_rng(key)


class Shuffled:
    """Every clip once before any clip twice (`none`)."""

    def __init__(self, targets: NDArray[np.float32], seed: int) -> None:
        self._deck = _Deck(np.arange(len(targets)), (seed, 1))

    def places(self, first: int, count: int) -> Indices:
        return np.array([self._deck[place] for place in range(first, first + count)], np.int64)


class BatchBalanced:
    """PROB §3.5: in every run of places each class has its turn equally often; clips without a class take one turn, too."""

    def __init__(self, targets: NDArray[np.float32], seed: int) -> None:
        self._decks = [
            _Deck(members, (seed, 2, k)) for k, members in enumerate(class_members(targets))
        ]
        self._turns = _Deck(np.arange(len(self._decks)), (seed, 3))

    def places(self, first: int, count: int) -> Indices:
        return np.array([self._at(place) for place in range(first, first + count)], np.int64)

    def _at(self, place: int) -> int:
        return self._decks[self._turns[place]][place // len(self._decks)]


class ClassWise:
    """A class at random, then a clip of it at random."""

    def __init__(self, targets: NDArray[np.float32], seed: int) -> None:
        self._members = class_members(targets)
        self._seed = seed

    def places(self, first: int, count: int) -> Indices:
        return np.array(
            [self._at(generator(self._seed, 4, place)) for place in range(first, first + count)],
            np.int64,
        )

    def _at(self, draw: np.random.Generator) -> int:
        return int(draw.choice(self._members[draw.integers(len(self._members))]))


Sampler = Shuffled | BatchBalanced | ClassWise


def sampler(balance: Balance, targets: NDArray[np.float32], seed: int) -> Sampler:
    return SAMPLERS[balance](targets, seed)


def class_members(targets: NDArray[np.float32]) -> list[Indices]:
    """The clips of each class that has any, then the clips known to have none of them."""
    heard = targets > 0.5  # nor is what nobody knows
    members = [np.flatnonzero(column) for column in heard.T]
    members.append(np.flatnonzero(~heard.any(axis=1)))
    return [m for m in members if len(m)]


def class_counts(targets: NDArray[np.float32]) -> Indices:
    return np.asarray((targets > 0.5).sum(axis=0), np.int64)


def missing_classes(targets: NDArray[np.float32], labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label, n in zip(labels, class_counts(targets), strict=True) if n == 0)


class _Deck:
    """Cards dealt without end: a fresh permutation each time all have been dealt."""

    def __init__(self, cards: Indices, key: tuple[int, ...]) -> None:
        self._cards, self._key = cards, key
        self._round, self._order = -1, cards

    def __getitem__(self, place: int) -> int:
        number, slot = divmod(place, len(self._cards))
        if number != self._round:  # kept only because dealing is nearly always in order
            self._round, self._order = (
                number,
                generator(*self._key, number).permutation(self._cards),
            )
        return int(self._order[slot])


SAMPLERS: dict[Balance, Callable[[NDArray[np.float32], int], Sampler]] = {
    "none": Shuffled,
    "batch": BatchBalanced,
    "classwise": ClassWise,
}
