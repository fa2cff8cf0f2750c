"""Whole runs: resumed after any kill the table is the same; full disks, official lists."""

from __future__ import annotations

import errno
import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from av_tagger.clip import Clip, Media
from av_tagger.errors import StorageError, UsageError
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.media.sandbox import SWITCH
from av_tagger.protocols import DecodeRequest
from av_tagger.reports.schema import read_outcomes
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item, Record
from av_tagger.runner.journal import Journal, RunCounts
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, Summary, reserve, run
from av_tagger.runner.selection import Selection
from av_tagger.runner.worker import Worker
from av_tagger.scores import Failed
from tests import ROOT
from tests.fakes import Decoder, FakeWorkerFactory, PoisonWorkerFactory, tagger, touch

CONCURRENCY = Concurrency(2, 1, 1, 4, 1 << 20)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def items(paths: Iterable[Path]) -> Iterator[Item]:
    return (Item(Clip(path)) for path in paths)


def go(
    folder: Path,
    paths: Sequence[Path],
    *,
    worker: Worker | None = None,
    concurrency: Concurrency = CONCURRENCY,
    **order: Any,
) -> Summary:
    return run(
        RunRequest(folder, items(paths), "fake", **order),
        InProcessEngine(worker or FakeWorkerFactory()(), concurrency),
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def kills(tmp_path: Path, count: int, files: int, seed: int) -> None:
    names = [f"{i:04d}.mp4" for i in range(files)] + ["5000-bad.mp4", "5001-two.mp4"]
    paths = touch(tmp_path / "in", names)
    command = [
        sys.executable,
        "-m",
        "tests.runner.killed",
        str(tmp_path / "run"),
        str(tmp_path / "log"),
        str(count),
        str(seed),
    ]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == count, "the kills came while the run was at work"
    go(tmp_path / "straight", paths)
    assert (tmp_path / "run" / "results.jsonl").read_bytes() == (
        tmp_path / "straight" / "results.jsonl"
    ).read_bytes()
    opened = Counter((tmp_path / "log").read_text().split())
    assert set(opened) == set(names)
    again = sum(opened.values()) - len(names)
    lost = 6 + 6 + 2  # finished and not yet recorded, ahead of these, being decoded
    assert again <= count * lost, "only clips that were at work are done again"


def test_after_twenty_kills_the_table_is_the_same(tmp_path: Path) -> None:
    kills(tmp_path, 20, 400, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_after_many_kills_the_table_is_the_same(tmp_path: Path, seed: int) -> None:
    kills(tmp_path, 100, 2000, seed)


def test_a_second_run_does_nothing_twice(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", ["1.mp4", "2-bad.mp4", "3.mp4"])
    first = go(tmp_path / "run", paths)
    table = (tmp_path / "run" / "results.jsonl").read_bytes()
    second = go(tmp_path / "run", paths)
    assert (first.counts, first.skipped) == (RunCounts(3, 2, 1), 0)
    assert (second.counts, second.skipped) == (RunCounts(3, 2, 1), 3)
    assert "decode" not in second.profile.stages
    assert (tmp_path / "run" / "results.jsonl").read_bytes() == table
    assert first.failures == [("media", 1, f"{paths[1]}: is broken; repair it")]
    assert first.branch_statuses == [("ok", "ok", 2)]


def test_failed_clips_are_retried_when_asked(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", ["1.mp4", "2-bad.mp4"])

    class Repaired(Decoder):
        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            return super().windows(Clip(clip.path.with_name("2.mp4")), request, limit_seconds)

    go(tmp_path / "run", paths)
    repaired = Worker(tagger(), Repaired)
    assert go(tmp_path / "run", paths, worker=repaired).counts.failed == 1
    retried = go(tmp_path / "run", paths, worker=repaired, selection=Selection(retry_failed=True))
    assert (retried.counts, retried.skipped) == (RunCounts(2, 2, 0), 1)
    assert "error" not in lines(tmp_path / "run")[1]


def test_fresh_discards_earlier_results(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", ["1.mp4"])
    go(tmp_path / "run", paths)
    assert go(tmp_path / "run", paths, fresh=True).skipped == 0


def test_a_run_adopts_the_results_of_its_shards(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", [f"{i}.mp4" for i in range(7)])
    for shard in (1, 2):
        part = go(tmp_path / "run", paths, selection=Selection(shard=(shard, 2)))
        assert part.folder == tmp_path / "run" / f"shard-{shard}-of-2"
    whole = go(tmp_path / "run", paths)
    assert (whole.counts.done, whole.skipped) == (7, 7)
    assert [Path(line["file"]).name for line in lines(tmp_path / "run")] == [p.name for p in paths]


def test_results_appear_during_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av_tagger.runner.pending.GROUP_SECONDS", 0.0)
    paths = touch(tmp_path / "in", [f"{i}.mp4" for i in range(30)])
    seen: list[tuple[int, int]] = []

    def watch(counts: RunCounts) -> None:
        seen.append((counts.done, len(list(read_outcomes(tmp_path / "run" / "results.jsonl")))))

    run(
        RunRequest(tmp_path / "run", items(paths), "fake"),
        InProcessEngine(FakeWorkerFactory(0.002)(), replace(CONCURRENCY, batch=1, ahead=4)),
        watch,
    )
    assert len(seen) > 3
    assert all(done == there for done, there in seen)
    assert seen[-1] == (30, 30)


@pytest.mark.parametrize("detail", [False, True])
def test_an_interrupt_leaves_a_complete_table(tmp_path: Path, detail: bool) -> None:
    concurrency = replace(CONCURRENCY, detail=detail)
    paths = touch(tmp_path / "in", [f"{i}.mp4" for i in range(50)])

    def watch(counts: RunCounts) -> None:
        if counts.done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            RunRequest(tmp_path / "run", items(paths), "fake"),
            InProcessEngine(FakeWorkerFactory(0.002)(), replace(concurrency, ahead=8)),
            watch,
        )
    done = lines(tmp_path / "run")
    assert 10 <= len(done) < 50
    summary = go(tmp_path / "run", paths, concurrency=concurrency)
    assert (summary.counts.done, summary.skipped) == (50, len(done))


def start_before_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding processes are up, with all they import, before a time limit begins to count."""
    windows = DecodeProcess.windows

    def warm(
        self: DecodeProcess, clip: Clip, request: DecodeRequest, limit_seconds: float
    ) -> Iterator[Media]:
        self.call("tests.fakes:add", 1, 2, path=clip.path)
        return windows(self, clip, request, limit_seconds)

    monkeypatch.setattr(DecodeProcess, "windows", warm)


def test_files_that_break_their_decoder_cost_only_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hang, a crash, a bug and an impossible allocation in a real decoding process."""
    start_before_the_limit(monkeypatch)
    paths = touch(
        tmp_path / "in",
        [
            "1.mp4",
            "crash2.mp4",
            "3.mp4",
            "hang4.mp4",
            "5.mp4",
            "memory6.mp4",
            "defect7.mp4",
            "8.mp4",
        ],
    )
    summary = go(
        tmp_path / "run",
        paths,
        worker=PoisonWorkerFactory()(),
        concurrency=replace(CONCURRENCY, window_limit=4.0),
    )
    assert summary.counts == RunCounts(8, 4, 4)
    said = {
        Path(o.clip.path).stem: o.message
        for o in read_outcomes(summary.files[0])
        if isinstance(o, Failed)
    }
    assert "took longer than 4 s" in said["hang4"]
    assert "SIGSEGV" in said["crash2"]
    assert "more memory" in said["memory6"]
    assert "ZeroDivisionError: a defect of the decoder; this is a bug" in said["defect7"]
    with Journal(tmp_path / "run") as journal:
        (trace,) = journal.tracebacks()
    assert "in misbehave" in trace
    assert trace.startswith("Traceback (most recent call last)")


def test_a_killed_decoder_is_tried_again_and_not_held_against_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the out-of-memory killer: once more alone, then a crash that later runs try again."""
    monkeypatch.setenv(SWITCH, "off")  # the backend marks a file as tried
    paths = touch(tmp_path / "in", ["1.mp4", "killed once2.mp4", "killed3.mp4", "4.mp4"])
    poison = PoisonWorkerFactory()()
    summary = go(tmp_path / "run", paths, worker=poison)
    assert summary.counts == RunCounts(4, 3, 1)
    ((kind, count, message),) = summary.failures
    assert (kind, count) == ("crash", 1)
    assert "killed3.mp4: its decoder was killed from outside (signal SIGKILL)" in message
    assert "run the same command again" in message
    later = go(tmp_path / "run", paths)  # with a decoder that works
    assert (later.counts, later.skipped) == (RunCounts(4, 4, 0), 3)


def test_damaged_results_are_made_again_and_the_old_table_is_kept(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", ["1.mp4", "2-bad.mp4", "3.mp4"])
    folder = tmp_path / "run"
    go(folder, paths)
    table = (folder / "results.jsonl").read_bytes()
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db, db:
        db.execute("UPDATE results SET document = 'null' WHERE id = 2")
        db.execute("UPDATE results SET document = CAST(x'7bff' AS TEXT) WHERE id = 3")
    again = go(folder, paths)
    assert (again.repair.broken, again.skipped) == (2, 1)
    assert (folder / "results.jsonl").read_bytes() == table
    assert (folder / "results.before-repair.jsonl").read_bytes() == table


@pytest.mark.parametrize("detail", [False, True])
def test_a_full_disk_ends_the_run_and_keeps_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detail: bool
) -> None:
    """With SQLite's limit of pages, which it reports like a full disk."""
    concurrency = replace(CONCURRENCY, detail=detail)
    paths = touch(tmp_path / "in", [f"{i}.mp4" for i in range(200)])
    original = Journal.record

    def record(self: Journal, records: Sequence[Record]) -> None:
        original(self, records)
        if self.counts().done >= 5:
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            self._db.execute(f"PRAGMA max_page_count = {pages}")

    monkeypatch.setattr(Journal, "record", record)
    with pytest.raises(StorageError, match=r"database or disk is full.*run the same command again"):
        go(tmp_path / "run", paths, concurrency=concurrency)
    monkeypatch.undo()
    kept = len(lines(tmp_path / "run"))
    assert kept >= 5
    summary = go(tmp_path / "run", paths, concurrency=concurrency)
    assert summary.counts.done == 200
    assert summary.skipped >= kept


def test_a_table_that_cannot_grow_ends_with_a_complete_line(tmp_path: Path) -> None:
    """With a limit on file size, above the journal's and below the table's, as the full disk."""
    paths = touch(tmp_path / "in", ["1.mp4", "2.mp4"])
    go(tmp_path / "run", paths)
    table = tmp_path / "run" / "results.jsonl"
    size = table.stat().st_size
    code = """
import resource, signal, sys
from pathlib import Path
from av_tagger.errors import StorageError
from av_tagger.runner.journal import Journal
from av_tagger.runner.table import ResultsTable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(Path(sys.argv[1])) as journal:
    table = ResultsTable(journal)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    try:
        table.catch_up()
    except StorageError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run"), str(size + 700)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "results.jsonl: cannot be written" in done.stdout
    assert os.strerror(errno.EFBIG) in done.stdout
    assert table.stat().st_size == size, "no half line stays behind"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot be written .*choose another folder"):
        go(tmp_path / "file" / "run", touch(tmp_path / "in", ["1.mp4"]))


def test_a_read_only_journal_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a read-only connection, as root may write to a read-only folder."""
    paths = touch(tmp_path / "in", ["1.mp4"])
    original = Journal._prepare

    def prepare(self: Journal) -> None:
        original(self)
        self._db.execute("PRAGMA query_only = ON")

    monkeypatch.setattr(Journal, "_prepare", prepare)
    with pytest.raises(StorageError, match="readonly database"):
        go(tmp_path / "run", paths)


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", ["1.mp4"])

    def second(_: RunCounts) -> None:
        go(tmp_path / "run", paths)

    with pytest.raises(UsageError, match="another run uses this folder"):
        run(
            RunRequest(tmp_path / "run", items(paths), "fake"),
            InProcessEngine(FakeWorkerFactory()(), CONCURRENCY),
            second,
        )


def test_a_reserved_folder_is_refused_to_others_and_runs_once(tmp_path: Path) -> None:
    paths = touch(tmp_path / "in", ["1.mp4"])
    engine = InProcessEngine(FakeWorkerFactory()(), CONCURRENCY)
    mine = RunRequest(tmp_path / "new" / "run", items(paths), "fake", reserved=True)
    with reserve(mine):
        other = RunRequest(mine.folder, items(paths), "fake")
        with pytest.raises(UsageError, match="another run uses this folder"), reserve(other):
            pytest.fail("reserved twice")
        with pytest.raises(UsageError, match="another run uses this folder"):
            run(other, engine)
        assert run(mine, engine).counts.done == 1
    assert (mine.folder / "results.jsonl").exists()
    with reserve(other):
        pass
    with (
        pytest.raises(StorageError, match=r"too long.*choose another folder with -o"),
        reserve(RunRequest(tmp_path / ("x" * 300), (), "")),
    ):
        pytest.fail("a folder that cannot exist")


def test_a_new_folder_without_a_run_is_removed(tmp_path: Path) -> None:
    request = RunRequest(tmp_path / "new" / "run", (), "")
    with pytest.raises(UsageError, match="wrong class"), reserve(request):
        raise UsageError("wrong class")
    assert list(tmp_path.iterdir()) == []
    request.folder.mkdir(parents=True)
    (request.folder / "mine.txt").touch()
    with reserve(request):
        pass
    assert (request.folder / "mine.txt").exists()


def test_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to do"):
        go(tmp_path / "run", [])


def test_missing_clips_of_an_official_list_are_failures(tmp_path: Path) -> None:
    (path,) = touch(tmp_path / "in", ["Y7.mp4"])
    order = RunRequest(
        tmp_path / "run",
        [Item(Clip(path), "a_b.wav"), Item(Clip(Path("c_d.wav")), "c_d.wav", "missing")],
        "fake",
    )
    summary = run(order, InProcessEngine(FakeWorkerFactory()(), CONCURRENCY))
    assert summary.failures == [("missing", 1, "c_d.wav: is in none of the folders searched")]
    assert [f.name for f in summary.files] == [
        "results.jsonl",
        "submission.task_a.tsv",
        "submission.task_b.tsv",
        "submission.task_b.txt",
    ]
    assert "a_b.wav" in summary.files[1].read_text()
    assert "c_d.wav\n" in summary.files[1].read_text(), "failed: a bare name"
    assert summary.remarks == ("1 clip that failed is a bare name in the submission: untagged",)


def peak_of(folder: Path, count: int) -> int:
    """Peak memory in KiB of a process that tags that many files."""
    code = f"""
import resource, sys
from pathlib import Path
from tests import ROOT
from tests.fakes import FakeWorkerFactory, touch
from av_tagger.clip import Clip
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.run import RunRequest, run
folder = Path({str(folder)!r})
items = (Item(Clip(folder / f"{{i}}.mp4")) for i in range({count}))
engine = InProcessEngine(FakeWorkerFactory()(), Concurrency(2, 1, 1, 16, 1 << 20))
summary = run(RunRequest(folder / "run", items, "fake"), engine)
assert summary.counts.done == {count}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_collection(tmp_path: Path, count: int) -> None:
    few, many = peak_of(tmp_path / "few", 100), peak_of(tmp_path / "many", count)
    assert many <= 1.2 * few
    assert few > 10_000, f"the measure works: {resource.getpagesize() = }"
