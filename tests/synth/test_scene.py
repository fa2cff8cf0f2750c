"""Scenes: labels, times, levels and seeds, measured on the samples."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.labels import dcase2017
from av_tagger.synth import SOURCES, SceneSettings, empty_scene, scene
from av_tagger.synth.dsp import SampleSpan, white
from av_tagger.synth.scene import audible_span, mix, place_event, record
from tests import ROOT
from tests.synth.measure import RATE, SEEDS, draw, envelope, level_db

CLEAN = SceneSettings(counts=(1,), bed=0.0, distractor=0.0, recorder=0.0, peak_db=(-1.0, -0.5))


def test_sources_are_the_classes_in_the_official_order() -> None:
    assert tuple(SOURCES) == dcase2017().labels


def test_same_seed_same_scene_other_seed_other_scene() -> None:
    a, b, c = scene(5, 2.0), scene(5, 2.0), scene(6, 2.0)
    assert np.array_equal(a.samples, b.samples)
    assert (a.labels, a.events) == (b.labels, b.events)
    assert not np.array_equal(a.samples, c.samples)
    assert not np.array_equal(empty_scene(5, 2.0).samples, empty_scene(6, 2.0).samples)


def test_scenes_have_one_to_three_events_and_labels_to_match() -> None:
    scenes = [scene(s, 1.5) for s in range(40)]
    assert {len(s.events) for s in scenes} == {1, 2, 3}
    for s in scenes:
        assert len(s.samples) == 1.5 * RATE
        assert set(s.labels) == {e.label for e in s.events}
        assert np.abs(s.samples).max() <= 1.0
        assert all(0 <= e.start < e.end <= 1.5 for e in s.events)


def test_all_classes_come_up_and_about_equally_often() -> None:
    counts = dict.fromkeys(SOURCES, 0)
    for s in range(300):
        for label in labels_only(s):
            counts[label] += 1
    assert min(counts.values()) > 0.4 * np.mean(list(counts.values()))


def labels_only(seed: int) -> tuple[str, ...]:
    """A scene so short that only its labels matter."""
    return scene(seed, 0.1, 8000, settings=SceneSettings(bed=0, distractor=0, recorder=0)).labels


@pytest.mark.parametrize("seed", range(8))
def test_onsets_are_true(seed: int) -> None:
    """Only the noise floor before and after the event; the first 10 ms of it are louder."""
    s = scene(seed, 4.0, settings=CLEAN)
    (event,) = s.events
    a, b = round(event.start * RATE), round(event.end * RATE)
    assert level_db(s.samples[a:b]) > -40
    if a > RATE // 4:
        before = s.samples[: a - RATE // 200]
        assert level_db(before) < level_db(s.samples[a:b]) - 25
        assert np.abs(s.samples[a : a + RATE // 100]).max() > 1.5 * np.abs(before).max()
    if b < len(s.samples) - RATE // 4:
        assert level_db(s.samples[b + RATE // 50 :]) < level_db(s.samples[a:b]) - 25


def test_only_the_chosen_classes_are_used() -> None:
    for seed in range(6):
        assert set(scene(seed, 1.0, classes=("Car", "Train")).labels) <= {"Car", "Train"}
    with pytest.raises(UsageError, match="did you mean 'Screaming'"):
        scene(0, 1.0, classes=("Sceaming",))
    with pytest.raises(UsageError, match="at least one class"):
        scene(0, 1.0, classes=())


def test_empty_scenes_have_no_labels() -> None:
    s = empty_scene(4, 2.0)
    assert (s.labels, s.events) == ((), ())
    assert level_db(s.samples) > -70


def test_a_background_fills_the_silence() -> None:
    quiet, noisy = (
        scene(
            9,
            3.0,
            settings=SceneSettings(counts=(1,), bed=b, distractor=0, recorder=0, snr_db=(0, 0)),
        )
        for b in (0.0, 1.0)
    )
    frames = [
        np.sort(np.square(s.samples / np.abs(s.samples).max()).reshape(-1, 1000).mean(1))[2]
        for s in (quiet, noisy)
    ]
    assert frames[1] > 3 * frames[0]


def test_events_are_sorted_by_time() -> None:
    for seed in range(10):
        starts = [
            e.start for e in scene(seed, 2.0, settings=SceneSettings(counts=(3,), bed=0)).events
        ]
        assert all(a <= b for a, b in pairwise(starts))


def test_the_same_seed_gives_the_same_scene_in_another_process() -> None:
    """Also with another hash seed: no order of a set or a dict decides anything."""
    code = (
        "import hashlib; from av_tagger.synth import scene;"
        "print(hashlib.sha256(scene(11, 2.0).samples.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "77"}
    said = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert said.strip() == hashlib.sha256(scene(11, 2.0).samples.tobytes()).hexdigest()


def test_the_audible_span_is_that_of_the_envelope() -> None:
    x = np.zeros(RATE, np.float32)
    x[RATE // 4 : RATE // 2] = 0.5
    x[RATE // 2 : 3 * RATE // 4] = 0.5 * 10 ** (-55 / 20)
    start, end = audible_span(x, RATE)
    assert (start, end) == (pytest.approx(0.25, abs=0.005), pytest.approx(0.5, abs=0.005))
    assert audible_span(np.zeros(100, np.float32), 100) == (0.0, 1.0)


@pytest.mark.parametrize("label", ["Car", "Train horn", "Reversing beeps", "Screaming"])
def test_an_event_lies_where_its_label_says(label: str) -> None:
    span = SampleSpan(RATE, 5.0)
    for seed in SEEDS:
        x, event = place_event(draw(seed), label, span, alone=False)
        e = envelope(x, 0.005)
        loud = np.flatnonzero(e > 10 ** (-50 / 20) * np.abs(x).max()) * 0.005
        assert event.start <= loud.min() + 0.011
        assert event.end >= loud.max() - 0.006
        outside = np.ones(span.n, bool)
        outside[round(event.start * RATE) : round(event.end * RATE) + RATE // 50] = False
        assert np.abs(x[outside]).max(initial=0.0) < 10 ** (-49 / 20) * np.abs(x).max()


def test_the_background_has_the_ratio_asked_for() -> None:
    """Events at unit level over a background 12 dB below: measured on the difference."""
    span = SampleSpan(RATE, 2.0)
    events = white(draw(9), span) * np.float32(0.1)
    for seed in SEEDS:
        settings = SceneSettings(bed=1.0, distractor=0.0, snr_db=(12.0, 12.0))
        bed = mix(draw(seed), events, span, settings) - events
        assert level_db(events) - level_db(bed) == pytest.approx(12, abs=0.2)
    alone = SceneSettings(bed=0.0, distractor=0.0)
    np.testing.assert_array_equal(mix(draw(0), events, span, alone), events)


def test_a_distractor_is_added_without_a_label() -> None:
    span, silence = SampleSpan(RATE, 2.0), np.zeros(2 * RATE, np.float32)
    x = mix(draw(0), silence, span, SceneSettings(bed=0.0, distractor=1.0))
    assert level_db(x) > -60


def test_the_peak_level_is_within_the_settings() -> None:
    span = SampleSpan(RATE, 1.0)
    for seed in SEEDS:
        settings = SceneSettings(recorder=0.0, peak_db=(-12.0, -6.0))
        y = record(draw(seed), white(draw(seed), span), span, settings)
        assert -12.1 <= 20 * np.log10(np.abs(y).max()) <= -5.9


def test_a_recording_has_a_noise_floor() -> None:
    x = np.zeros(RATE, np.float32)
    x[0] = 1.0
    for seed in SEEDS:
        y = record(draw(seed), x, SampleSpan(RATE, 1.0), SceneSettings(recorder=0.0))
        assert -96 < level_db(y[1:]) < -64


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_other_rates_have_the_same_length_in_seconds(rate: int) -> None:
    made = scene(2, 1.5, rate)
    assert len(made.samples) == 1.5 * rate
    assert made.waveform.rate == rate
    assert all(0 <= e.start < e.end <= 1.5 for e in made.events)
