"""The memory of a stream: samples and frames by time, bounded."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from av_tagger.clip import ColourMatrix
from av_tagger.live.buffers import FrameBuffer, SampleBuffer, TimedImage
from av_tagger.live.timeline import GrowingTimeline
from av_tagger.scores import Activity
from av_tagger.tagger import stitch


def test_samples_are_found_by_time() -> None:
    buffer = SampleBuffer(100)
    for first in range(0, 1000, 7):
        buffer.add(np.arange(first, min(first + 7, 1000), dtype=np.float32))
    wave = buffer.waveform(2.5, 2.6)
    assert wave is not None
    assert wave.samples.tolist() == list(range(250, 260))
    assert (wave.start_seconds, buffer.end) == (2.5, 10.0)
    assert buffer.waveform(10.0, 11.0) is None


def test_an_origin_moves_the_samples() -> None:
    buffer = SampleBuffer(100, 5.005)
    buffer.add(np.arange(100, dtype=np.float32))
    wave = buffer.waveform(5.0, 5.1)
    assert wave is not None
    assert (len(wave.samples), wave.start_seconds) == (10, 5.005)


def test_memory_is_bounded_and_what_is_kept_is_right() -> None:
    buffer, rng = SampleBuffer(100), np.random.default_rng(0)
    values = rng.standard_normal(50_000).astype(np.float32)
    most, first = 0, 0
    while first < len(values):
        size = int(rng.integers(1, 90))
        buffer.add(values[first : first + size])
        first = min(len(values), first + size)
        buffer.drop_before(buffer.end - 10)
        most = max(most, buffer.kept)
        wave = buffer.waveform(max(0.0, buffer.end - 10), buffer.end)
        assert wave is not None
        np.testing.assert_array_equal(wave.samples, values[first - len(wave.samples) : first])
    assert most < 3000  # three times of what is needed


def frame(seconds: float, side: int = 4, luma: ColourMatrix | None = None) -> TimedImage:
    shape = (side, side, 3) if luma is None else (side * 3 // 2, side)
    return TimedImage(seconds, np.full(shape, round(seconds * 10) % 256, np.uint8), luma)


def test_frames_of_a_window() -> None:
    buffer = FrameBuffer()
    for n in range(20):
        buffer.add(frame(n / 2))
    frames = buffer.frames(2.0, 4.0)
    assert frames is not None
    assert frames.times.tolist() == [2.0, 2.5, 3.0, 3.5]
    assert buffer.end == 9.5


def test_the_last_frame_is_still_shown() -> None:
    buffer = FrameBuffer()
    buffer.add(frame(1.0))
    buffer.drop_before(5.0)
    assert len(buffer) == 0
    frames = buffer.frames(5.0, 6.0)
    assert frames is not None
    assert (frames.times.tolist(), int(frames.images.max())) == ([5.0], 10)
    assert FrameBuffer().frames(0.0, 1.0) is None


def test_a_frame_of_another_size_starts_anew() -> None:
    buffer = FrameBuffer()
    buffer.add(frame(1.0))
    buffer.add(frame(1.5, side=8))
    frames = buffer.frames(0.0, 2.0)
    assert frames is not None
    assert frames.images.shape == (1, 8, 8, 3)


def test_planar_frames_keep_their_colours() -> None:
    buffer = FrameBuffer()
    buffer.add(frame(0.0, luma=ColourMatrix()))
    frames = buffer.frames(0.0, 1.0)
    assert frames is not None
    assert frames.size == (4, 4)


@pytest.mark.parametrize("rate", [10.0, 1 / 0.48, 3.125])
def test_a_growing_timeline_is_the_stitched_one(rate: float) -> None:
    rng = np.random.default_rng(1)
    spans = [(9.0 * i, 9.0 * i + 10) for i in range(4)] + [(36.0, 50.3)]
    pieces: list[Activity | None] = [
        Activity(rng.random((round((b - a) * rate), 3)).astype(np.float32), rate, a)
        for a, b in spans
    ]
    pieces[2] = None
    whole = stitch(pieces, spans)
    growing = GrowingTimeline(0.0, rate, 3)
    cuts = [(a[1] + b[0]) / 2 for a, b in pairwise(spans)] + [50.3]
    parts = [growing.decide(piece, cut) for piece, cut in zip(pieces, cuts, strict=True)]
    assert whole is not None
    np.testing.assert_array_equal(np.concatenate(parts), whole.values)
