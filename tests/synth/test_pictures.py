"""The drawn frames: size, number, reproducibility, and a moving vehicle while its class sounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from av_tagger.synth import SOURCES, Scene, SceneEvent
from av_tagger.synth.dsp import RandomDraw
from av_tagger.synth.pictures import (
    BODIES,
    DEMO_CLASSES,
    SHOWN_AS,
    Passage,
    backdrop,
    demo_scene,
    frames,
    make_passages,
)
from tests.synth.measure import draw

SIZE = (160, 90)


def film(label: str, start: float, end: float, seconds: float = 4.0) -> list[np.ndarray]:
    """Frames (4 fps) of one event over two seconds or more."""
    event = SceneEvent(label, start, end)
    made = Scene(np.zeros(round(100 * seconds), np.float32), 100, (label,), (event,))
    return list(frames(made, 7, SIZE, 4.0))


def street() -> np.ndarray:
    return np.asarray(backdrop(RandomDraw(np.random.default_rng([7, 1])), *SIZE))


def changed(picture: np.ndarray) -> np.ndarray:
    """Columns of the picture that differ from the empty street."""
    return np.flatnonzero(np.any(picture != street(), axis=(0, 2)))


def test_a_demo_lasts_as_long_as_it_sounds() -> None:
    made, pictures, fps = demo_scene(3, seconds=2.0, size=SIZE, fps=6.0)
    images = list(pictures)
    assert len(images) == 12 == round(len(made.samples) / made.rate * fps)
    assert {p.shape for p in images} == {(90, 160, 3)}
    assert {p.dtype for p in images} == {np.dtype(np.uint8)}
    assert set(made.labels) <= set(DEMO_CLASSES)


def test_the_same_seed_gives_the_same_film_another_seed_another() -> None:
    a, b, c = (
        np.stack(list(demo_scene(seed, seconds=1.0, size=(96, 54), fps=4.0)[1]))
        for seed in (5, 5, 6)
    )
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("label", sorted(SHOWN_AS))
def test_every_class_with_a_body_is_seen_while_it_sounds_and_moves(label: str) -> None:
    images = film(label, 1.0, 3.0)
    middle = images[8]
    assert np.any(middle != street(), axis=-1).mean() > 0.002
    assert any(np.any(a != b) for a, b in itertools.pairwise(images))
    assert np.array_equal(images[0], street()), "empty before the event"
    assert np.array_equal(images[-1], street()), "empty after it"


def test_a_class_without_a_body_leaves_the_street_empty() -> None:
    assert all(np.array_equal(picture, street()) for picture in film("Screaming", 0.0, 4.0))


def test_a_vehicle_crosses_from_edge_to_edge() -> None:
    centres = [changed(p).mean() for p in film("Car", 1.0, 3.0)[3:14]]
    steps = np.diff(centres)
    assert (steps > 0).all() or (steps < 0).all()
    assert min(centres) < 40
    assert max(centres) > 120


@pytest.mark.parametrize("leftwards", [False, True])
def test_the_position_of_a_passage(leftwards: bool) -> None:
    passage = Passage(BODIES["car"], (0, 0, 0), 1.0, 3.0, 0.8, leftwards)
    ends = [passage.position(t) for t in (1.0, 3.0)]
    assert sorted(ends) == [-BODIES["car"].length, 1.0]
    assert (ends[0] == 1.0) is leftwards
    assert passage.position(0.9) is None
    assert passage.position(3.1) is None


def test_passages_begin_before_and_end_after_the_sound_and_are_sorted_by_depth() -> None:
    events = tuple(SceneEvent(label, 2.0, 4.0) for label in DEMO_CLASSES)
    found = make_passages(draw(0), events)
    assert len(found) == len(DEMO_CLASSES)
    assert all(p.start < 2.0 and p.end > 4.0 for p in found)
    assert [p.lane for p in found] == sorted(p.lane for p in found)


def test_every_body_belongs_to_a_known_class() -> None:
    assert set(SHOWN_AS) <= set(SOURCES)
    assert set(SHOWN_AS.values()) == set(BODIES)
    assert set(DEMO_CLASSES) <= set(SHOWN_AS)
