"""The window queue is bounded by count and bytes, and shares windows between threads."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, ColourMatrix, Frames, Media, Waveform
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.window_queue import (
    MOST_SHARE,
    RECOGNISED,
    SECOND,
    Window,
    WindowQueue,
    usual_cost,
)
from tests.fakes import window
from tests.waiting import LIMIT


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
    thread.join(LIMIT)
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
    thread.join(LIMIT)
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
    putting.join(LIMIT)
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
    thread.join(LIMIT)
    assert taken == [[one]]


def of(
    seconds: float, rate: float, size: tuple[int, int] = (360, 640), still: bool = False
) -> Window:
    """A window with planes of that size; `still`: all frames are equal."""
    count, (height, width) = round(seconds * rate), size
    images = np.empty((count, height * 3 // 2, width), np.uint8)
    first = np.zeros(count, np.int64) if still else np.arange(count)
    frames = Frames(images, np.arange(count) / rate, luma=ColourMatrix(), first_equal=first)
    waveform = Waveform(np.zeros(round(seconds * 100), np.float32), 100)
    return Window(0, 0, Media(Clip(Path("a.mp4")), 0.0, seconds, waveform, frames))


REQUEST = DecodeRequest()


def test_a_usual_window_has_the_usual_cost() -> None:
    assert of(10, 24).cost == pytest.approx(usual_cost(REQUEST))
    assert of(10, 8).cost == pytest.approx(usual_cost(replace(REQUEST, frame_rate=8.0)))
    heard = Window(0, 0, replace(of(10, 1).media, frames=None))
    assert heard.cost == pytest.approx(usual_cost(replace(REQUEST, short_side=None)))
    deaf = usual_cost(replace(REQUEST, audio_rate=None))
    assert usual_cost(REQUEST) - deaf == pytest.approx(10 * SECOND)


def test_longer_faster_and_larger_windows_cost_more_and_repeats_less() -> None:
    usual = of(10, 24).cost
    assert of(1, 24).cost < usual / 3
    assert of(10, 60).cost > 2 * usual - RECOGNISED
    assert usual < of(10, 24, (540, 960)).cost < 2 * usual
    assert of(10, 24, still=True).cost < usual / 2


def test_batches_cost_alike_whatever_is_in_the_stream() -> None:
    """Long and short windows, of several rates and sizes, in turn."""
    queue = WindowQueue(1 << 40, 1000, 8, 1, usual_cost(REQUEST))
    kinds = [(10, 24), (1, 24), (10, 60), (3, 30), (10, 24), (2, 25)]
    for i in range(120):
        assert queue.put(of(*kinds[i % len(kinds)]))
    batches = [queue.take() for _ in range(6)]
    costs = [sum(one.cost for one in batch) for batch in batches]
    assert max(costs) <= queue.budget
    assert min(costs) > 0.6 * queue.budget
    assert len({len(batch) for batch in batches}) > 1, "not by count"


@pytest.mark.parametrize("gathering", [False, True])
def test_a_card_is_as_busy_with_small_films_as_with_large_ones(gathering: bool) -> None:
    """24 and 60 fps, 1 to 10 s, 180p to 720p in random order: no batch costs less than a full one
    by more than the window that did not fit into it.
    """
    random = np.random.default_rng(0)
    sizes = [(180, 320), (360, 640), (540, 960), (720, 1280)]
    made = [
        of(float(random.choice([1, 3, 10])), float(random.choice([24, 30, 60])), sizes[i % 4])
        for i in range(60)
    ]
    queue = WindowQueue(1 << 50, 1000, 16, 1, usual_cost(REQUEST))
    queue.gather_seconds = 1000.0 if gathering else 0.0
    for one in made:
        assert queue.put(one)
    largest = max(one.cost for one in made)
    batches = []
    while queue._spent > queue.budget:
        batches.append(queue.take())
    costs = [sum(one.cost for one in batch) for batch in batches]
    assert len(costs) >= 3
    assert max(costs) <= queue.budget
    assert min(costs) >= queue.budget - largest
    assert min(costs) > 0.75 * max(costs)
    counts = [len(batch) for batch in batches]
    assert max(counts) > min(counts)


def test_a_window_that_costs_more_than_a_batch_is_taken_alone() -> None:
    queue = WindowQueue(1 << 40, 100, 1, 1, usual_cost(REQUEST))
    big, small = of(10, 60), of(1, 24)
    assert queue.put(big)
    assert queue.put(small)
    assert queue.take() == [big]
    assert queue.take() == [small]


def test_short_windows_do_not_make_endless_batches() -> None:
    queue = WindowQueue(1 << 40, 1000, 2, 1, usual_cost(REQUEST))
    tiny = Window(0, 0, replace(of(1, 1).media, frames=None))
    for _ in range(20):
        assert queue.put(tiny)
    assert len(queue.take()) == MOST_SHARE * 2


def test_a_shrunken_queue_gives_smaller_batches_and_never_none() -> None:
    queue = WindowQueue(1 << 40, 100, 8, 1, usual_cost(REQUEST))
    for _ in range(20):
        assert queue.put(of(10, 24))
    assert len(queue.take()) == 8
    queue.shrink(queue.budget / 2)
    assert len(queue.take()) == 4
    queue.shrink(queue.budget * 10)
    assert len(queue.take()) == 4, "it never grows again"
    queue.shrink(1.0)
    assert len(queue.take()) == 1


def gathering(limit: int = 100, batch: int = 3) -> WindowQueue:
    """Its threads wait for a full batch much longer than a test takes."""
    queue = WindowQueue(1 << 30, limit, batch, inference_threads=2)
    queue.gather_seconds = 1000.0
    return queue


def take_later(queue: WindowQueue) -> tuple[threading.Thread, list[list[Window]]]:
    taken: list[list[Window]] = []
    thread = threading.Thread(target=lambda: taken.append(queue.take()))
    thread.start()
    return thread, taken


def test_a_gathering_queue_waits_for_a_full_batch() -> None:
    queue, made = gathering(), windows(4)
    thread, taken = take_later(queue)
    for one in made[:2]:
        assert queue.put(one)
    thread.join(0.05)
    assert taken == []
    assert queue.put(made[2])
    thread.join(LIMIT)
    assert taken == [made[:3]], "a whole batch for one thread"


def test_gathering_ends_when_no_more_windows_come() -> None:
    queue, made = gathering(), windows(2)
    thread, taken = take_later(queue)
    for one in made:
        assert queue.put(one)
    queue.complete()
    thread.join(LIMIT)
    assert taken == [made]


def test_gathering_ends_when_decoders_wait_for_room() -> None:
    queue, made = gathering(limit=2), windows(3)
    thread, taken = take_later(queue)
    putting = [put_later(queue, one)[0] for one in made]
    thread.join(LIMIT)
    assert len(taken[0]) == 2
    queue.leave(2, sum(one.size for one in taken[0]))
    for one in putting:
        one.join(LIMIT)
    assert queue.count == 1


def test_gathering_ends_in_time_and_when_the_queue_is_closed() -> None:
    queue, (one,) = gathering(), windows(1)
    queue.gather_seconds = 0.01
    assert queue.put(one)
    assert queue.take() == [one], "no second one came"
    thread, taken = take_later(queue)
    assert queue.put(one)
    thread.join(LIMIT)
    assert taken == [[one]]
    queue.gather_seconds = 1000.0
    thread, taken = take_later(queue)
    assert queue.put(one)
    queue.close()
    thread.join(LIMIT)
    assert taken == [[]]
