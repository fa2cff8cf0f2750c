"""Nearest embeddings: as the exact cosine finds them; arrays that follow their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.collection.like import EmbeddingFiles, find_like, prepare
from av_tagger.collection.vectors import SHORT, VectorIndex, index_of, mean_direction
from av_tagger.errors import StorageError, UsageError
from av_tagger.reports.embeddings import made_by, stream_embeddings, write_embeddings

WIDTH = 3 * SHORT


def made(files: int = 40, seconds: int = 25, seed: int = 0) -> dict[str, np.ndarray]:
    """Rows that vary along few directions much, as embeddings do."""
    rng = np.random.default_rng(seed)
    turn = rng.standard_normal((WIDTH, WIDTH)) / np.arange(1, WIDTH + 1)[:, None]
    return {
        f"films/{n}.mp4": (rng.standard_normal((seconds, WIDTH)) @ turn).astype(np.float32)
        for n in range(files)
    }


def exact(rows: dict[str, np.ndarray], query: np.ndarray, count: int) -> list[tuple[str, int]]:
    every = [(name, s, row) for name, found in rows.items() for s, row in enumerate(found)]
    cosines = [float(r @ query / np.linalg.norm(r) / np.linalg.norm(query)) for _, _, r in every]
    return [every[i][:2] for i in np.argsort(-np.array(cosines))[:count]]


@pytest.fixture(params=["rows.npz", "rows.parquet"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    rows = made()
    write_embeddings(rows, tmp_path / request.param, "some ear")
    return tmp_path / request.param, rows


def test_the_nearest_are_those_of_the_exact_cosine(
    stored: tuple[Path, dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("av_tagger.collection.vectors.CANDIDATES", 100)  # of a thousand rows
    path, rows = stored
    index = index_of(path)
    assert (len(index), index.width, index.ear) == (1000, WIDTH, "some ear")
    query = rows["films/7.mp4"][3] + 0.01
    found = index.nearest(query, 10)
    assert (found[0].file, found[0].second) == ("films/7.mp4", 3)
    assert found[0].similarity > 0.95
    got, wanted = {(n.file, n.second) for n in found}, set(exact(rows, query, 10))
    assert len(got & wanted) >= 9


def test_a_search_can_be_limited_to_files(stored: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, rows = stored
    query = rows["films/7.mp4"][3]
    found = index_of(path).nearest(query, 5, {"films/1.mp4", "no such file"})
    assert {n.file for n in found} == {"films/1.mp4"}
    assert index_of(path).nearest(query, 5, set()) == []


def test_the_arrays_follow_their_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    write_embeddings(made(files=2), path, "one")
    assert prepare(path) == 50
    before = (tmp_path / "rows.npz.like" / "facts.json").stat().st_mtime_ns
    assert prepare(path) == 50
    assert (tmp_path / "rows.npz.like" / "facts.json").stat().st_mtime_ns == before
    write_embeddings(made(files=3), path, "one")
    assert prepare(path) == 75
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.npz", "rows.npz.like"]


def test_streams_hold_the_rows_in_order(stored: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, rows = stored
    blocks = list(stream_embeddings(path, 300))
    assert [len(block[0]) for block in blocks][:3] == [300, 300, 300]
    values = np.concatenate([block[2] for block in blocks])
    np.testing.assert_array_equal(values, np.concatenate(list(rows.values())))
    assert blocks[0][0][24:26].tolist() == ["films/0.mp4", "films/1.mp4"]
    assert made_by(path) == "some ear"


def test_rows_of_zeros_and_no_numbers_are_far_from_all(tmp_path: Path) -> None:
    rows = {"a": np.zeros((2, 8), np.float32), "b": np.full((1, 8), np.nan, np.float32)}
    rows["c"] = np.eye(8, dtype=np.float32)[:1]
    write_embeddings(rows, tmp_path / "rows.npz")
    found = index_of(tmp_path / "rows.npz").nearest(np.eye(8)[0], 4)
    assert (found[0].file, found[0].similarity) == ("c", pytest.approx(1, abs=1e-3))
    assert all(abs(n.similarity) < 1e-6 for n in found[1:])


def test_damaged_arrays_and_files_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    write_embeddings(made(files=2), path, "one")
    folder = index_of(path).folder
    (folder / "short.npy").write_bytes(b"nothing")
    with pytest.raises(StorageError, match="delete the folder"):
        VectorIndex(folder)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(UsageError, match="make one with av-tag embed"):
        index_of(path)


def test_an_embedding_of_another_width_is_refused(tmp_path: Path) -> None:
    write_embeddings(made(files=2), tmp_path / "rows.npz", "one")
    with pytest.raises(UsageError, match="use the ear that made them"):
        index_of(tmp_path / "rows.npz").nearest(np.ones(7, np.float32), 1)


def test_neighbouring_seconds_of_a_file_are_one_event(tmp_path: Path) -> None:
    rows = made(files=5)
    rows["films/3.mp4"][10:13] = rows["films/3.mp4"][10]
    write_embeddings(rows, tmp_path / "embeddings.npz", "one")
    files = EmbeddingFiles([str(tmp_path)])
    query = rows["films/3.mp4"][10:13]
    found = find_like([], files, query, None, 1)
    (hit,) = found.hits
    assert hit.file == "films/3.mp4"
    assert (10.0, 13.0) in [(e.start, e.end) for e in hit.events]
    assert hit.score == pytest.approx(1, abs=1e-3)


def test_embeddings_that_do_not_fit_together(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match="has no embeddings for --like; make them: av-tag embed"):
        EmbeddingFiles([str(tmp_path / "run")]).indexes()
    for name in ("a", "b"):
        write_embeddings(made(files=1), tmp_path / name / "embeddings.npz", f"ear {name}")
    with pytest.raises(UsageError, match="by different ears"):
        EmbeddingFiles([str(tmp_path / "a"), str(tmp_path / "b")]).indexes()
    write_embeddings(made(files=1), tmp_path / "a" / "embeddings.npz")
    with pytest.raises(UsageError, match="does not say which ear made it"):
        EmbeddingFiles([str(tmp_path / "a")]).embed(tmp_path / "x.wav", "cpu", offline=True)


def test_the_mean_direction_counts_every_second_alike() -> None:
    rows = np.array([[100.0, 0], [0, 1]], np.float32)
    assert mean_direction(rows) == pytest.approx([0.5, 0.5])
