from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.data.bags import (
    Bags,
    EmbeddingBags,
    WaveformBags,
    waveform_bags,
)
from av_tagger.learning.data.balance import generator
from av_tagger.learning.data.examples import Example, ExampleSet
from av_tagger.learning.data.store import StoreSettings, build_store


def embeddings() -> EmbeddingBags:
    rows = np.arange(6 * 2, dtype=np.uint8).reshape(6, 2)
    return EmbeddingBags(
        rows, np.array([0, 3, 3, 6]), np.array([[1], [0], [1]], np.float32), ("a",)
    )


def test_bags_of_embeddings_are_padded_with_zeros() -> None:
    inputs, lengths = embeddings().fetch(np.array([2, 1, 0]), None)
    assert lengths.tolist() == [3, 0, 3]
    assert inputs.dtype == np.uint8
    assert inputs.tolist() == [[[6, 7], [8, 9], [10, 11]], [[0, 0]] * 3, [[0, 1], [2, 3], [4, 5]]]


def test_training_crops_long_clips_and_validation_does_not(
    make_bags: Callable[..., WaveformBags],
) -> None:
    bags = replace(make_bags([("low",)], seconds=2.0), crop_seconds=0.5)
    whole, n = bags.fetch(np.array([0]), None)
    assert n.tolist() == [8_000]
    starts = set()
    for i in range(5):
        crop, m = bags.fetch(np.array([0]), [generator(i)])
        assert m.tolist() == [2_000]
        (start,) = [s for s in range(6_001) if np.array_equal(whole[0, s : s + 2_000], crop[0])]
        starts.add(start)
    assert len(starts) > 1


def test_both_kinds_of_bags_have_the_interface_and_a_checksum(
    make_bags: Callable[..., WaveformBags],
) -> None:
    for bags in (make_bags([("low",), ()]), embeddings()):
        assert isinstance(bags, Bags)
        others = replace(bags, targets=1 - bags.targets)  # type: ignore[type-var]
        assert bags.sha256 == replace(bags).sha256 != others.sha256  # type: ignore[type-var]


def test_clips_that_were_not_stored_have_no_target(tmp_path: Path, classes: ClassList) -> None:
    def decode(clip: Clip, rate: int, longest: float) -> np.ndarray:
        if clip.path.name == "bad":
            raise MediaError(clip.path, "is not media")
        return np.ones(rate, np.int16)

    names = (("x", "low"), ("bad", "deep"), ("y", "high"))
    examples = ExampleSet(
        classes, tuple(Example(Clip(tmp_path / name), (label,)) for name, label in names)
    )
    store = build_store(
        [e.clip for e in examples.examples], tmp_path / "s", StoreSettings(rate=100), decode=decode
    )
    bags = waveform_bags(examples, store)
    assert [bags.labels[k] for k in bags.targets.argmax(axis=1)] == ["low", "high"]
    assert [Path(s.name).name for s in bags.skipped] == ["bad"]

    nothing = ExampleSet(classes, examples.examples[1:2])
    with pytest.raises(UsageError, match=r"no clip can be used for training .*bad: is not media"):
        waveform_bags(
            nothing,
            build_store(
                [nothing.examples[0].clip], tmp_path / "s", StoreSettings(rate=100), decode=decode
            ),
        )


@pytest.mark.parametrize(
    "targets", [np.zeros((2, 1), np.float32), np.full((3, 1), 1.5, np.float32)]
)
def test_invalid_targets_are_errors(targets: np.ndarray) -> None:
    with pytest.raises(ValueError, match="target"):
        replace(embeddings(), targets=targets)
