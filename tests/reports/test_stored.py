"""Stored results: iterated again and again, and written in every format in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import StorageError
from av_tagger.reports.schema import as_line
from av_tagger.reports.stored import StoredOutcomes
from av_tagger.reports.writers import WRITERS, elan, write_all, write_each
from av_tagger.scores import Failed, Outcome, Tagged

MIB = 1024  # KiB


def store(path: Path, outcomes: list[Outcome]) -> StoredOutcomes:
    path.write_text("".join(f"{as_line(outcome, detail=True)}\n" for outcome in outcomes))
    return StoredOutcomes(path)


def test_results_can_be_iterated_twice(sample: list[Outcome], tmp_path: Path) -> None:
    stored = store(tmp_path / "results.jsonl", sample)
    assert len(stored) == len(sample)
    assert [o.clip for o in stored] == [o.clip for o in stored] == [o.clip for o in sample]


def test_an_incomplete_last_line_is_ignored(sample: list[Outcome], tmp_path: Path) -> None:
    stored = store(tmp_path / "results.jsonl", sample)
    with stored.path.open("a") as file:
        file.write('{"schema": 1, "fi')
    assert len(stored) == len(list(stored)) == len(sample)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.jsonl: cannot be read"):
        len(StoredOutcomes(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize("name", WRITERS)
def test_formats_are_the_same_from_a_file_and_from_a_list(
    name: str, sample: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elan, "now", lambda: datetime(2026, 1, 2, tzinfo=UTC))
    stored = store(tmp_path / "results.jsonl", sample)
    expected = write_all([name], list(stored), tmp_path / "list")
    for _, path in write_each([name], stored, tmp_path / "file"):
        assert path.read_bytes() == (tmp_path / "list" / path.name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "file").iterdir()) == sorted(p.name for p in expected)


def test_parquet_is_written_in_row_groups(
    sample: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("av_tagger.reports.writers.tables.ROW_GROUP", 4)
    tags, _ = write_all(["parquet"], sample, tmp_path)
    assert [parquet.ParquetFile(tags).metadata.row_group(i).num_rows for i in range(2)] == [4, 2]
    assert [row["error"] for row in parquet.read_table(tags).to_pylist()][
        -1
    ] == 'broken, "quoted".mp4: cannot be opened'


def peak_of(folder: Path, count: int, tagged: Tagged, *, detail: bool) -> int:
    """Peak memory in KiB of a process that writes this many results in every format."""
    folder.mkdir()
    with (folder / "results.jsonl").open("w") as file:
        for i in range(count):
            clip = Clip(Path(f"somewhere/in/a/collection/{i}/clip.mp4"))
            outcome = (
                Failed(clip, "media", "is broken") if i % 50 == 7 else replace(tagged, clip=clip)
            )
            file.write(f"{as_line(outcome, detail=detail)}\n")
    code = """
import resource, sys
from collections import Counter
from pathlib import Path
from av_tagger.reports.stored import StoredOutcomes
from av_tagger.reports.writers import WRITERS, write_each
folder, stored = Path(sys.argv[1]), StoredOutcomes(Path(sys.argv[1]) / "results.jsonl")
written = Counter(sheet.suffix for sheet, _ in write_each(WRITERS, stored, folder / "out"))
assert written[".vtt"] == len(stored) - sum(i % 50 == 7 for i in range(len(stored))), written
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.parametrize(
    ("count", "detail"), [(1200, False), pytest.param(10_000, True, marks=pytest.mark.slow)]
)
def test_memory_does_not_grow_with_the_number_of_results(
    tmp_path: Path, count: int, detail: bool, tagged: Tagged
) -> None:
    pytest.importorskip("pyarrow")
    few, many = (peak_of(tmp_path / str(n), n, tagged, detail=detail) for n in (100, count))
    assert few > 20 * MIB, "the measure works"
    assert many <= 1.2 * few
    assert many - few <= 16 * MIB, "what grows is the names of the clips"
