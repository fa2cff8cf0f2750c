"""The drawn street: pictures of the right size and number, with a vehicle in them when it sounds."""

from __future__ import annotations

import itertools

import numpy as np

from av_tagger.synth import SOURCES
from av_tagger.synth.dsp import RandomDraw
from av_tagger.synth.pictures import BODIES, DEMO_CLASSES, SHOWN_AS, backdrop, demo_scene, frames


def test_a_demo_lasts_as_long_as_it_sounds():
    made, pictures, fps = demo_scene(3, seconds=2.0, size=(160, 90), fps=6.0)
    images = list(pictures)
    assert len(images) == 12 == round(len(made.samples) / made.rate * fps)
    assert {p.shape for p in images} == {(90, 160, 3)}
    assert {p.dtype for p in images} == {np.dtype(np.uint8)}
    assert set(made.labels) <= set(DEMO_CLASSES)


def test_same_seed_same_film():
    a, b = (np.stack(list(demo_scene(5, seconds=1.0, size=(96, 54), fps=4.0)[1])) for _ in range(2))
    assert np.array_equal(a, b)


def test_what_sounds_is_seen_and_moves():
    made, _, fps = demo_scene(2, seconds=4.0, size=(160, 90), fps=5.0)
    images = list(frames(made, 2, (160, 90), fps))
    empty = np.asarray(backdrop(RandomDraw(np.random.default_rng([2, 1])), 160, 90))
    event = made.events[0]
    middle = images[int((event.start + event.end) / 2 * fps)]
    assert np.any(middle != empty, axis=-1).mean() > 0.002
    assert any(np.any(a != b) for a, b in itertools.pairwise(images))


def test_every_body_is_drawn_for_a_known_class():
    assert set(SHOWN_AS) <= set(SOURCES)
    assert set(SHOWN_AS.values()) == set(BODIES)
    assert set(DEMO_CLASSES) <= set(SHOWN_AS)
