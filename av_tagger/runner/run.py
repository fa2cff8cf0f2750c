"""A whole run: make or resume the plan, let an engine do it, write the table."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.errors import StorageError, UsageError
from av_tagger.reports.schema import from_json
from av_tagger.runner.job import Item
from av_tagger.runner.journal import Journal, RunCounts
from av_tagger.runner.local import Tick
from av_tagger.runner.profile import Profile
from av_tagger.runner.profiler import DRIVER, Profiler
from av_tagger.runner.selection import Selection
from av_tagger.runner.table import NAME as TABLE
from av_tagger.runner.table import ResultsTable, listed_documents, shards_of

Engine = Callable[[Journal, Tick], None]
ShowCounts = Callable[[RunCounts], None]
LOCK = ".lock"
BEFORE_REPAIR = "results.before-repair.jsonl"
SUBMISSIONS = ("submission.task_a.tsv", "submission.task_b.tsv")


@dataclass(frozen=True)
class RunRequest:
    """Which clips to tag, and where the results go."""

    folder: Path
    items: Iterable[Item]
    fingerprint: str  # of all that changes results
    selection: Selection = field(default_factory=Selection)
    fresh: bool = False


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    folder: Path
    counts: RunCounts
    skipped: int  # results of earlier runs
    failed_before: int  # failures among these
    failures: list[tuple[str, int, str]]
    branch_statuses: list[tuple[str, str, int]]
    seconds: float
    profile: Profile
    files: tuple[Path, ...]
    broken: int = 0  # damaged results of earlier runs, which were made again
    remarks: tuple[str, ...] = ()  # of the submission files


def run(request: RunRequest, engine: Engine, show: ShowCounts | None = None) -> Summary:
    """Results appear as they come; at the end, also after Ctrl-C, the table is sorted."""
    began, profiler = time.monotonic(), Profiler()
    folder = folder_of(request)
    with _locked(folder), Journal(folder, fresh=request.fresh) as journal:
        with profiler.of("plan"):
            broken = _gather(journal, request)
            table, known = _prepare(journal, request)
        try:
            engine(journal, _ticker(table, known, show, profiler))
        except KeyboardInterrupt:
            _settle(table)
            raise
        with profiler.of("table"):
            _settle(table)
            submitted, remarks = _submit(journal, folder)
            files = (table.path, *submitted)
        journal.keep_timings(DRIVER, profiler.as_text())
        return Summary(
            folder=folder,
            counts=journal.counts(),
            skipped=known.total - known.left,
            failed_before=known.failed,
            failures=journal.failures(),
            branch_statuses=journal.branch_statuses(),
            seconds=time.monotonic() - began,
            profile=Profile.of(journal.timings()),
            files=files,
            broken=broken,
            remarks=remarks,
        )


def folder_of(request: RunRequest) -> Path:
    """A shard has its own folder, so that machines never share a journal."""
    shard, shards = request.selection.shard
    if not 1 <= shard <= shards:
        raise UsageError(f"--shard {shard}/{shards}: shards are counted from 1 to {shards}")
    return request.folder if shards == 1 else request.folder / f"shard-{shard}-of-{shards}"


def _gather(journal: Journal, request: RunRequest) -> int:
    """Copy results of shards; damaged results are dropped, counted, and the old table is kept."""
    others = [] if request.fresh else shards_of(request.folder)
    broken = sum(journal.adopt(other) for other in others if other != journal.path)
    if own := journal.broken():
        table = journal.folder / TABLE
        if table.exists():
            shutil.copy2(table, journal.folder / BEFORE_REPAIR)
        journal.drop_broken()
    return broken + own


def _prepare(journal: Journal, request: RunRequest) -> tuple[ResultsTable, RunCounts]:
    known = journal.plan(request.items, request.fingerprint, request.selection)
    if not known.total:
        raise UsageError("there is nothing to do: the inputs have no clips, or none for this shard")
    journal.fail_missing()
    table = ResultsTable(journal)
    table.write()
    return table, known


def _ticker(
    table: ResultsTable, known: RunCounts, show: ShowCounts | None, profiler: Profiler
) -> Tick:
    """Counts from the table, which are cheaper than queries of the journal."""
    missing = table.journal.counts().failed - known.failed

    def show_counts() -> None:
        if show is not None:
            failed = known.failed + missing + table.failed
            show(RunCounts(known.total, known.done + table.done, failed))

    def tick() -> None:
        with profiler.of("table"):
            table.catch_up()
        show_counts()

    show_counts()
    return tick


def _settle(table: ResultsTable) -> None:
    table.catch_up()
    table.write()


def _submit(journal: Journal, folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """DCASE submission files and remarks on them, if clips of an official list were tagged."""
    from av_tagger.dcase import from_outcomes, write_events, write_tags

    made = from_outcomes(
        (name, from_json(json.loads(document))) for name, document in listed_documents(journal)
    )
    if len(made.failed) == len(made.tags):
        return [], ()
    tags, events = (folder / name for name in SUBMISSIONS)
    write_tags(tags, made.tags)
    write_events(events, made.events)
    return [tags, events], made.remarks


def check_folder(request: RunRequest) -> None:
    """Refuse a folder that another run uses, or that cannot exist; creates nothing."""
    folder = folder_of(request)
    try:
        used_before = (folder / LOCK).exists()
    except OSError as error:
        reason = f"cannot be used ({error.strerror})"
        raise StorageError(f"{folder}: {reason}; choose another folder with -o") from error
    if used_before:
        with _locked(folder):
            pass


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One run per folder at a time; the lock ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder with -o"
        ) from error
    with file:
        with suppress(ImportError):  # Windows has no fcntl
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"{folder}: another run uses this folder; wait for it, or stop it first"
                ) from error
        yield
