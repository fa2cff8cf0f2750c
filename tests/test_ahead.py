"""Working ahead in threads: order, errors, and how much is held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from av_tagger.ahead import in_threads, one_ahead
from av_tagger.errors import MediaError


def test_the_next_window_is_made_while_one_is_used() -> None:
    made: list[int] = []

    def windows() -> Iterator[int]:
        for n in range(1, 4):
            made.append(n)
            yield n

    ahead = one_ahead(windows())
    assert next(ahead) == 1
    assert list(ahead) == [2, 3]
    assert made == [1, 2, 3]


def test_an_error_of_the_decoder_is_raised_where_it_belongs() -> None:
    def windows() -> Iterator[int]:
        yield 1
        raise MediaError("a.mp4", "is broken")

    ahead = one_ahead(windows())
    assert next(ahead) == 1
    with pytest.raises(MediaError, match="is broken"):
        next(ahead)


@pytest.mark.parametrize("threads", [1, 2, 3, 10])
def test_results_come_in_order_with_all_jobs(threads: int) -> None:
    jobs = (lambda n: n + 1, lambda n: -n)
    done = list(in_threads(iter(range(7)), jobs, threads))
    assert done == [(n, [n + 1, -n]) for n in range(7)]


def test_no_more_items_are_taken_than_threads_can_use() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(10):
            taken.append(n)
            yield n

    done = in_threads(items(), [lambda n: n], 3)
    next(done)
    assert len(taken) <= 3
    assert [n for n, _ in done] == list(range(1, 10))


def test_an_error_of_a_job_is_raised() -> None:
    def fail(_: int) -> int:
        raise MediaError("a.mp4", "holds no numbers")

    with pytest.raises(MediaError, match="holds no numbers"):
        list(in_threads(iter([1, 2]), [fail], 2))
