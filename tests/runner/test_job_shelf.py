"""Jobs ahead: in their order, or the largest file first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from av_tagger.clip import Clip
from av_tagger.runner.job import Job
from av_tagger.runner.job_shelf import JobShelf


def jobs(folder: Path, sizes: list[int]) -> Iterator[Job]:
    for i, size in enumerate(sizes):
        path = folder / f"{i}.mp4"
        if size >= 0:
            path.write_bytes(b"x" * size)
        yield Job(i, Clip(path))


def taken(shelf: JobShelf, *large: bool) -> list[int]:
    found = (shelf.next(large=one) for one in large)
    return [job[0] for job in found if job is not None]


def test_with_one_ahead_jobs_come_in_their_order(tmp_path: Path) -> None:
    asked: list[int] = []

    def counted() -> Iterator[Job]:
        for job in jobs(tmp_path, [1, 5, 2]):
            asked.append(job.position)
            yield job

    shelf = JobShelf(counted())
    assert taken(shelf, True) == [0]
    assert asked == [0], "no job is claimed before it is needed"
    assert taken(shelf, False, True, False) == [1, 2]


def test_engines_take_the_largest_files_and_cores_the_oldest(tmp_path: Path) -> None:
    shelf = JobShelf(jobs(tmp_path, [3, 9, 1, 7, 8]), 4)
    assert taken(shelf, True, False, True, False, True, True) == [1, 0, 4, 2, 3]


def test_a_missing_file_is_small(tmp_path: Path) -> None:
    shelf = JobShelf(jobs(tmp_path, [-1, 2]), 4)
    assert taken(shelf, True, True) == [1, 0]
