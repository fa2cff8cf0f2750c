"""Examples, their targets, and the summary of skipped entries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.examples import (
    Example,
    ExampleSet,
    SkippedEntry,
    summary,
    targets_of,
)

CLIP = Clip(Path("a.wav"))


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (Example(CLIP, ()), [0, 0, 0]),
        (Example(CLIP, ("b",)), [0, 1, 0]),
        (Example(CLIP, ("a", "c")), [1, 0, 1]),
        (Example(CLIP, ("a",), ("b",)), [1, np.nan, 0]),
        (Example(CLIP, ("b",), ("b", "c")), [0, 1, np.nan]),  # a label wins over unknown
    ],
)
def test_targets_are_one_zero_or_nan(example: Example, expected: list[float]) -> None:
    found = targets_of([example], ("a", "b", "c"))
    assert found.dtype == np.float32
    assert np.array_equal(found, [expected], equal_nan=True)


def test_a_set_has_targets_in_the_order_of_its_classes() -> None:
    classes = ClassList((SoundClass("b"), SoundClass("a")))
    examples = ExampleSet(classes, (Example(CLIP, ("a",)), Example(CLIP, ("b",))))
    assert len(examples) == 2
    assert examples.targets().tolist() == [[0, 1], [1, 0]]


def test_no_examples_have_no_targets() -> None:
    assert targets_of([], ("a", "b")).shape == (0, 2)


def test_skipped_entries_are_counted_by_kind_the_most_frequent_first() -> None:
    kinds = ("missing", "broken", "broken")
    assert summary(SkippedEntry("x", kind, "") for kind in kinds) == (
        "3 skipped: 2 broken, 1 missing"
    )
