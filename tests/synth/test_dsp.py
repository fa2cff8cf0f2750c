"""Oscillators, noises, filters and pulses against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.synth import dsp
from av_tagger.synth.dsp import SampleSpan
from tests.synth.measure import RATE, draw, level_db, peak_hz, power

SECOND = SampleSpan(RATE, 1.0)


def db_at(x: np.ndarray, hz: float) -> float:
    """Power density around a frequency."""
    bins, p = power(x)
    return float(10 * np.log10(p[np.abs(bins - hz) < 0.05 * hz].mean()))


def sine(hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def test_draws_stay_within_their_bounds() -> None:
    d = draw(0)
    assert all(2.0 <= d.between(5.0, 2.0) <= 5.0 for _ in range(200)), "in either order"
    assert {d.count(1, 3) for _ in range(100)} == {1, 2, 3}
    assert {d.pick("a", "b") for _ in range(50)} == {"a", "b"}
    assert 0.2 < np.mean([d.chance(0.3) for _ in range(1000)]) < 0.4
    assert not d.chance(0.0)
    many = d.many(50, -1.0, 1.0)
    assert many.shape == (50,)
    assert np.abs(many).max() <= 1.0


def test_log_draws_are_uniform_over_octaves() -> None:
    d = draw(1)
    found = np.array([d.log(100.0, 1600.0) for _ in range(4000)])
    counts, _ = np.histogram(np.log2(found / 100.0), bins=4, range=(0, 4))
    assert counts.sum() == 4000
    assert counts.min() > 900, "a quarter of the draws in each of the four octaves"


def test_the_length_of_a_span() -> None:
    assert (SECOND.n, len(SECOND.times()), SECOND.times()[1]) == (RATE, RATE, 1 / RATE)
    assert SECOND.part(0.25) == SampleSpan(RATE, 0.25)
    assert SECOND.part(3.0) == SECOND


def test_a_tone_has_the_frequency_and_the_partials_asked_for() -> None:
    x = dsp.tone(np.full(RATE, 500.0), RATE, np.array([1.0, 0.0, 0.5]))
    spectrum = np.abs(np.fft.rfft(x))
    assert spectrum.argmax() == 500
    assert spectrum[1500] / spectrum[500] == pytest.approx(0.5, rel=0.01)
    assert spectrum[1000] < 1e-3 * spectrum[500]


def test_a_tone_has_no_aliases() -> None:
    x = dsp.tone(np.full(RATE, 3000.0), RATE, dsp.partials(draw(0), 12, 3))
    spectrum = np.square(np.abs(np.fft.rfft(x * np.hanning(RATE))))
    hz = np.fft.rfftfreq(RATE, 1 / RATE)
    near = np.min(np.abs(hz[:, None] - np.array([3000.0, 6000.0, 9000.0])), axis=1) < 10
    assert peak_hz(x) in (pytest.approx(3000, abs=2), pytest.approx(6000, abs=2))
    assert spectrum[~near].sum() < 1e-4 * spectrum.sum()


def test_a_tone_follows_its_frequency_curve() -> None:
    x = dsp.tone(dsp.curve(SECOND, [(0.0, 400.0), (0.5, 400.0), (0.5001, 900.0)]), RATE, np.ones(1))
    assert peak_hz(x[: RATE // 2]) == pytest.approx(400, abs=3)
    assert peak_hz(x[RATE // 2 + 100 :]) == pytest.approx(900, abs=3)


def test_partials_fall_by_their_slope() -> None:
    amplitudes = dsp.partials(draw(0), 8, slope=6.0, scatter=0.0)
    assert 20 * np.log10(amplitudes[[0, 1, 3, 7]]) == pytest.approx([0, -6, -12, -18])
    even = dsp.partials(draw(0), 4, slope=0.0, scatter=0.0, even=-20.0)
    assert 20 * np.log10(even) == pytest.approx([0, -20, 0, -20])


def test_a_curve_is_linear_and_constant_beyond_its_ends() -> None:
    found = dsp.curve(SECOND, [(0.25, 1.0), (0.75, 3.0)])
    assert found[[0, RATE // 4, RATE // 2, RATE - 1]] == pytest.approx([1, 1, 2, 3], abs=1e-3)


def test_random_drift_is_slow_and_centred() -> None:
    found = np.log(dsp.random_drift(draw(0), SampleSpan(RATE, 60.0), rate=5.0, depth=0.2))
    assert abs(found.mean()) < 0.05
    assert 0.1 < found.std() < 0.25
    assert np.abs(np.diff(found)).max() < 10 * 0.2 * 5.0 / RATE


def test_noise_follows_its_spectrum() -> None:
    points = [(100.0, 0.0), (1000.0, -12.0), (8000.0, -30.0)]
    x = dsp.noise(draw(0), SampleSpan(RATE, 20.0), *points)
    levels = [db_at(x, hz) for hz, _ in points]
    assert np.subtract(levels, levels[0]) == pytest.approx([0, -12, -30], abs=1.5)
    assert level_db(x) == pytest.approx(-20, abs=0.01)


def test_band_noise_falls_by_its_skirt() -> None:
    x = dsp.band_noise(draw(1), SampleSpan(RATE, 20.0), 1000.0, 2000.0, skirt=30.0)
    inside = db_at(x, 1400.0)
    assert db_at(x, 500.0) - inside == pytest.approx(-30, abs=2)
    assert db_at(x, 4000.0) - inside == pytest.approx(-30, abs=2)


@pytest.mark.parametrize(("hz", "gain_db"), [(200.0, 0.0), (632.46, -6.0), (2000.0, -12.0)])
def test_eq_has_the_gain_of_its_points_and_between(hz: float, gain_db: float) -> None:
    """632 Hz is the geometric mean of 200 and 2000 Hz."""
    x = sine(hz)
    y = dsp.eq(x, RATE, (200.0, 0.0), (2000.0, -12.0))
    middle = slice(RATE // 4, -RATE // 4)
    assert level_db(y[middle]) - level_db(x[middle]) == pytest.approx(gain_db, abs=0.1)


def test_a_resonance_has_its_centre_and_bandwidth() -> None:
    x = np.zeros(RATE, np.float32)
    x[RATE // 2] = 1.0
    y = dsp.resonate(x, RATE, [(1000.0, 100.0, 1.0)], floor=0.0)
    spectrum = np.abs(np.fft.rfft(y))
    assert abs(int(spectrum.argmax()) - 1000) <= 2
    assert spectrum[950] / spectrum.max() == pytest.approx(0.5, abs=0.05)
    assert spectrum[1050] / spectrum.max() == pytest.approx(0.5, abs=0.05)


def test_unit_level() -> None:
    assert level_db(dsp.unit(7 * sine(100))) == pytest.approx(-20, abs=0.01)
    assert not dsp.unit(np.zeros(10, np.float32)).any()


def test_saturation_adds_odd_harmonics_and_keeps_the_level() -> None:
    shares = []
    for amount in (0.1, 1.0, 5.0):
        y = dsp.saturate(sine(500), amount)
        spectrum = np.abs(np.fft.rfft(y))
        shares.append(spectrum[1500] / spectrum[500])
        assert spectrum[1000] < 1e-3 * spectrum[500]
        assert level_db(y) == pytest.approx(-20, abs=0.01)
    assert shares == sorted(shares)
    assert shares[-1] > 0.2


def test_a_fade_touches_only_the_ends() -> None:
    x = np.ones(1000, np.float32)
    y = dsp.fade(x, 1000, attack=0.1, release=0.2)
    assert (y[0], y[-1]) == (0, 0)
    assert (y[100:800] == 1).all()
    assert (np.diff(y[:100]) > 0).all()
    assert (np.diff(y[800:]) < 0).all()
    assert (x == 1).all(), "the input is not changed"
    assert len(dsp.fade(np.ones(4, np.float32), 1000, 1.0, 1.0)) == 4


def test_an_impact_rings_at_its_modes_and_decays() -> None:
    x = dsp.modal_hit(draw(0), RATE, [440.0, 15_000.0], [0.1, 0.1])
    assert peak_hz(x, 100, 9900) == pytest.approx(440, abs=5)
    early, late = x[: RATE // 20], x[RATE // 5 : RATE // 5 + RATE // 20]
    assert level_db(early) - level_db(late) == pytest.approx(20 * np.log10(np.e) * 2, abs=1)


def test_contact_noise_is_short() -> None:
    x = dsp.modal_hit(draw(0), RATE, [400.0], [0.001], brightness=5.0)
    assert level_db(x[: RATE // 500]) > level_db(x[RATE // 250 :]) + 10


def test_overlay_adds_at_the_right_samples() -> None:
    span, block = SampleSpan(10, 1.0), np.ones(4, np.float32)
    found = dsp.overlay(span, [block, block, block, block], [0.0, 0.2, 0.8, 5.0], [1, 2, 3, 4])
    assert found.tolist() == [1, 1, 3, 3, 2, 2, 0, 0, 3, 3]


def test_pulses_follow_the_phase_and_the_weights() -> None:
    turns = np.arange(4000) / 1000
    x = dsp.pulse_train(turns, np.array([1.0, 0.5]), sharpness=5.0)
    peaks = x.reshape(4, 1000).max(axis=1)
    assert peaks / peaks[0] == pytest.approx([1, 0.5, 1, 0.5])
    assert (x[::1000] == 0).all(), "each pulse starts at zero"
