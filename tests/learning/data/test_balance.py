from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.learning.data.balance import (
    SAMPLERS,
    class_counts,
    class_members,
    missing_classes,
    sampler,
)


def one_class_each(*counts: int) -> np.ndarray:
    """So many clips of each class, and as many more without a class as the last number says."""
    rows = [np.eye(len(counts) - 1, dtype=np.float32)[[k] * n] for k, n in enumerate(counts[:-1])]
    return np.concatenate([*rows, np.zeros((counts[-1], len(counts) - 1), np.float32)])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=6), st.integers(0, 1000), st.integers(0, 40)
)
def test_in_balanced_batches_each_class_occurs_equally_often(
    counts: list[int], seed: int, batch: int
) -> None:
    targets = one_class_each(*counts)
    size = 2 * len(counts)
    chosen = sampler("batch", targets, seed).places(batch * size, size)
    drawn = [int(np.isin(chosen, members).sum()) for members in class_members(targets)]
    assert drawn == [2] * len(counts)


def test_within_a_class_all_clips_are_drawn_equally_often() -> None:
    targets = one_class_each(40, 5, 0)
    chosen = sampler("batch", targets, 1).places(0, 80)
    assert np.bincount(chosen).tolist() == [1] * 40 + [8] * 5


def test_without_balance_every_epoch_has_each_clip_once() -> None:
    drawn = sampler("none", one_class_each(5, 6, 2), 7).places(0, 39).reshape(3, 13)
    assert all(sorted(row) == list(range(13)) for row in drawn)
    assert drawn[0].tolist() != drawn[1].tolist()


def test_class_wise_sampling_gives_each_class_the_same_chance() -> None:
    targets = one_class_each(300, 3, 0)
    chosen = sampler("classwise", targets, 0).places(0, 1000)
    rare = int((chosen >= 300).sum())
    assert abs(rare - 500) < 4 * np.sqrt(1000 * 0.25)  # four standard deviations of a fair coin


@pytest.mark.parametrize("balance", sorted(SAMPLERS))
def test_any_part_of_the_sequence_can_be_drawn_again(balance: str) -> None:
    targets = one_class_each(9, 2, 3)
    whole = sampler(balance, targets, 5).places(0, 60)  # type: ignore[arg-type]
    late = sampler(balance, targets, 5)  # type: ignore[arg-type]
    assert late.places(40, 20).tolist() == whole[40:].tolist()
    assert late.places(0, 20).tolist() == whole[:20].tolist()
    assert sampler(balance, targets, 6).places(0, 60).tolist() != whole.tolist()  # type: ignore[arg-type]


def test_classes_without_clips_are_not_drawn() -> None:
    targets = one_class_each(3, 0, 2, 0)
    assert missing_classes(targets, ("a", "b", "c")) == ("b",)
    assert class_counts(targets).tolist() == [3, 0, 2]
    chosen = sampler("batch", targets, 0).places(0, 10)
    assert int((chosen < 3).sum()) == 5


def test_unknown_labels_are_not_counted() -> None:
    assert class_counts(np.array([[1, np.nan], [np.nan, 0]], np.float32)).tolist() == [1, 0]
