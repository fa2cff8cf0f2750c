"""What makes each sound what it is, measured on its spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.synth import engines, horns, sirens, voices, wheels
from av_tagger.synth.dsp import RandomDraw, SampleSpan, partials, tone

RATE = 20_000
SEEDS = range(6)


def draw(seed: int) -> RandomDraw:
    return RandomDraw(np.random.default_rng(seed))


def peak_hz(x: np.ndarray, low: float = 50.0, high: float = 9000.0) -> float:
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    inside = (hz >= low) & (hz <= high)
    return float(hz[inside][spectrum[inside].argmax()])


def track(x: np.ndarray, low: float, high: float, seconds: float = 0.05) -> np.ndarray:
    """The strongest frequency of every `seconds`."""
    n = int(seconds * RATE)
    return np.array([peak_hz(x[i : i + n], low, high) for i in range(0, len(x) - n, n)])


def envelope(x: np.ndarray, seconds: float = 0.01) -> np.ndarray:
    n = int(seconds * RATE)
    return np.sqrt(np.square(x[: len(x) // n * n], dtype=np.float64).reshape(-1, n).mean(1))


def tonality(x: np.ndarray) -> float:
    """Share of the energy in the strongest hundredth of the bins: near 1 for tones, a few hundredths for noise."""
    power = np.sort(np.abs(np.fft.rfft(x)) ** 2)[::-1]
    return float(power[: len(power) // 100].sum() / power.sum())


def test_the_oscillator_plays_its_frequency_without_aliases():
    x = tone(np.full(RATE, 3000.0), RATE, partials(draw(0), 12, 3))
    spectrum = np.abs(np.fft.rfft(x * np.hanning(RATE)))
    hz = np.fft.rfftfreq(RATE, 1 / RATE)
    near = np.min(np.abs(hz[:, None] - np.array([3000.0, 6000.0, 9000.0])), axis=1) < 10
    assert peak_hz(x) == pytest.approx(3000, abs=2) or peak_hz(x) == pytest.approx(6000, abs=2)
    assert np.square(spectrum[~near]).sum() < 1e-4 * np.square(spectrum).sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_reversing_beeps_go_on_and_off_at_one_pitch(seed):
    x = sirens.reversing_beeps(draw(seed), SampleSpan(RATE, 6.0))
    e = envelope(x)
    on = e > 0.3 * e.max()
    switches = np.count_nonzero(np.diff(on.astype(int)))
    assert 0.25 < on.mean() < 0.75
    assert 6 <= switches <= 24
    sounding = np.repeat(on, RATE // 100)
    if tonality(x[: len(sounding)][sounding]) > 0.5:
        assert 800 <= peak_hz(x[: len(sounding)][sounding], 400, 4000) <= 3100


@pytest.mark.parametrize("table", [sirens.HILO_POLICE, sirens.HILO_FIRE, sirens.HILO_AMBULANCE])
def test_hilo_alternates_between_two_tones(table):
    for low, high in table:
        f = sirens.alternate(draw(1), SampleSpan(RATE, 3.0), (low, high), 1.0)
        ends = {round(float(v), 3) for v in f}
        share = np.mean(np.isclose(f, f.min()) | np.isclose(f, f.max()))
        assert share > 0.85
        assert f.max() / f.min() == pytest.approx(max(low, high) / min(low, high), rel=1e-6)
        assert len(ends) > 2


def test_hilo_is_heard_as_two_tones():
    d = draw(3)
    span = SampleSpan(RATE, 3.0)
    x = tone(sirens.alternate(d, span, (500.0, 700.0), 1.0), RATE, partials(d, 3, 20))
    heard = track(x, 300, 1000)
    tuned = heard / 500
    assert np.mean((np.abs(tuned - 1) < 0.08) | (np.abs(tuned - 1.4) < 0.08)) > 0.85
    assert heard.max() / heard.min() > 1.25


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(sirens.wail, 0.12, 0.46), (sirens.yelp, 1.9, 4.7), (sirens.phaser, 7.0, 20.1)],
)
def test_sirens_sweep_at_their_pace(kind, low, high):
    """Whole sweeps a second, from the upward crossings of the middle frequency."""
    for seed in SEEDS:
        span = SampleSpan(1000, 16.0)
        f = kind(draw(seed), span)
        middle = np.sqrt(f.min() * f.max())
        rises = np.count_nonzero((f[:-1] < middle) & (f[1:] >= middle))
        assert low * 16 - 1 <= rises <= high * 16 + 1
        assert f.max() / f.min() > 1.3


def test_civil_defense_is_slow_and_low():
    for seed in SEEDS:
        x = sirens.civil_defense(draw(seed), SampleSpan(RATE, 5.0))
        heard = track(x, 60, 2000, 0.2)
        steps = np.abs(np.diff(np.log2(heard)))
        assert np.median(steps) < 0.12
        assert tonality(x) > 0.2


def test_train_horns_are_chords():
    """More than one fundamental: peaks that are no multiples of the lowest."""
    d = draw(0)
    x = horns.chord(d, SampleSpan(RATE, 1.0), (311.0, 370.0, 494.0), 8.0)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    for f in (311.0, 370.0, 494.0):
        inside = spectrum[int(f * 0.985) : int(f * 1.015) + 1].max()
        outside = spectrum[int(f * 1.05) : int(f * 1.09)].max()
        assert inside > 3 * outside


def test_doppler_falls_as_a_car_passes():
    """From c / (c - v) to c / (c + v) of the source's pitch."""
    span, speed = SampleSpan(RATE, 4.0), 30.0
    x = engines.drive_past(
        tone(np.full(span.n, 1000.0), RATE, np.ones(1)), span, speed, closest=3.0, middle=2.0
    )
    early, late = peak_hz(x[: RATE // 2], 500, 2000), peak_hz(x[-RATE // 2 :], 500, 2000)
    c = engines.SOUND_SPEED
    # The road folds time at the start, so the expected early pitch is that of an approaching source, the late one of a leaving source.
    assert late == pytest.approx(1000 * (1 - speed / c), rel=0.01)
    assert early == pytest.approx(1000 * (1 + speed / c), rel=0.01)
    e = envelope(x, 0.05)
    assert abs(e.argmax() * 0.05 - 2.0) < 0.15


def test_engines_pulse_at_their_firing_frequency():
    engine = engines.Engine(np.ones(1), 8.0, ((200.0, 100.0, 1.0),), 0.1, 0.0, 0.0)
    x = engines.run(draw(2), SampleSpan(RATE, 4.0), np.full(4 * RATE, 25.0), engine)
    e = envelope(x, 0.002)
    spectrum = np.abs(np.fft.rfft(e - e.mean()))
    hz = np.fft.rfftfreq(len(e), 0.002)
    inside = (hz > 12) & (hz < 60)
    assert hz[inside][spectrum[inside].argmax()] == pytest.approx(25, rel=0.12)


def test_pulling_away_climbs_and_shifts_down():
    f = engines.gears(draw(1), SampleSpan(1000, 10.0), 20.0, 100.0, (1.5, 2.5))
    falls = np.count_nonzero(np.diff(np.sign(np.diff(f))) < 0)
    assert f[0] == pytest.approx(20)
    assert f.max() > 60
    assert falls >= 3


def test_rail_joints_beat():
    x = wheels.joints(draw(4), SampleSpan(RATE, 6.0))
    e = envelope(x, 0.01)
    assert e.max() > 4 * np.median(e)


def test_a_trick_pops_flies_and_lands():
    hits = 0
    for seed in SEEDS:
        x = wheels.trick(draw(seed), SampleSpan(RATE, 3.0))
        e = envelope(x, 0.02)
        loud = np.flatnonzero(e > 0.5 * e.max()) * 0.02
        hits += len(loud) > 0 and loud.max() - loud.min() > 0.15
    assert hits >= 4


def test_bells_ring_and_ratchets_tick():
    bell = wheels.bicycle_bell(draw(0), SampleSpan(RATE, 2.0))
    assert tonality(bell) > 0.4
    assert 1200 <= peak_hz(bell) <= 9000
    ticks = envelope(wheels.ratchet(draw(0), SampleSpan(RATE, 2.0)), 0.005)
    assert ticks.max() > 3 * np.median(ticks)


def test_screams_are_higher_than_speech():
    screams = [
        np.median(track(voices.screaming(draw(s), SampleSpan(RATE, 1.0)), 80, 5000)) for s in SEEDS
    ]
    talk = [
        np.median(track(voices.speech(draw(s), SampleSpan(RATE, 1.0)), 80, 5000)) for s in SEEDS
    ]
    assert np.median(screams) > 1.5 * np.median(talk)


def test_car_alarms_repeat_a_pattern_that_moves():
    moving = 0
    for seed in SEEDS:
        heard = track(sirens.car_alarm(draw(seed), SampleSpan(RATE, 4.0)), 300, 5000)
        moving += len(np.unique(np.round(heard, -2))) >= 2
    assert moving >= 4
