"""Segments of waveforms in batches of equal length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from av_tagger.audio.waveforms import (
    Numbers,
    WaveformSegment,
    check_waveforms,
    in_batches,
    polyphase,
    with_lead,
)
from av_tagger.clip import Waveform
from av_tagger.errors import MediaError


class Recorder:
    """Returns the sum of each row, and records the shapes of the batches."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, waves: Numbers) -> list[float]:
        self.shapes.append(waves.shape)
        return [float(row.sum()) for row in waves]


def segments(*lengths: int) -> list[WaveformSegment]:
    """The i-th segment has samples of value i + 1."""
    return [WaveformSegment(i, 0, np.full(n, i + 1, np.float32)) for i, n in enumerate(lengths)]


def whole_tens(samples: int) -> int:
    return max(10, -(-samples // 10) * 10)


def test_segments_of_equal_padded_length_share_a_batch() -> None:
    run = Recorder()
    found = in_batches(segments(10, 25, 7, 30), whole_tens, 1000, run)
    assert found == [10 * 1, 25 * 2, 7 * 3, 30 * 4]
    assert sorted(run.shapes) == [(2, 10), (2, 30)]


def test_a_batch_is_bounded_by_its_samples() -> None:
    run = Recorder()
    assert in_batches(segments(*[10] * 7), whole_tens, 30, run) == [10 * n for n in range(1, 8)]
    assert run.shapes == [(3, 10), (3, 10), (1, 10)]


def test_a_segment_larger_than_a_batch_is_run_alone() -> None:
    run = Recorder()
    in_batches(segments(100, 100), whole_tens, 30, run)
    assert run.shapes == [(1, 100), (1, 100)]


def test_no_segments() -> None:
    run = Recorder()
    assert in_batches([], whole_tens, 30, run) == []
    assert run.shapes == []


def test_padding_is_zeros() -> None:
    seen: list[Numbers] = []
    in_batches(segments(3), whole_tens, 30, lambda waves: seen.append(waves) or [None])  # type: ignore[func-returns-value]
    np.testing.assert_array_equal(seen[0], [[1, 1, 1, 0, 0, 0, 0, 0, 0, 0]])


def test_one_result_per_row_is_required() -> None:
    with pytest.raises(ValueError, match="shorter"):
        in_batches(segments(10, 10), whole_tens, 1000, lambda waves: [0.0])


@given(st.lists(st.integers(0, 45), max_size=12), st.integers(1, 200))
def test_order_and_sums_for_any_lengths(lengths: list[int], batch_samples: int) -> None:
    run = Recorder()
    found = in_batches(segments(*lengths), whole_tens, batch_samples, run)
    assert found == [n * (i + 1) for i, n in enumerate(lengths)]
    assert all(rows == 1 or rows * length <= batch_samples for rows, length in run.shapes)


def test_good_waveforms_pass() -> None:
    check_waveforms([], 8000)
    check_waveforms([Waveform(np.zeros(0, np.float32), 8000)], 8000)
    check_waveforms([Waveform(np.full(9, 3e38, np.float32), 8000)], 8000)


def test_the_first_wrong_rate_is_named() -> None:
    waves = [Waveform(np.zeros(4, np.float32), rate) for rate in (8000, 16_000)]
    with pytest.raises(ValueError, match=r"needs 8000 Hz, the waveform has 16000 Hz: request"):
        check_waveforms(waves, 8000)


@pytest.mark.parametrize(("up", "down"), [(4, 5), (1, 2), (5, 8), (5, 4), (160, 441), (1, 3)])
@pytest.mark.parametrize("length", [1, 2, 100, 20_001])
def test_resampling_is_that_of_scipy(up: int, down: int, length: int) -> None:
    from scipy.signal import resample_poly

    samples = np.random.default_rng(0).standard_normal(length).astype(np.float32)
    expected = resample_poly(samples, up, down)
    found = polyphase(samples, up, down)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_the_lead_of_a_window_is_the_sound_before_it_or_mirrored() -> None:
    x = np.arange(10, dtype=np.float32)
    assert with_lead(x, 5, 8, 2).tolist() == [3, 4, 5, 6, 7]
    assert with_lead(x, 0, 4, 3).tolist() == [3, 2, 1, 0, 1, 2, 3]
    assert with_lead(x, 1, 4, 3).tolist() == [2, 1, 0, 1, 2, 3]
    assert with_lead(x, 4, 12, 0).tolist() == x[4:].tolist()
    assert with_lead(x[:2], 0, 2, 4).tolist() == [0, 1, 0, 1, 0, 1]


def test_samples_that_the_decoder_checked_are_not_checked_again() -> None:
    known = Waveform(np.full(3, np.nan, np.float32), 8000, finite=True)
    check_waveforms([known], 8000)
    with pytest.raises(MediaError, match="NaN"):
        check_waveforms([Waveform(known.samples, 8000)], 8000)
