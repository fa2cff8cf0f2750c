"""Shards, shuffles and limits without a list of all clips in memory."""

from __future__ import annotations

import pytest

from av_tagger.runner.selection import Selection


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_cover_every_position_once(shards: int) -> None:
    selections = [Selection(shard=(i + 1, shards)) for i in range(shards)]
    for position in range(50):
        assert sum(one.includes(position) for one in selections) == 1


def test_shards_take_turns() -> None:
    """Neighbours in a list are often alike: each machine gets every nth."""
    second = Selection(shard=(2, 3))
    assert [position for position in range(9) if second.includes(position)] == [1, 4, 7]


def test_without_a_shuffle_the_turn_is_the_position() -> None:
    assert [Selection().turn(n) for n in (0, 5, 10**9)] == [0, 5, 10**9]


def test_a_shuffle_is_a_fixed_order_per_seed() -> None:
    def order(seed: int) -> list[int]:
        return sorted(range(100), key=Selection(shuffle=seed).turn)

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == list(range(100))
    assert order(0) != list(range(100))


def test_turns_fit_into_an_integer_column() -> None:
    turns = [Selection(shuffle=3).turn(n) for n in range(1000)]
    assert all(0 <= turn < 2**63 for turn in turns)
    assert len(set(turns)) == 1000
