"""The folder of a run: atomic files, states, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.errors import StorageError, UsageError
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.run_folder import RunFolder

IDENTITY = {"recipe": "r", "training data": "t"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path / "run")
    found.open(resume=False)
    return found


def test_a_new_folder_has_a_place_for_checkpoints(folder: RunFolder) -> None:
    assert folder.checkpoint(50).parent.is_dir()
    assert folder.checkpoint(50).name == "step-0000050.safetensors"


def test_a_folder_with_a_log_is_only_opened_to_resume(folder: RunFolder) -> None:
    folder.log.write_text("")
    folder.open(resume=True)
    with pytest.raises(UsageError, match="already holds a run"):
        folder.open(resume=False)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StorageError, match="choose another"):
        RunFolder(tmp_path / "run").open(resume=False)


def test_without_a_state_a_run_starts_from_the_beginning(folder: RunFolder) -> None:
    assert folder.load_state(IDENTITY) is None


def test_a_state_comes_back_for_the_same_run_only(folder: RunFolder) -> None:
    folder.save_state({"identity": IDENTITY, "step": 3, "weights": torch.arange(2)})
    state = folder.load_state(IDENTITY)
    assert state is not None
    assert (state["version"], state["step"], state["weights"].tolist()) == (1, 3, [0, 1])
    with pytest.raises(UsageError, match="the training data of this run changed"):
        folder.load_state(IDENTITY | {"training data": "other"})
    with pytest.raises(UsageError, match="the teacher scores of this run changed"):
        folder.load_state(IDENTITY | {"teacher scores": "new"})


def test_a_damaged_state_is_an_error(folder: RunFolder) -> None:
    folder.state.write_bytes(b"PK")
    with pytest.raises(StorageError, match=r"state\.pt: cannot be read"):
        folder.load_state(IDENTITY)


def test_scores_are_stored_with_targets_and_labels(folder: RunFolder) -> None:
    targets = np.array([[1, 0], [0, np.nan]], np.float32)
    bags = EmbeddingBags(np.zeros((2, 1)), np.arange(3), targets, ("a", "b"))
    folder.save_scores(np.full((2, 2), 0.5, np.float32), bags)
    with np.load(folder.validation, allow_pickle=False) as found:
        assert found["labels"].tolist() == ["a", "b"]
        assert np.array_equal(found["targets"], targets, equal_nan=True)
        assert found["scores"].shape == (2, 2)


def test_files_are_replaced_atomically(folder: RunFolder) -> None:
    folder.write_text("card.md", "one")
    folder.write_text("card.md", "two")
    assert (folder.path / "card.md").read_text() == "two"
    assert [f.name for f in folder.path.iterdir() if f.name.startswith(".")] == []


def test_a_file_that_cannot_be_written_is_an_error(folder: RunFolder) -> None:
    (folder.path / "card.md").mkdir()
    with pytest.raises(StorageError, match="free some space"):
        folder.write_text("card.md", "text")
    assert [f.name for f in folder.path.iterdir() if f.name.startswith(".")] == []
