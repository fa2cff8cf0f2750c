"""Embeddings there and back, in both formats, and every file that holds none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from av_tagger.errors import StorageError, UsageError
from av_tagger.reports.embeddings import check_target, made_by, read_embeddings, write_embeddings

ROWS = {
    "b/clip.mp4": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a clip.wav": np.full((1, 4), -0.5, np.float32),
    "ü.ogg": np.full((2, 4), 7, np.float32),
}


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_there_and_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"rows{suffix}"
    write_embeddings(ROWS, path, "efficientat.mn04")
    found = read_embeddings(path)
    assert list(found) == list(ROWS)
    for name, values in ROWS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == np.float32
    assert made_by(path) == "efficientat.mn04"
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no parts are left


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_who_made_them_need_not_be_known(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    write_embeddings(ROWS, path)
    assert made_by(path) == ""


def test_other_programs_read_the_columns(tmp_path: Path) -> None:
    write_embeddings(ROWS, tmp_path / "rows.npz")
    with np.load(tmp_path / "rows.npz") as stored:
        assert stored["file"].tolist() == ["b/clip.mp4"] * 3 + ["a clip.wav"] + ["ü.ogg"] * 2
        assert stored["second"].tolist() == [0, 1, 2, 0, 0, 1]
        assert stored["embedding"].shape == (6, 4)


def test_rows_in_any_order_come_back_in_time(tmp_path: Path) -> None:
    """Another program may have sorted them otherwise."""
    vectors = pa.array([[2.0], [10.0], [0.0], [1.0]], pa.list_(pa.float64()))
    table = pa.table({"file": ["x", "y", "x", "x"], "second": [2, 0, 0, 1], "embedding": vectors})
    pq.write_table(table, tmp_path / "rows.parquet")
    found = read_embeddings(tmp_path / "rows.parquet")
    assert {name: rows.ravel().tolist() for name, rows in found.items()} == {
        "x": [0, 1, 2],
        "y": [10],
    }


def test_other_endings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"choose one of the two endings"):
        check_target(Path("rows.csv"))


def test_nothing_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file could be embedded"):
        write_embeddings({}, tmp_path / "rows.npz")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="choose another folder"):
        write_embeddings(ROWS, tmp_path / "file" / "rows.npz")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04 cut short"])
def test_what_holds_no_embeddings(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"rows{suffix}").write_bytes(content)
    with pytest.raises(UsageError, match="make such a file with av-tag embed"):
        read_embeddings(tmp_path / f"rows{suffix}")


def test_a_file_that_is_missing_or_of_other_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_embeddings(tmp_path / "rows.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(UsageError, match="holds no embeddings of file, second, embedding"):
        made_by(tmp_path / "other.npz")
