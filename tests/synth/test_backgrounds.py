"""Background beds and distractors: audible, and with the spectrum or rhythm of their names."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.synth import beds, distractors, voices
from av_tagger.synth.beds import BEDS
from av_tagger.synth.distractors import DISTRACTORS
from av_tagger.synth.dsp import SampleSpan, Source
from tests.synth.measure import (
    RATE,
    SEEDS,
    beat_hz,
    centroid_hz,
    draw,
    envelope,
    level_db,
    peak_hz,
    share_between,
    tonality,
)

SOURCES = {f"bed {k}": v for k, v in BEDS.items()} | {
    f"distractor {k}": v for k, v in DISTRACTORS.items()
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_one_is_finite_and_audible_and_fills_the_span(name: str) -> None:
    x = SOURCES[name](draw(3), SampleSpan(RATE, 1.5))
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    assert len(x) == 1.5 * RATE
    assert level_db(x) > -40


@pytest.mark.parametrize("name", SOURCES)
def test_every_one_is_reproducible_and_varies_with_the_seed(name: str) -> None:
    a, b, c = (SOURCES[name](draw(seed), SampleSpan(RATE, 1.0)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.6


def median(source: Source, measure: object, seconds: float = 2.0) -> float:
    assert callable(measure)
    return float(np.median([measure(source(draw(s), SampleSpan(RATE, seconds))) for s in SEEDS]))


def test_beds_are_ordered_from_dull_to_bright() -> None:
    found = [median(bed, centroid_hz) for bed in (beds.wind, beds.rumble, beds.water, beds.rain)]
    assert found == sorted(found)
    assert found[0] < 500
    assert found[-1] > 2500


def test_mains_hum_is_tonal() -> None:
    assert median(beds.hum, tonality) > 2 * median(beds.rain, tonality)


def test_footsteps_have_a_walking_pace() -> None:
    for seed in SEEDS:
        pace = beat_hz(beds.footsteps(draw(seed), SampleSpan(RATE, 8.0)), 1.0, 3.5, 0.02)
        assert 1 / 0.74 <= pace <= 1 / 0.33


def test_helicopters_chop() -> None:
    for seed in SEEDS:
        assert 8 <= beat_hz(distractors.helicopter(draw(seed), SampleSpan(RATE, 4.0)), 5, 40) <= 25


def test_thunder_is_low_and_dies_away() -> None:
    for seed in SEEDS:
        x = distractors.thunder(draw(seed), SampleSpan(RATE, 4.0))
        assert share_between(x, 0, 500) > 0.9
        assert level_db(x[: RATE // 2]) > level_db(x[-RATE // 2 :]) + 5


def test_a_ship_horn_is_lower_than_a_human_whistle() -> None:
    for seed in SEEDS:
        span = SampleSpan(RATE, 2.0)
        horn, whistle = (
            distractors.ship_horn(draw(seed), span),
            distractors.human_whistle(draw(seed), span),
        )
        assert share_between(horn, 0, 700) > 0.5
        assert share_between(whistle, 450, 5000) > 0.9
        assert 500 < peak_hz(whistle) < 4500


def test_birds_sing_high() -> None:
    for seed in SEEDS:
        assert peak_hz(distractors.birdsong(draw(seed), SampleSpan(RATE, 3.0)), 100) > 800


def test_a_doorbell_rings_twice_and_fades() -> None:
    for seed in SEEDS:
        e = envelope(distractors.doorbell(draw(seed), SampleSpan(RATE, 3.0)), 0.02)
        rises = np.flatnonzero(np.diff(e) > 0.2 * e.max()) * 0.02
        assert any(0.26 <= t <= 0.84 for t in rises), "the second stroke"
        assert e[-1] < 0.1 * e.max()


def test_phones_and_buzzers_pause() -> None:
    silent = {
        source.__name__: np.mean(
            [np.mean(envelope(source(draw(s), SampleSpan(RATE, 6.0))) < 1e-4) for s in range(12)]
        )
        for source in (distractors.phone, distractors.buzzer, distractors.fan)
    }
    assert silent["phone"] > 0.3
    assert silent["buzzer"] > 0.05
    assert silent["fan"] == 0


def test_music_and_solos_are_more_tonal_than_applause() -> None:
    noise = median(distractors.applause, tonality)
    assert median(distractors.music, tonality) > 2 * noise
    assert median(distractors.solo, tonality) > 2 * noise


def test_bangs_are_impulses() -> None:
    def crest(x: np.ndarray) -> float:
        return float(np.abs(x).max() / np.sqrt(np.mean(np.square(x))))

    assert median(distractors.bangs, crest, 4.0) > 2 * median(distractors.fan, crest, 4.0)


def test_a_baby_cries_at_its_pitch() -> None:
    for seed in SEEDS:
        x = voices.baby_cry(draw(seed), SampleSpan(RATE, 3.0))
        assert share_between(x, 0, 200) < 0.05, "nothing below the fundamental"
        assert 230 <= peak_hz(x) <= 4500


def test_babble_has_fewer_pauses_than_one_voice() -> None:
    def pauses(x: np.ndarray) -> float:
        e = envelope(x, 0.02)
        return float(np.mean(e < 0.1 * e.max()))

    assert median(voices.babble, pauses, 4.0) < median(voices.speech, pauses, 4.0)


def test_roars_are_lower_than_other_animals() -> None:
    assert median(voices.roar, centroid_hz) < 0.7 * median(voices.animal_cry, centroid_hz)
