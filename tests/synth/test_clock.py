"""The demo's clock: true times of its ticks, seeds, a picture with a dial and moving hands."""

from __future__ import annotations

import numpy as np

from av_tagger.synth.clock import RATE, STEP, TICKS_BEGIN, TICKS_END, clock_demo


def test_ticks_are_where_the_label_says() -> None:
    scene, _, _ = clock_demo(3)
    (event,) = scene.events
    assert (event.label, event.start, event.end) == ("Clock", TICKS_BEGIN, TICKS_END)
    loud = np.flatnonzero(np.abs(scene.samples) > 0.05) / RATE
    assert TICKS_BEGIN <= loud.min() < TICKS_BEGIN + 0.02
    assert TICKS_END - 2 * STEP < loud.max() < TICKS_END
    silent = scene.samples[: int(TICKS_BEGIN * RATE)]
    assert np.abs(silent).max() < 0.01


def test_ticks_repeat_with_their_period() -> None:
    scene, _, _ = clock_demo(0)
    energy = np.square(scene.samples[RATE : 9 * RATE]).reshape(-1, RATE // 100).sum(axis=1)
    lags = [float(np.dot(energy[:-lag], energy[lag:])) for lag in range(5, 60)]
    assert (5 + int(np.argmax(lags))) / 100 in (STEP, 2 * STEP)


def test_seeds_give_other_sounds_and_pictures() -> None:
    one, two, again = (clock_demo(seed) for seed in (1, 2, 1))
    np.testing.assert_array_equal(one[0].samples, again[0].samples)
    assert not np.array_equal(one[0].samples, two[0].samples)
    first, other, same = (next(scene[1]) for scene in (one, two, again))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_only_the_second_hand_moves() -> None:
    _, frames, fps = clock_demo(0)
    pictures = list(frames)
    assert len(pictures) == 10 * fps
    assert pictures[0].shape == (360, 480, 3)
    np.testing.assert_array_equal(pictures[0], pictures[int(fps) - 1])
    moved = np.abs(pictures[0].astype(int) - pictures[int(fps)]).sum(axis=2) > 60
    assert 0 < moved.mean() < 0.02
