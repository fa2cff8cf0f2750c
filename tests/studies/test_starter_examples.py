"""Examples of the starter ear: every kind is finite, seeded and labelled."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.studies import starter_examples as examples
from av_tagger.studies.sound_manifest import LABELS, targets_of_labels
from av_tagger.studies.starter_examples import Library, Recording
from av_tagger.synth.dsp import RandomDraw

CAR, SIREN, TRAIN = (LABELS.index(x) for x in ("Car", "Police car (siren)", "Train"))


def draw(seed: int) -> RandomDraw:
    return RandomDraw(np.random.default_rng(seed))


def recording(
    seconds: float, name: str, *labels: str, ambiguous: tuple[str, ...] = ()
) -> Recording:
    noise = np.random.default_rng(len(name)).standard_normal(int(seconds * examples.RATE))
    targets = targets_of_labels(labels, ambiguous)
    return Recording(noise.astype(np.float32), targets, f"{name}.ogg", name)


@pytest.fixture(scope="module")
def library() -> Library:
    rows = [
        recording(1.5, "rain"),
        recording(1.5, "rails", "Train"),
        recording(1.5, "a", "Screaming"),
    ]
    return Library([*rows, recording(12, "street", ambiguous=("ENGINE_ANY",))])


def test_recordings_are_grouped_by_what_is_known(library: Library) -> None:
    assert [r.group for r in library.none] == ["rain"]
    assert [r.group for r in library.vague] == ["street"]
    assert [r.group for r in library.positive] == ["rails", "a"]


def test_a_library_of_one_group_draws_from_it() -> None:
    only = Library([recording(1, "rain")])
    assert {only.draw(draw(i)).group for i in range(8)} == {"rain"}


@pytest.mark.parametrize("kind", sorted({k.__name__ for k in examples.KINDS}))
def test_every_kind_is_finite_and_seeded(kind: str, library: Library) -> None:
    make = next(k for k in examples.KINDS if k.__name__ == kind)
    x, y = make(draw(1), library, 40_000)
    again, _ = make(draw(1), library, 40_000)
    assert x.shape == (40_000,)
    assert np.isfinite(x).all()
    assert 0 < np.abs(x).max() <= 1
    assert np.array_equal(x, again)
    assert y.shape == (17,)


def test_examples_are_at_most_five_seconds_long(library: Library) -> None:
    lengths = [len(examples.example(seed, library)[0]) / examples.RATE for seed in range(6)]
    assert max(lengths) <= examples.SECONDS
    assert len(set(lengths)) > 1


def test_held_out_examples_take_turns_in_kind(library: Library) -> None:
    _, empty = examples.held_out_example(5, 3, library)
    assert empty.sum() == 0
    _, scene = examples.held_out_example(5, 4, library)
    assert np.nansum(scene) > 0


def test_a_mixture_has_the_classes_of_both() -> None:
    a, b = targets_of_labels(("Train",)), targets_of_labels((), ("ENGINE_ANY",))
    y = examples.united(a, b)
    assert y[TRAIN] == 1
    assert np.isnan(y[CAR])
    assert y[SIREN] == 0


def test_short_sounds_are_padded_and_long_ones_cropped() -> None:
    short = np.ones(100, np.float32)
    assert examples.crop(draw(0), short, 300).sum() == 100
    long = np.arange(1000, dtype=np.float32) / 1000
    assert len(examples.crop(draw(0), long, 300)) == 300


def test_levels_lie_between_their_bounds() -> None:
    noise = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    peaks = [float(np.abs(examples.leveled(draw(i), noise)).max()) for i in range(20)]
    assert min(peaks) >= 10 ** (-24 / 20) - 1e-6
    assert max(peaks) <= 10 ** (-0.5 / 20) + 1e-6


def test_one_recording_group_in_seven_is_held_out() -> None:
    held = [recording(0.01, f"group {i}").held_out for i in range(700)]
    assert 60 < sum(held) < 140
