"""Embedding files: round trips in both formats, and files that hold none."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from av_tagger.errors import StorageError, UsageError
from av_tagger.reports.embeddings import (
    check_target,
    made_by,
    read_embeddings,
    stream_embeddings,
    write_embeddings,
)

ROWS = {
    "b/clip.mp4": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a clip.wav": np.full((1, 4), -0.5, np.float32),
    "ü.ogg": np.full((2, 4), 7, np.float32),
}


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"rows{suffix}"
    write_embeddings(ROWS, path, "efficientat.mn04")
    found = read_embeddings(path)
    assert list(found) == list(ROWS)
    for name, values in ROWS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == np.float32
    assert made_by(path) == "efficientat.mn04"
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file is left


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_the_ear_may_be_unknown(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    write_embeddings(ROWS, path)
    assert made_by(path) == ""


def test_numpy_reads_the_columns(tmp_path: Path) -> None:
    write_embeddings(ROWS, tmp_path / "rows.npz")
    with np.load(tmp_path / "rows.npz") as stored:
        assert stored["file"].tolist() == ["b/clip.mp4"] * 3 + ["a clip.wav"] + ["ü.ogg"] * 2
        assert stored["second"].tolist() == [0, 1, 2, 0, 0, 1]
        assert stored["embedding"].shape == (6, 4)


def test_rows_are_sorted_by_time(tmp_path: Path) -> None:
    vectors = pa.array([[2.0], [10.0], [0.0], [1.0]], pa.list_(pa.float64()))
    table = pa.table({"file": ["x", "y", "x", "x"], "second": [2, 0, 0, 1], "embedding": vectors})
    pq.write_table(table, tmp_path / "rows.parquet")
    found = read_embeddings(tmp_path / "rows.parquet")
    assert {name: rows.ravel().tolist() for name, rows in found.items()} == {
        "x": [0, 1, 2],
        "y": [10],
    }


def test_other_suffixes_are_rejected() -> None:
    with pytest.raises(UsageError, match=r"written as .npz or .parquet"):
        check_target(Path("rows.csv"))


def test_no_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file could be embedded"):
        write_embeddings({}, tmp_path / "rows.npz")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="choose another folder"):
        write_embeddings(ROWS, tmp_path / "file" / "rows.npz")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"])
def test_a_file_of_another_kind_is_rejected(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"rows{suffix}").write_bytes(content)
    with pytest.raises(UsageError, match="make one with av-tag embed"):
        read_embeddings(tmp_path / f"rows{suffix}")


def test_missing_files_and_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_embeddings(tmp_path / "rows.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(UsageError, match="has no columns file, second, embedding"):
        made_by(tmp_path / "other.npz")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("most", [1, 4, 100])
def test_a_stream_has_the_same_rows(tmp_path: Path, suffix: str, most: int) -> None:
    path = tmp_path / f"rows{suffix}"
    write_embeddings(ROWS, path)
    blocks = list(stream_embeddings(path, most))
    assert all(1 <= len(files) <= most for files, _, _ in blocks)
    rows = [
        (str(name), int(second), row.tolist())
        for files, seconds, values in blocks
        for name, second, row in zip(files, seconds, values, strict=True)
    ]
    assert rows == [(f, s, row.tolist()) for f, v in ROWS.items() for s, row in enumerate(v)]


def spoilt(path: Path, **arrays: np.ndarray) -> Path:
    """An archive with the three columns, of which some are replaced."""
    usual = {
        "file": np.array(["a", "b"]),
        "second": np.arange(2),
        "embedding": np.ones((2, 3), np.float32),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in (usual | arrays).items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=True)
    return path


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"second": np.arange(3)}, "different lengths"),
        ({"embedding": np.asfortranarray(np.ones((2, 3)))}, "not stored row by row"),
        ({"file": np.array(["a", None], object)}, "not stored row by row"),
        ({"second": np.array(5)}, "not stored row by row"),
    ],
)
def test_a_stream_of_arrays_that_are_no_columns(
    arrays: dict[str, np.ndarray], reason: str, tmp_path: Path
) -> None:
    path = spoilt(tmp_path / "rows.npz", **arrays)
    with pytest.raises(UsageError, match=reason):
        list(stream_embeddings(path))


def test_a_stream_of_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file; make one with av-tag embed"):
        list(stream_embeddings(tmp_path / "rows.npz"))
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 nothing")
    for read in (made_by, lambda path: list(stream_embeddings(path))):
        with pytest.raises(UsageError, match="has no columns file, second, embedding"):
            read(tmp_path / "rows.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "rows.parquet")
    with pytest.raises(UsageError, match="has no columns"):
        made_by(tmp_path / "rows.parquet")


def test_a_stream_that_is_cut_short(tmp_path: Path) -> None:
    """The head of the array promises more rows than there are."""
    head = {"descr": "<f4", "fortran_order": False, "shape": (2, 3)}
    path = spoilt(tmp_path / "rows.npz")
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("file.npy", "second.npy"):
            archive.writestr(name, kept[name])
        with archive.open("embedding.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, head)
            member.write(b"\0" * 20)
    with pytest.raises(UsageError, match="cut short"):
        list(stream_embeddings(path))
