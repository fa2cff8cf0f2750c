"""What makes each class what it is, measured on its spectrum and its envelope."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from av_tagger.synth import SOURCES, engines, horns, render, sirens, vehicles, voices, wheels
from av_tagger.synth.dsp import Curve, RandomDraw, SampleSpan, partials, tone
from tests.synth.measure import (
    RATE,
    SEEDS,
    beat_hz,
    centroid_hz,
    draw,
    envelope,
    level_db,
    peak_hz,
    power,
    share_between,
    tonality,
    track,
)

TABLES = {
    "police": sirens.HILO_POLICE,
    "fire": sirens.HILO_FIRE,
    "ambulance": sirens.HILO_AMBULANCE,
}


@pytest.mark.parametrize("label", list(SOURCES))
def test_every_class_is_finite_audible_and_begins_at_once(label: str) -> None:
    for seed in range(3):
        x = render(seed, label, SampleSpan(RATE, 2.0))
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert 0.5 * RATE <= len(x) <= 2 * RATE
        assert level_db(x) > -40
        assert np.abs(x[: RATE // 2]).max() > 0.003 * np.abs(x).max()


@pytest.mark.parametrize("label", list(SOURCES))
def test_two_seeds_of_a_class_differ(label: str) -> None:
    a, b = (render(s, label, SampleSpan(RATE, 1.0)) for s in (1, 2))
    n = min(len(a), len(b))
    assert abs(np.corrcoef(a[:n], b[:n])[0, 1]) < 0.5


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_every_class_can_be_rendered_at_other_rates(rate: int) -> None:
    for label in SOURCES:
        x = render(0, label, SampleSpan(rate, 1.0))
        assert np.isfinite(x).all()
        assert level_db(x) > -40


@pytest.mark.parametrize("seed", SEEDS)
def test_reversing_beeps_go_on_and_off_at_one_pitch(seed: int) -> None:
    x = sirens.reversing_beeps(draw(seed), SampleSpan(RATE, 6.0))
    e = envelope(x)
    on = e > 0.3 * e.max()
    switches = np.count_nonzero(np.diff(on.astype(int)))
    assert 0.25 < on.mean() < 0.75
    assert 6 <= switches <= 24
    sounding = np.repeat(on, RATE // 100)
    if tonality(x[: len(sounding)][sounding]) > 0.5:
        assert 800 <= peak_hz(x[: len(sounding)][sounding], 400, 4000) <= 3100


@pytest.mark.parametrize("service", TABLES)
def test_a_hilo_frequency_alternates_between_two_tones(service: str) -> None:
    for low, high in TABLES[service]:
        f = sirens.two_tone(draw(1), SampleSpan(RATE, 3.0), (low, high), 1.0)
        assert np.mean(np.isclose(f, f.min()) | np.isclose(f, f.max())) > 0.85
        assert f.max() / f.min() == pytest.approx(max(low, high) / min(low, high), rel=1e-6)


@pytest.mark.parametrize("service", TABLES)
def test_a_hilo_siren_sounds_in_one_of_its_services_intervals(service: str) -> None:
    """The two loudest fundamentals stand in the ratio of a pair of the table, tuned within 4 %."""
    ratios = {max(p) / min(p) for p in TABLES[service]}
    for seed in SEEDS:
        d = draw(seed)
        pair = TABLES[service][d.count(0, len(TABLES[service]) - 1)]
        x = tone(sirens.two_tone(d, SampleSpan(RATE, 4.0), pair, 1.0), RATE, partials(d, 3, 20))
        found = track(x, 0.9 * min(pair), 1.1 * max(pair))
        low, high = np.percentile(found, [10, 90])
        assert min(abs(high / low - r) for r in ratios) < 0.08


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(sirens.wail, 0.12, 0.46), (sirens.yelp, 1.9, 4.7), (sirens.phaser, 7.0, 20.1)],
)
def test_sirens_sweep_at_their_rate(
    kind: Callable[[RandomDraw, SampleSpan], Curve], low: float, high: float
) -> None:
    """Sweeps per second, from the upward crossings of the middle frequency."""
    for seed in SEEDS:
        f = kind(draw(seed), SampleSpan(1000, 16.0))
        middle = np.sqrt(f.min() * f.max())
        rises = np.count_nonzero((f[:-1] < middle) & (f[1:] >= middle))
        assert low * 16 - 1 <= rises <= high * 16 + 1
        assert f.max() / f.min() > 1.3


def test_an_electronic_siren_follows_its_frequency_in_the_audio() -> None:
    for seed in SEEDS:
        d, span = draw(seed), SampleSpan(RATE, 4.0)
        x = sirens.electronic_siren(d, np.linspace(600.0, 1200.0, span.n), span)
        found = track(x, 550, 1300)
        expected = np.linspace(600, 1200, len(found))
        assert np.mean(np.abs(found / expected - 1) < 0.06) > 0.7


def test_civil_defense_is_slow_and_low() -> None:
    for seed in SEEDS:
        x = sirens.civil_defense(draw(seed), SampleSpan(RATE, 5.0))
        steps = np.abs(np.diff(np.log2(track(x, 60, 2000, 0.2))))
        assert np.median(steps) < 0.12
        assert tonality(x) > 0.2


def test_car_alarms_repeat_a_pattern_that_moves() -> None:
    moving = 0
    for seed in SEEDS:
        found = track(sirens.car_alarm(draw(seed), SampleSpan(RATE, 4.0)), 300, 5000)
        moving += len(np.unique(np.round(found, -2))) >= 2
    assert moving >= 4


def test_train_horns_are_chords() -> None:
    """More than one fundamental: peaks that are no multiples of the lowest."""
    x = horns.chord(draw(0), SampleSpan(RATE, 1.0), (311.0, 370.0, 494.0), 8.0)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    for f in (311.0, 370.0, 494.0):
        inside = spectrum[int(f * 0.985) : int(f * 1.015) + 1].max()
        outside = spectrum[int(f * 1.05) : int(f * 1.09)].max()
        assert inside > 3 * outside


def test_a_gas_horn_falls_to_its_pitch() -> None:
    for seed in SEEDS:
        x = horns.gas_horn(draw(seed), SampleSpan(RATE, 3.0))
        spectrum = np.abs(np.fft.rfft(x[-2 * RATE :] * np.hanning(2 * RATE)))
        late = spectrum[480:1400].argmax() / 2 + 240
        early = peak_hz(x[: RATE // 50], 0.95 * late, 1.9 * late)
        assert early > 1.02 * late


def test_blasts_do_not_overlap_and_fill_the_span() -> None:
    found = horns.blast_times(draw(0), SampleSpan(RATE, 10.0), (0.5, 1.0), (0.1, 0.3))
    assert found[0][0] == 0
    assert found[-1][0] + found[-1][1] > 9.0
    for (start, length), (following, _) in pairwise(found):
        assert 0.09 < following - start - length < 0.31


def test_a_car_horn_is_steady_and_higher_than_a_train() -> None:
    for seed in SEEDS:
        x = horns.car_horn(draw(seed), SampleSpan(RATE, 2.0))
        assert share_between(x, 0, 250) < 0.05
        assert tonality(x) > 0.3


def test_a_steam_whistle_glides_at_its_start() -> None:
    rising = 0
    for seed in SEEDS:
        f = track(horns.whistle(draw(seed), SampleSpan(RATE, 3.0)), 150, 2500)
        rising += f[1] < np.median(f)
    assert rising >= 5


def test_doppler_falls_as_a_car_passes() -> None:
    """From 1 + v / c of the pitch of the source to 1 - v / c, loudest at the closest approach."""
    span, speed = SampleSpan(RATE, 4.0), 30.0
    source = tone(np.full(span.n, 1000.0), RATE, np.ones(1))
    x = vehicles.drive_past(source, span, speed, closest=3.0, middle=2.0)
    early, late = peak_hz(x[: RATE // 2], 500, 2000), peak_hz(x[-RATE // 2 :], 500, 2000)
    assert late == pytest.approx(1000 * (1 - speed / vehicles.SOUND_SPEED), rel=0.01)
    assert early == pytest.approx(1000 * (1 + speed / vehicles.SOUND_SPEED), rel=0.01)
    assert abs(envelope(x, 0.05).argmax() * 0.05 - 2.0) < 0.15


def test_the_level_of_a_passing_source_falls_by_its_distance() -> None:
    """At 10 m/s and 5 m, one second after the closest approach: 7 dB by 1 / r."""
    span = SampleSpan(RATE, 6.0)
    source = tone(np.full(span.n, 200.0), RATE, np.ones(1))
    x = vehicles.drive_past(source, span, 10.0, closest=5.0, middle=3.0)
    e = envelope(x, 0.05)
    assert 20 * np.log10(e[60] / e[80]) == pytest.approx(10 * np.log10(1 + 2**2), abs=0.7)


def test_passing_cars_swell_and_fade() -> None:
    peaks = []
    for seed in range(10):
        e = envelope(vehicles.car_passing(draw(seed), SampleSpan(RATE, 6.0)), 0.1)
        peaks.append(e.max() / np.median(e))
    assert np.median(peaks) > 2


def test_engines_pulse_at_their_firing_frequency() -> None:
    engine = engines.Engine(np.ones(1), 8.0, ((200.0, 100.0, 1.0),), 0.1, 0.0, 0.0)
    x = engines.engine_sound(draw(2), SampleSpan(RATE, 4.0), np.full(4 * RATE, 25.0), engine)
    assert beat_hz(x, 12, 60, 0.002) == pytest.approx(25, rel=0.12)


def test_an_idling_motorcycle_fires_slowly() -> None:
    for seed in SEEDS:
        x = vehicles.idling_motorcycle(draw(seed), SampleSpan(RATE, 4.0))
        assert 4 <= beat_hz(x, 3, 60, 0.004) <= 50
        e = envelope(x, 0.004)
        assert e.max() > 2 * np.median(e), "explosions stand out"


def test_accelerating_rises_and_drops_at_gear_changes() -> None:
    f = engines.gears(draw(1), SampleSpan(1000, 10.0), 20.0, 100.0, (1.5, 2.5))
    falls = np.count_nonzero(np.diff(np.sign(np.diff(f))) < 0)
    assert f[0] == pytest.approx(20)
    assert f.max() > 60
    assert falls >= 3


def test_throttle_stays_within_the_range_of_the_engine() -> None:
    for seed in range(30):
        f = engines.revving(draw(seed), SampleSpan(100, 10.0), 20.0, 200.0)
        assert f.min() >= 0.89 * 20.0
        assert f.max() <= 200.0


def test_buses_are_duller_than_trucks() -> None:
    def treble(source: Callable[[RandomDraw, SampleSpan], np.ndarray]) -> float:
        found = [
            share_between(source(draw(s), SampleSpan(RATE, 3.0)), 3000, 10_000) for s in range(16)
        ]
        return float(np.median(found))

    assert treble(vehicles.bus) < 0.7 * treble(vehicles.truck)


def test_diesels_are_deeper_than_motorcycles() -> None:
    def centre(source: Callable[[RandomDraw, SampleSpan], np.ndarray]) -> float:
        return float(
            np.median([centroid_hz(source(draw(s), SampleSpan(RATE, 2.0))) for s in range(12)])
        )

    assert centre(vehicles.bus) < centre(vehicles.motorcycle)


def test_air_brakes_are_bright_and_squeals_are_pure() -> None:
    for seed in SEEDS:
        hiss = vehicles.air_brake(draw(seed), SampleSpan(RATE, 1.0))
        assert share_between(hiss, 1000, 10_000) > 0.9
        assert tonality(vehicles.squeal(draw(seed), SampleSpan(RATE, 1.0))) > 0.6


def test_rail_joints_beat() -> None:
    e = envelope(wheels.rail_joints(draw(4), SampleSpan(RATE, 6.0)), 0.01)
    assert e.max() > 4 * np.median(e)


def test_a_steam_engine_has_single_strokes() -> None:
    for seed in SEEDS:
        x = wheels.steam_engine(draw(seed), SampleSpan(RATE, 6.0))
        assert 0.7 <= beat_hz(x, 0.5, 20, 0.01) <= 16


def test_a_locomotive_is_steady_and_rolling_stock_is_low() -> None:
    for seed in SEEDS:
        e = envelope(wheels.locomotive(draw(seed), SampleSpan(RATE, 4.0)), 0.25)
        assert e.max() < 2 * e.min()
        rolling = wheels.rolling_stock(draw(seed), SampleSpan(RATE, 2.0))
        assert share_between(rolling, 0, 2500) > 0.8


def test_a_jump_has_an_impact_at_take_off_and_landing() -> None:
    hits = 0
    for seed in SEEDS:
        e = envelope(wheels.skateboard_trick(draw(seed), SampleSpan(RATE, 3.0)), 0.02)
        loud = np.flatnonzero(e > 0.5 * e.max()) * 0.02
        hits += len(loud) > 0 and loud.max() - loud.min() > 0.15
    assert hits >= 4


def test_bells_ring_and_freewheels_tick() -> None:
    bell = wheels.bicycle_bell(draw(0), SampleSpan(RATE, 2.0))
    assert tonality(bell) > 0.4
    assert 1200 <= peak_hz(bell) <= 9000
    ticks = envelope(wheels.freewheel(draw(0), SampleSpan(RATE, 2.0)), 0.005)
    assert ticks.max() > 3 * np.median(ticks)


def test_a_bell_stroke_has_the_modes_of_a_bell() -> None:
    x = wheels.bell_stroke(draw(0), RATE, 1500.0, 0.5)
    hz, p = power(x, size=8192)
    for ratio in (1.0, 2.45, 4.4):
        near = np.abs(hz / (1500.0 * ratio) - 1) < 0.04
        beside = np.abs(hz / (1500.0 * ratio) - 1.15) < 0.04
        assert p[near].max() > 10 * p[beside].max()


def test_screams_are_higher_than_speech() -> None:
    screams, talk = (
        [np.median(track(source(draw(s), SampleSpan(RATE, 1.0)), 80, 5000)) for s in SEEDS]
        for source in (voices.screaming, voices.speech)
    )
    assert np.median(screams) > 1.5 * np.median(talk)


def test_vowels_have_formants() -> None:
    """A syllable at 100 Hz: most power lies near the first two formants of one of the vowels."""
    for seed in SEEDS:
        x = voices.syllable(draw(seed), SampleSpan(RATE, 0.5), 100.0, 1.0)
        found = [
            sum(share_between(x, 0.7 * f, 1.4 * f) for f in vowel[:2]) for vowel in voices.VOWELS
        ]
        assert max(found) > 0.5


def test_roughness_adds_modulation() -> None:
    def depth(roughness: float) -> float:
        span = SampleSpan(RATE, 2.0)
        x = voices.voice_source(draw(0), span, np.full(span.n, 800.0), roughness)
        e = envelope(x, 0.002)
        return float(e.std() / e.mean())

    assert depth(1.0) > 2 * depth(0.0)
