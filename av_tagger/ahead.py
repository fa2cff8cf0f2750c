"""Iterators that work ahead in threads: the next item is made while the last one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, each made by a thread while the caller still works on the one before."""
    with ThreadPoolExecutor(1, "decode ahead") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
            del item


def begun(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items; the first one is made by a thread that starts now.

    A daemon: where the items are not asked for after all, the program does not wait for it.
    """
    first: Future[T | None] = Future()

    def work() -> None:
        try:
            first.set_result(next(items, None))
        except BaseException as error:  # noqa: BLE001 - raised where the item is asked for
            first.set_exception(error)

    Thread(target=work, name="decode first", daemon=True).start()
    return _after([first], items)


def _after(first: list[Future[T | None]], items: Iterator[T]) -> Generator[T, None, None]:
    """The future comes in a list, so that nothing holds its item while the others are made."""
    if (item := first.pop().result()) is None:
        return
    yield item
    del item
    yield from items


def in_threads(
    items: Iterator[T], jobs: Sequence[Callable[[T], R]], threads: int
) -> Generator[tuple[T, list[R]], None, None]:
    """Each item with the results of all jobs on it, in order; at most `threads` jobs at a time.

    No more than `threads` items are held, so that memory stays bounded.
    """
    waiting: deque[tuple[T, list[Future[R]]]] = deque()
    with ThreadPoolExecutor(threads, "score") as pool:
        try:
            for item in items:
                waiting.append((item, [pool.submit(job, item) for job in jobs]))
                del item
                while waiting and (len(waiting) >= threads or _is_done(waiting[0][1])):
                    yield _done(*waiting.popleft())
            while waiting:
                yield _done(*waiting.popleft())
        finally:
            for _, futures in waiting:
                for future in futures:
                    future.cancel()


def _is_done(futures: Sequence[Future[R]]) -> bool:
    return all(future.done() for future in futures)


def _done(item: T, futures: list[Future[R]]) -> tuple[T, list[R]]:
    return item, [future.result() for future in futures]
