"""Working ahead in threads: order, errors, and how much is held."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from av_tagger.ahead import begun, in_threads, one_ahead
from av_tagger.errors import MediaError
from tests.waiting import LIMIT


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


def test_a_window_is_made_before_it_is_asked_for() -> None:
    second = threading.Event()

    def windows() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    ahead = one_ahead(windows())
    next(ahead)
    assert second.wait(LIMIT), "while the first is in use"
    ahead.close()


def test_leaving_early_makes_one_more_item_at_most_and_leaves_no_thread() -> None:
    made: list[int] = []

    def windows() -> Iterator[int]:
        for n in range(1, 100):
            made.append(n)
            yield n

    ahead = one_ahead(windows())
    assert [next(ahead), next(ahead)] == [1, 2]
    ahead.close()
    assert made in ([1, 2], [1, 2, 3])
    assert not [t for t in threading.enumerate() if t.name.startswith("decode ahead")]


def test_an_error_cancels_jobs_that_have_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    both, cancelled = threading.Barrier(3, timeout=LIMIT), threading.Event()
    shutdown = ThreadPoolExecutor.__exit__

    def end(self: ThreadPoolExecutor, *error: Any) -> bool | None:
        cancelled.set()
        return shutdown(self, *error)

    monkeypatch.setattr(ThreadPoolExecutor, "__exit__", end)

    def job(n: int) -> int:
        started.append(n)
        both.wait()
        assert cancelled.wait(LIMIT), "the jobs are cancelled before the threads are waited for"
        return n

    def items() -> Iterator[int]:
        yield 7
        both.wait()
        raise MediaError("a.mp4", "is broken")

    with pytest.raises(MediaError, match="is broken"):
        list(in_threads(items(), [job] * 5, 2))
    assert started == [7, 7], "two threads, so three jobs were waiting"
    assert not [t for t in threading.enumerate() if t.name.startswith("score")]


class Item:
    """Something that can be referred to weakly."""


def gone(ref: weakref.ref[Item]) -> bool:
    """Whether it is let go of; threads may take a moment."""
    for _ in range(6000):
        if ref() is None:
            return True
        time.sleep(0.01)
    return False


def test_a_window_that_was_used_is_not_held_while_the_next_is_made() -> None:
    found: list[bool] = []

    def windows() -> Iterator[Item]:
        first = Item()
        ref = weakref.ref(first)
        yield first
        del first
        found.append(gone(ref))
        yield Item()

    ahead = one_ahead(windows())
    next(ahead)
    next(ahead)
    ahead.close()
    assert found == [True]


def test_an_item_that_was_handed_out_is_not_held() -> None:
    done = in_threads((Item() for _ in range(3)), [lambda _: 0], 1)
    for _ in range(3):
        ref = weakref.ref(next(done)[0])
        assert gone(ref)
    assert next(done, None) is None


def test_begun_items_are_made_before_they_are_asked_for() -> None:
    made = threading.Event()

    def windows() -> Iterator[int]:
        made.set()
        yield 1
        yield 2

    items = begun(windows())
    assert made.wait(LIMIT)
    assert list(items) == [1, 2]
    assert list(begun(iter(()))) == []


def test_an_error_of_the_first_item_is_raised_where_it_is_asked_for() -> None:
    def windows() -> Iterator[int]:
        raise MediaError("a.mp4", "is broken")
        yield 1

    items = begun(windows())
    with pytest.raises(MediaError, match="is broken"):
        next(items)


def test_the_first_item_is_let_go_when_the_second_one_is_made() -> None:
    class Window:
        pass

    held: list[weakref.ref[Window]] = []

    def windows() -> Iterator[Window]:
        window = Window()
        held.append(weakref.ref(window))
        yield window
        del window
        assert held[0]() is None
        yield Window()

    count = 0
    for item in begun(windows()):
        count += 1
        del item
    assert count == 2
