"""Audio of every format becomes mono float32 of exact length."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.media.sound import Mixer, Resampler, to_mono

RATE = 8_000
DTYPES = {"u8": "u1", "s16": "<i2", "s32": "<i4", "flt": "<f4", "dbl": "<f8"}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def frame(values: np.ndarray, kind: str = "fltp", rate: int = RATE) -> av.AudioFrame:
    """Values (channels, samples), already of the sample type, planar or packed by `kind`."""
    layout, packed = LAYOUTS[len(values)], kind.removesuffix("p")
    plain = np.ascontiguousarray(values.T.reshape(1, -1))
    made = av.AudioFrame.from_ndarray(plain, packed, layout)
    made.sample_rate = rate
    (found,) = [made] if kind == packed else av.AudioResampler(kind, layout, rate).resample(made)
    return found


def coded(level: float, kind: str) -> float:
    """A level of -1..1 as a value of the sample type."""
    scale = {"u8": 128, "s16": 2**15, "s32": 2**31}.get(kind)
    if scale is None:
        return level
    return round(level * scale) + (128 if kind == "u8" else 0)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", DTYPES)
def test_every_sample_format_has_the_same_level(kind: str, planar: bool) -> None:
    levels = np.array([[0.5, -0.5, 0.0], [0.25, -0.25, 0.0]])
    values = np.vectorize(lambda x: coded(x, kind))(levels).astype(DTYPES[kind])
    mono = to_mono(frame(values, kind + "p" if planar else kind))
    assert mono.dtype == np.float32
    np.testing.assert_allclose(mono, [0.375, -0.375, 0.0], atol=1e-2 if kind == "u8" else 1e-4)


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize("kind", ["fltp", "s16p", "s16"])
def test_equal_channels_keep_their_level(channels: int, kind: str) -> None:
    """8 planar channels have more planes than PyAV can read."""
    level = coded(0.5, kind.removesuffix("p"))
    values = np.full((channels, 100), level, DTYPES[kind.removesuffix("p")])
    np.testing.assert_allclose(to_mono(frame(values, kind)), 0.5, atol=1e-4)


def test_full_scale_stays_within_one() -> None:
    values = np.array([[-(2**15), 2**15 - 1]], "<i2")
    assert to_mono(frame(values, "s16p")).tolist() == [-1.0, pytest.approx(1.0, abs=1e-4)]


def test_values_that_are_no_numbers_are_replaced() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 0.25]], np.float32)
    assert to_mono(frame(values)).tolist() == [0.0, 1.0, -1.0, 0.25]


def test_the_decoders_memory_is_copied() -> None:
    values = np.full((1, 4), 0.5, np.float32)
    made = frame(values)
    mono = to_mono(made)
    made.planes[0].update(np.zeros(made.planes[0].buffer_size, np.uint8).tobytes())
    assert mono.tolist() == [0.5] * 4


def test_the_mixer_gathers_half_a_second() -> None:
    mixer = Mixer()
    counts = [len(mixer.add(frame(np.full((2, 1000), 0.5, np.float32)))) for _ in range(8)]
    assert counts == [0, 0, 0, 4000, 0, 0, 0, 4000]
    assert len(mixer.rest()) == 0


def test_the_mixer_keeps_the_order_when_the_format_changes() -> None:
    mixer, given_out = Mixer(), []
    levels = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    for level, channels in zip(levels, (1, 1, 2, 1), strict=True):
        made = frame(np.full((channels, 100), level, np.float32))
        made.pts = 12_345
        given_out.append(mixer.add(made))
    given_out.append(mixer.rest())
    np.testing.assert_allclose(np.concatenate(given_out), np.repeat(levels, 100), rtol=1e-6)
    assert len(mixer.rest()) == 0


def test_a_change_of_channels_is_mixed_anew() -> None:
    """Without a new start all frames would be read with the channels of the first, or crash."""
    mixer, given_out = Mixer(), []
    levels = ([0.1], [0.2, 0.4], [0.1] * 5 + [0.7], [0.5], [0.6] * 6, [0.1, 0.3])
    for level in levels:
        values = np.repeat(np.array(level, np.float32)[:, None], 100, axis=1)
        given_out.append(mixer.add(frame(values)))
    given_out.append(mixer.rest())
    means = [np.mean(level) for level in levels]
    np.testing.assert_allclose(np.concatenate(given_out), np.repeat(means, 100), rtol=1e-5)


def resample(samples: np.ndarray, source: int, target: int, chunks: list[int]) -> np.ndarray:
    resampler, at, parts = Resampler(source, target), 0, []
    for size in chunks:
        parts.append(resampler.push(samples[at : at + size]))
        at += size
    return np.concatenate([*parts, resampler.push(samples[at:]), resampler.flush()])


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 5_000),
    st.sampled_from([(8_000, 20_000), (44_100, 20_000), (96_000, 8_000), (20_000, 20_000)]),
    st.lists(st.integers(0, 2_000), max_size=5),
)
def test_lengths_are_exact_however_audio_is_cut(
    count: int, rates: tuple[int, int], chunks: list[int]
) -> None:
    source, target = rates
    samples = np.sin(np.arange(count) * 0.05).astype(np.float32)
    found = resample(samples, source, target, chunks)
    assert len(found) == max(1, round(count * target / source))
    np.testing.assert_allclose(found, resample(samples, source, target, []), atol=1e-6)


def test_a_tone_is_the_same_at_another_rate() -> None:
    def tone(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)

    found = resample(tone(44_100), 44_100, 20_000, [])
    np.testing.assert_allclose(found[200:-200], tone(20_000)[200:-200], atol=5e-3)


def test_without_input_there_is_no_output() -> None:
    for rate in (8_000, 20_000):
        resampler = Resampler(8_000, rate)
        assert len(resampler.push(np.zeros(0, np.float32))) == 0
        assert len(resampler.flush()) == 0
