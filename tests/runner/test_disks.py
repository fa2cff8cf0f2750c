"""Disks that fill up, disappear or become read-only: small tmpfs mounts, which need root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from av_tagger.clip import Clip, Media
from av_tagger.errors import StorageError
from av_tagger.media.paths import check_path
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.journal import Journal, RunCounts
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, Summary, run
from av_tagger.runner.worker import Worker
from tests.fakes import Decoder, tagger, touch

CONCURRENCY = Concurrency(2, 1, 1, 4, 1 << 20, 6)


class CheckedDecoder(Decoder):
    """Fails for missing files, as real decoders do."""

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        check_path(clip.path)
        return super().windows(clip, request, limit_seconds)


def go(
    folder: Path, paths: list[Path], watch: Callable[[RunCounts], None] | None = None
) -> Summary:
    worker = Worker(tagger(), lambda: CheckedDecoder(delay=0.002))
    return run(
        RunRequest(folder, (Item(Clip(path)) for path in paths), "fake"),
        InProcessEngine(worker, CONCURRENCY),
        watch,
    )


def after(count: int, *command: str | Path) -> Callable[[RunCounts], None]:
    """Run a command once, when that many clips are done."""
    left = [command]

    def watch(counts: RunCounts) -> None:
        if counts.done >= count and left:
            subprocess.run([str(word) for word in left.pop()], check=True)

    return watch


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 1.2 MB."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    while os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up(disk: Path, tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", [f"{i}.mp4" for i in range(400)])
    with pytest.raises(StorageError, match=r"disk|space"):
        go(disk / "run", paths)
    with Journal(disk / "run") as journal:
        kept = journal.counts().done
    assert kept > 0
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    summary = go(disk / "run", paths)
    assert (summary.counts.done, summary.skipped) == (400, kept)


def test_clips_on_a_disk_that_disappears_are_no_failures(disk: Path, tmp_path: Path) -> None:
    paths = touch(disk / "in", [f"{i:02d}.mp4" for i in range(60)])
    with pytest.raises(
        StorageError, match=rf"{disk}/in: was there when the run began and is gone; bring it back"
    ):
        go(tmp_path / "run", paths, after(20, "umount", "--lazy", disk))
    with Journal(tmp_path / "run") as journal:
        kept = journal.counts()
    assert kept.done >= 20
    assert kept.failed == 0
    touch(disk / "in", [path.name for path in paths])
    assert go(tmp_path / "run", paths).counts == RunCounts(60, 60, 0)


def test_a_run_folder_on_a_disk_that_disappears(disk: Path, tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", [f"{i:02d}.mp4" for i in range(60)])
    with pytest.raises(
        StorageError,
        match=r"the journal cannot be used .*No such file.*run the same command again",
    ):
        go(disk / "run", paths, after(20, "umount", "--lazy", disk))


def test_a_disk_that_becomes_read_only_keeps_the_results(disk: Path, tmp_path: Path) -> None:
    """As a damaged disk does; between two runs, as a disk in use cannot be remounted."""
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    paths = touch(tmp_path / "in", [f"{i:02d}.mp4" for i in range(60)])
    go(disk / "run", paths[:20])
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    before = (disk / "run" / "results.jsonl").read_bytes()
    with pytest.raises(StorageError, match=r"cannot be written .*Read-only.*choose another folder"):
        go(disk / "run", paths)
    assert (disk / "run" / "results.jsonl").read_bytes() == before
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert go(disk / "run", paths).skipped == 20


def test_a_read_only_folder_says_so_at_once(disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(
        StorageError,
        match=rf"{disk}/run: cannot be written \(Read-only .*\); choose another folder with -o",
    ):
        go(disk / "run", touch(tmp_path / "in", ["1.mp4"]))


def test_formats_on_a_full_disk_are_complete_or_absent(disk: Path, tmp_path: Path) -> None:
    from av_tagger.reports.stored import StoredOutcomes
    from av_tagger.reports.writers import write_each

    subprocess.run(["mount", "-o", "remount,size=200k", str(disk)], check=True)
    paths = touch(tmp_path / "in", [f"{i}.mp4" for i in range(400)])
    table = go(tmp_path / "run", paths).files[0]
    written: list[Path] = []
    with pytest.raises(StorageError, match=r"cannot be written .*free some space"):
        written.extend(
            path for _, path in write_each(["csv", "json", "dcase"], StoredOutcomes(table), disk)
        )
    assert [path.name for path in written] == ["results.tags.csv", "results.events.csv"]
    assert sorted(disk.iterdir()) == sorted(written)
    assert written[0].read_text().count("\n") >= 401
    assert len(StoredOutcomes(table)) == 400
