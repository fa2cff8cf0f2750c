"""The store of embeddings: packing, classes by id or label, subsets, and incomplete stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import StorageError, UsageError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.embedding_store import (
    EmbeddingStore,
    LabelledSegment,
    Packer,
    open_store,
)

IDS = ("/m/dog", "/m/bark", "/m/owl")


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    """Three bags of one, two and three rows; the value of a row is its bag."""
    with Packer(tmp_path / "store", IDS) as packer:
        for bag, labels in enumerate([[0], [1, 2], []]):
            packer.add(f"video {bag}", np.full((bag + 1, 4), bag, np.float32), labels)
    return open_store(tmp_path / "store")


def test_a_store_has_all_bags_in_order(store: EmbeddingStore) -> None:
    assert len(store) == 3
    assert store.first.tolist() == [0, 1, 3, 6]
    assert store.rows[:, 0].tolist() == [0, 1, 1, 2, 2, 2]
    assert store.classes == IDS


def test_classes_are_found_by_id_label_and_narrower_ids(store: EmbeddingStore) -> None:
    dog = SoundClass("Dog", "/m/dog", also=("/m/bark",))
    bags = store.bags(ClassList((SoundClass("Owl", "/m/owl"), dog)))
    assert bags.targets.tolist() == [[0, 1], [1, 1], [0, 0]]
    assert bags.labels == ("Owl", "Dog")


def test_a_list_selects_bags_in_the_order_of_the_store(store: EmbeddingStore) -> None:
    segments = [LabelledSegment(f"video {n}", 0.0, 1.0, ("/m/owl",)) for n in (2, 0, 7)]
    bags = store.bags(ClassList((SoundClass("Owl", "/m/owl"),)), segments)
    assert bags.rows[:, 0].tolist() == [0, 2, 2, 2]
    assert bags.first.tolist() == [0, 1, 4]
    assert bags.targets.tolist() == [[1], [1]]
    with pytest.raises(UsageError, match="none of the clips"):
        store.bags(ClassList((SoundClass("Owl", "/m/owl"),)), segments[2:])


def test_a_subset_has_its_own_rows(store: EmbeddingStore) -> None:
    bags = store.bags(ClassList((SoundClass("Owl", "/m/owl"),))).subset(np.array([2, 1]))
    assert bags.rows[:, 0].tolist() == [2, 2, 2, 1, 1]
    assert bags.lengths.tolist() == [3, 2]
    assert bags.targets.tolist() == [[0], [1]]


def test_embeddings_of_one_store_have_one_shape(tmp_path: Path) -> None:
    rows = np.zeros((2, 4), np.float32)
    for other in (np.zeros((2, 5), np.float32), np.zeros((2, 4), np.uint8)):
        with pytest.raises(ValueError, match="embeddings of one shape: b has"):
            _pack(tmp_path / "store", rows, other)
        assert not (tmp_path / "store").exists()
        assert list(tmp_path.iterdir()) == []  # nothing is left behind


def _pack(folder: Path, first: np.ndarray, second: np.ndarray) -> None:
    with Packer(folder, IDS) as packer:
        packer.add("a", first, [])
        packer.add("b", second, [])


def test_a_store_replaces_an_older_one(store: EmbeddingStore) -> None:
    _pack(store.folder, np.ones((1, 4), np.float32), np.ones((1, 4), np.float32))
    again = open_store(store.folder)
    assert again.names.tolist() == ["a", "b"]
    assert again.sha256 != store.sha256


@pytest.mark.parametrize("name", ["store.json", "index.npz", "rows.bin"])
def test_a_store_without_one_of_its_files_is_an_error(store: EmbeddingStore, name: str) -> None:
    (store.folder / name).unlink()
    with pytest.raises(StorageError, match="not a complete store"):
        open_store(store.folder)
