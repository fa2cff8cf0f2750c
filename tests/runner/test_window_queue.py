"""The window queue is bounded by count and bytes, and shares windows between threads."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from av_tagger.clip import Clip, Media
from av_tagger.runner.window_queue import Window, WindowQueue
from tests.fakes import window

TIMEOUT = 20.0


def windows(count: int) -> list[Window]:
    return [Window(i, 0, window(Clip(Path(f"{i}.mp4")))) for i in range(count)]


def put_later(queue: WindowQueue, one: Window) -> tuple[threading.Thread, list[bool]]:
    """Put in a thread; the result appears in the list once the window fits."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(queue.put(one)))
    thread.start()
    return thread, results


def test_the_size_of_a_window_is_that_of_pictures_and_audio() -> None:
    (one,) = windows(1)
    assert one.media.frames is not None
    assert one.media.waveform is not None
    assert one.size == one.media.frames.images.nbytes + one.media.waveform.samples.nbytes
    assert Window(0, 0, Media(one.media.clip, 0.0, 1.0, None, None)).size == 0


def test_windows_come_out_in_order() -> None:
    queue, made = WindowQueue(1 << 30, 100, 3), windows(5)
    for one in made:
        assert queue.put(one)
    assert [queue.take(), queue.take()] == [made[:3], made[3:]]


def test_one_window_of_any_size_fits() -> None:
    queue, (big, second) = WindowQueue(10, 5, 4), windows(2)
    assert big.size > 10
    assert queue.put(big)
    thread, results = put_later(queue, second)
    assert queue.take() == [big]
    thread.join(0.05)
    assert results == [], "a window that is being scored still counts"
    queue.leave(1, big.size)
    thread.join(TIMEOUT)
    assert results == [True]


@pytest.mark.parametrize("bound", ["windows", "bytes"])
def test_a_full_queue_makes_decoders_wait(bound: str) -> None:
    made = windows(3)
    limits = (1 << 30, 2) if bound == "windows" else (2 * made[0].size, 100)
    queue = WindowQueue(*limits, batch=1)
    assert queue.put(made[0])
    assert queue.put(made[1])
    thread, results = put_later(queue, made[2])
    thread.join(0.05)
    assert results == []
    (first,) = queue.take()
    queue.leave(1, first.size)
    thread.join(TIMEOUT)
    assert results == [True]
    assert queue.peak == 2


def test_a_thread_takes_only_its_share() -> None:
    queue, made = WindowQueue(1 << 30, 100, 4, inference_threads=2), windows(9)
    for one in made[:2]:
        assert queue.put(one)
    assert [queue.take(), queue.take()] == [[made[0]], [made[1]]]
    for one in made:
        assert queue.put(one)
    assert [len(queue.take()) for _ in range(4)] == [4, 3, 1, 1]


def test_closing_wakes_all_who_wait() -> None:
    queue, made = WindowQueue(1 << 30, 1, 4), windows(2)
    assert queue.put(made[0])
    putting, results = put_later(queue, made[1])
    queue.close()
    putting.join(TIMEOUT)
    assert results == [False]
    assert queue.take() == []
    assert not queue.put(made[1])


def test_an_empty_queue_makes_threads_wait() -> None:
    queue, (one,) = WindowQueue(1 << 30, 10, 4), windows(1)
    taken: list[list[Window]] = []
    thread = threading.Thread(target=lambda: taken.append(queue.take()))
    thread.start()
    thread.join(0.05)
    assert taken == []
    queue.put(one)
    thread.join(TIMEOUT)
    assert taken == [[one]]
