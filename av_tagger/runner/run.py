"""A whole run: what was asked for becomes a plan, an engine works it off, a table comes out; a second start goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.errors import StorageError, UsageError
from av_tagger.reports.schema import from_json
from av_tagger.runner.job import Item
from av_tagger.runner.journal import Choice, Journal, RunCounts
from av_tagger.runner.local import Tick
from av_tagger.runner.profiler import DRIVER, Profile, Profiler
from av_tagger.runner.table import ResultsTable, listed_documents, shards_of

Engine = Callable[[Journal, Tick], None]
Watch = Callable[[RunCounts], None]
LOCK = ".lock"
SUBMISSIONS = ("submission.task_a.tsv", "submission.task_b.tsv")


@dataclass(frozen=True)
class Order:
    """What is to be done, and where its results go."""

    folder: Path
    items: Iterable[Item]
    fingerprint: str  # of what changes numbers
    choice: Choice = field(default_factory=Choice)
    fresh: bool = False


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    folder: Path
    counts: RunCounts
    skipped: int  # were known before
    failed_before: int  # are among them
    failures: list[tuple[str, int, str]]
    branch_statuses: list[tuple[str, str, int]]
    seconds: float
    profile: Profile
    files: tuple[Path, ...]


def run(order: Order, engine: Engine, watch: Watch | None = None) -> Summary:
    """Results appear as they come; in the end, and after an interrupt, the table is whole and in order."""
    began, profiler = time.monotonic(), Profiler()
    folder = folder_of(order)
    with _alone(folder), Journal(folder, fresh=order.fresh) as journal:
        with profiler.of("plan"):
            table, known = _prepare(journal, order)
        try:
            engine(journal, _ticker(table, known, watch, profiler))
        except KeyboardInterrupt:
            _settle(table)
            raise
        with profiler.of("table"):
            _settle(table)
            files = (table.path, *_submit(journal, folder))
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
        )


def folder_of(order: Order) -> Path:
    """A shard has a folder of its own, so that shards on many machines never share a store."""
    shard, shards = order.choice.shard
    if not 1 <= shard <= shards:
        raise UsageError(f"--shard {shard}/{shards}: shards are counted from 1 to {shards}")
    return order.folder if shards == 1 else order.folder / f"shard-{shard}-of-{shards}"


def _prepare(journal: Journal, order: Order) -> tuple[ResultsTable, RunCounts]:
    if not order.fresh:
        for other in shards_of(order.folder):
            if other != journal.path:
                journal.adopt(other)
    known = journal.plan(order.items, order.fingerprint, order.choice)
    if not known.total:
        raise UsageError(
            "there is nothing to do: what was named holds no clips, or none for this shard"
        )
    journal.give_up_missing()
    table = ResultsTable(journal)
    table.write()
    return table, known


def _ticker(table: ResultsTable, known: RunCounts, watch: Watch | None, profiler: Profiler) -> Tick:
    missing = table.journal.counts().failed - known.failed

    def show() -> None:
        if watch is not None:
            watch(
                RunCounts(
                    known.total, known.done + table.done, known.failed + missing + table.failed
                )
            )

    def tick() -> None:
        with profiler.of("table"):
            table.catch_up()
        show()

    show()
    return tick


def _settle(table: ResultsTable) -> None:
    table.catch_up()
    table.write()


def _submit(journal: Journal, folder: Path) -> list[Path]:
    """The files that the challenge asks for, when its own list was given and at least one clip could be tagged."""
    from av_tagger.dcase import from_outcomes, write_events, write_tags

    tags, events = from_outcomes(
        (name, from_json(json.loads(document))) for name, document in listed_documents(journal)
    )
    if not tags:
        return []
    paths = [folder / name for name in SUBMISSIONS]
    write_tags(paths[0], tags)
    write_events(paths[1], events)
    return paths


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One run at a time in a folder; the lock goes with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder with -o"
        ) from error
    with file:
        with suppress(ImportError):  # no such locks on Windows
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"{folder}: another run is at work in this folder; wait for it, or stop it first"
                ) from error
        yield
