"""A whole run: make or resume the plan, let an engine do it, write the table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from av_tagger.errors import StorageError, UsageError
from av_tagger.media.paths import exists
from av_tagger.reports.schema import from_json
from av_tagger.runner.job import Item
from av_tagger.runner.journal import NAME as JOURNAL
from av_tagger.runner.journal import DamagedJournal, Journal, RunCounts
from av_tagger.runner.local import Tick
from av_tagger.runner.profile import Profile
from av_tagger.runner.profiler import DRIVER, Profiler
from av_tagger.runner.repair import Repair, open_journal
from av_tagger.runner.selection import Selection
from av_tagger.runner.table import ResultsTable, listed_documents, shards_of
from av_tagger.scores import Outcome
from av_tagger.systems import lock_now

Engine = Callable[[Journal, Tick], None]
ShowCounts = Callable[[RunCounts], None]
LOCK = ".lock"
SUBMISSIONS = ("submission.task_a.tsv", "submission.task_b.tsv")


@dataclass(frozen=True)
class RunRequest:
    """Which clips to tag, and where the results go."""

    folder: Path
    items: Iterable[Item]
    fingerprint: str  # of all that changes results
    selection: Selection = field(default_factory=Selection)
    fresh: bool = False
    reserved: bool = False  # the caller is within `reserve`


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
    repair: Repair = field(default_factory=Repair)
    remarks: tuple[str, ...] = ()  # of the submission files


def run(request: RunRequest, engine: Engine, show: ShowCounts | None = None) -> Summary:
    """Results appear as they come; at the end, also after Ctrl-C, the table is sorted."""
    began, profiler = time.monotonic(), Profiler()
    folder = folder_of(request)
    with ExitStack() as stack:
        if not request.reserved:
            stack.enter_context(_locked(folder))
        with profiler.of("plan"):
            journal, repair = open_journal(folder, fresh=request.fresh)
            stack.enter_context(journal)
            repair = _gather(journal, request, repair)
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
            repair=repair,
            remarks=remarks,
        )


def folder_of(request: RunRequest) -> Path:
    """A shard has its own folder, so that machines never share a journal."""
    shard, shards = request.selection.shard
    if not 1 <= shard <= shards:
        raise UsageError(f"--shard {shard}/{shards}: shards are counted from 1 to {shards}")
    return request.folder if shards == 1 else request.folder / f"shard-{shard}-of-{shards}"


def _gather(journal: Journal, request: RunRequest, repair: Repair) -> Repair:
    """Copy the sound results of shards; damaged ones are counted."""
    others = [] if request.fresh else shards_of(request.folder)
    broken = sum(journal.adopt(other) for other in others if other != journal.path)
    return replace(repair, broken=repair.broken + broken)


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
        (name, _outcome(document, journal.path)) for name, document in listed_documents(journal)
    )
    if len(made.failed) == len(made.tags):
        return [], ()
    tags, events = (folder / name for name in SUBMISSIONS)
    write_tags(tags, made.tags)
    write_events(events, made.events)
    return [tags, events, events.with_suffix(".txt")], made.remarks


def _outcome(document: str, journal: Path) -> Outcome:
    try:
        return from_json(json.loads(document))
    except (UsageError, ValueError, RecursionError) as error:
        raise StorageError(f"{journal}: a result cannot be read: {error}") from error


@contextmanager
def reserve(request: RunRequest) -> Iterator[None]:
    """Lock the folder of a run before networks are loaded, so that a second start ends at once.

    Refuses a folder that cannot exist or whose journal is not ours. A new folder in which no run
    began is removed at the end.
    """
    folder = folder_of(request)
    created = [place for place in (folder, *folder.parents) if not exists(place)]
    with _locked(folder):
        if (folder / JOURNAL).exists() and not request.fresh:
            with suppress(DamagedJournal):  # which the run repairs
                Journal(folder).close()
        try:
            yield
        finally:
            if created and [path.name for path in folder.iterdir()] == [LOCK]:
                with suppress(OSError):  # an open file cannot be removed on Windows
                    (folder / LOCK).unlink()
                    for place in created:
                        place.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One run per folder at a time; the lock ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("ab")
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder with -o"
        ) from error
    with file:
        if not lock_now(file):
            raise UsageError(
                f"{folder}: another run uses this folder; wait for it, or stop it first"
            )
        yield
