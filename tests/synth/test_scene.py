"""Scenes are true: labels, onsets, seeds and the sounds themselves, checked by arithmetic that the synthesiser does not share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.labels import dcase2017
from av_tagger.synth import SOURCES, SceneSettings, empty_scene, render, scene
from av_tagger.synth.beds import BEDS
from av_tagger.synth.distractors import DISTRACTORS
from av_tagger.synth.dsp import RandomDraw, SampleSpan

RATE = 20_000
CLEAN = SceneSettings(counts=(1,), bed=0.0, distractor=0.0, recorder=0.0, peak_db=(-1.0, -0.5))


def level_db(x: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-20))


def test_sources_are_the_classes_in_the_official_order():
    assert tuple(SOURCES) == dcase2017().labels


def test_same_seed_same_scene_other_seed_other_scene():
    a, b, c = scene(5, 2.0), scene(5, 2.0), scene(6, 2.0)
    assert np.array_equal(a.samples, b.samples)
    assert (a.labels, a.events) == (b.labels, b.events)
    assert not np.array_equal(a.samples, c.samples)
    assert not np.array_equal(empty_scene(5, 2.0).samples, empty_scene(6, 2.0).samples)


@pytest.mark.parametrize("label", list(SOURCES))
def test_every_class_is_finite_audible_and_begins_at_once(label):
    for seed in range(3):
        x = render(seed, label, SampleSpan(RATE, 2.0))
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert 0.5 * RATE <= len(x) <= 2 * RATE
        assert level_db(x) > -40
        assert np.abs(x[: RATE // 2]).max() > 0.003 * np.abs(x).max()


@pytest.mark.parametrize("label", list(SOURCES))
def test_two_seeds_of_a_class_differ(label):
    a, b = (render(s, label, SampleSpan(RATE, 1.0)) for s in (1, 2))
    n = min(len(a), len(b))
    assert abs(np.corrcoef(a[:n], b[:n])[0, 1]) < 0.5


@pytest.mark.parametrize("name", [*BEDS, *DISTRACTORS])
def test_backgrounds_and_near_misses_sound(name):
    for table in (BEDS, DISTRACTORS):
        if name in table:
            x = table[name](RandomDraw(np.random.default_rng(3)), SampleSpan(RATE, 1.5))
            assert np.isfinite(x).all()
            assert len(x) == 1.5 * RATE
            assert level_db(x) > -40


def test_scenes_have_one_to_three_events_and_labels_to_match():
    scenes = [scene(s, 1.5) for s in range(40)]
    assert {len(s.events) for s in scenes} == {1, 2, 3}
    for s in scenes:
        assert len(s.samples) == 1.5 * RATE
        assert set(s.labels) == {e.label for e in s.events}
        assert np.abs(s.samples).max() <= 1.0
        assert all(0 <= e.start < e.end <= 1.5 for e in s.events)


def test_all_classes_come_up_and_about_equally_often():
    counts = dict.fromkeys(SOURCES, 0)
    for s in range(300):
        for label in labels_only(s):
            counts[label] += 1
    assert min(counts.values()) > 0.4 * np.mean(list(counts.values()))


def labels_only(seed: int) -> tuple[str, ...]:
    """A scene so short that only its labels matter."""
    return scene(seed, 0.1, 8000, settings=SceneSettings(bed=0, distractor=0, recorder=0)).labels


@pytest.mark.parametrize("seed", range(8))
def test_onsets_are_true(seed):
    """Before the event there is nothing but the recorder's floor, and the first tenth of a second after the onset is already louder."""
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


def test_chosen_classes_only():
    for seed in range(6):
        assert set(scene(seed, 1.0, classes=("Car", "Train")).labels) <= {"Car", "Train"}
    with pytest.raises(UsageError, match="did you mean 'Screaming'"):
        scene(0, 1.0, classes=("Sceaming",))
    with pytest.raises(UsageError, match="at least one class"):
        scene(0, 1.0, classes=())


def test_empty_scenes_claim_nothing():
    s = empty_scene(4, 2.0)
    assert (s.labels, s.events) == ((), ())
    assert level_db(s.samples) > -70


def test_a_bed_fills_the_silence():
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
    assert frames[1] > 3 * frames[0] or len(quiet.events) == 0


def test_events_come_in_the_order_of_time():
    for seed in range(10):
        starts = [
            e.start for e in scene(seed, 2.0, settings=SceneSettings(counts=(3,), bed=0)).events
        ]
        assert all(a <= b for a, b in pairwise(starts))
