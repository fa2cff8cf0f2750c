"""Several processes on one machine, one a GPU or as many as asked for: each claims from the same journal, any may die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from av_tagger import errors
from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.runner.concurrency import Concurrency, suited
from av_tagger.runner.journal import Journal
from av_tagger.runner.local import Tick, work
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.worker import Worker, WorkerFactory

LOOK_SECONDS = 0.3  # between two looks at the journal
PARTING_SECONDS = 10.0
MOST_FRUITLESS_DEATHS = 3  # deaths in a row, a process, in which nothing was done


@dataclass
class Member:
    """A process at work, and the line on which it says how it ended."""

    owner: str
    process: SpawnProcess
    channel: Connection


@dataclass
class Processes:
    """One process a recipe."""

    factories: Sequence[WorkerFactory]
    concurrency: Concurrency
    fingerprint: str
    members: dict[int, Member] = field(default_factory=dict)
    started: int = 0
    fruitless_deaths: int = 0
    settled: int = 0
    look_seconds: float = LOOK_SECONDS

    def __call__(self, journal: Journal, tick: Tick) -> None:
        try:
            self._start_where_work_waits(journal)
            while self.members:
                ended = wait(
                    [m.process.sentinel for m in self.members.values()], timeout=self.look_seconds
                )
                tick()
                for slot in [s for s, m in self.members.items() if m.process.sentinel in ended]:
                    self._reap(journal, slot)
                if ended:
                    self._start_where_work_waits(journal)
        finally:
            self._send_home(journal)

    def _start_where_work_waits(self, journal: Journal) -> None:
        empty = [slot for slot in range(len(self.factories)) if slot not in self.members]
        for slot in empty[: journal.waiting(len(empty))]:
            self.members[slot] = self._start(journal.folder, slot)

    def _start(self, folder: Path, slot: int) -> Member:
        self.started += 1
        owner = f"process {slot + 1}.{self.started}"
        ours, theirs = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("spawn")  # a fork would share CUDA and locks
        args = WorkerArgs(
            folder,
            self.factories[slot],
            self.concurrency,
            owner,
            self.fingerprint,
            len(self.factories),
        )
        process = context.Process(target=member, args=(args, theirs), name=owner, daemon=True)
        process.start()
        theirs.close()
        return Member(owner, process, ours)

    def _reap(self, journal: Journal, slot: int) -> None:
        """What a dead process had claimed is free again; one that dies before it has done anything, over and over, ends the run."""
        gone = self.members.pop(slot)
        gone.process.join()
        died = gone.process.exitcode != 0
        journal.release(gone.owner, died=died)
        said = _said(gone.channel)
        if said is not None:
            raise said
        settled = journal.counts().total - journal.counts().left
        self.fruitless_deaths = self.fruitless_deaths + 1 if died and settled == self.settled else 0
        self.settled = settled
        if self.fruitless_deaths > MOST_FRUITLESS_DEATHS * len(self.factories):
            raise AvTaggerError(
                f"{self.fruitless_deaths} worker processes died one after another (the last with exit code {gone.process.exitcode}); "
                "try one with --processes 1, or less --memory"
            )

    def _send_home(self, journal: Journal) -> None:
        for gone in self.members.values():
            gone.process.terminate()
        for gone in self.members.values():
            gone.process.join(PARTING_SECONDS)
            if gone.process.is_alive():
                gone.process.kill()
                gone.process.join()
            journal.release(gone.owner, died=False)
        self.members.clear()


@dataclass(frozen=True)
class WorkerArgs:
    """What a process is told when it begins."""

    folder: Path
    factory: WorkerFactory
    concurrency: Concurrency
    owner: str
    fingerprint: str
    sharing: int


def member(args: WorkerArgs, channel: Connection) -> None:
    """The life of one process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        profiler = Profiler()
        worker = loaded(args.factory, profiler)
        check_same(worker.tagger.parts.run.fingerprint, args.fingerprint, args.owner)
        with Journal(args.folder) as journal:
            work(
                journal,
                worker,
                suited(args.concurrency, worker.device, args.sharing),
                args.owner,
                _nothing,
                profiler,
            )
    except AvTaggerError as error:
        channel.send((type(error).__name__, str(error)))


def loaded(factory: WorkerFactory, profiler: Profiler) -> Worker:
    """The networks, in the process that will use them."""
    with profiler.of("load"):
        worker = factory()
    profiler.forget_processor()
    return worker


def check_same(mine: str, theirs: str, where: str) -> None:
    """Weights differ from machine to machine sooner or later: such a table would be of two minds."""
    if mine != theirs:
        reason = f"its weights or settings ({mine}) are not those of the run ({theirs})"
        raise UsageError(f"{where}: {reason}; give every machine the same files")


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # a driver that was killed leaves nobody behind


def _nothing() -> None:
    pass


def _said(channel: Connection) -> AvTaggerError | None:
    try:
        said: tuple[str, str] | None = channel.recv() if channel.poll() else None
    except (EOFError, OSError):
        said = None
    finally:
        channel.close()
    return None if said is None else as_error(*said)


def as_error(name: str, text: str) -> AvTaggerError:
    """The error that another process had, in its own words."""
    kind: Any = getattr(errors, name, AvTaggerError)
    plain = (
        isinstance(kind, type)
        and issubclass(kind, AvTaggerError)
        and kind.__init__ is AvTaggerError.__init__
    )
    error: AvTaggerError = kind(text) if plain else AvTaggerError(text)
    return error


def devices_of(flag: str | None, device: str, processes: int) -> list[str | None]:
    """The device of each process; [None] means: this process, as it is."""
    if flag is None:
        return [device] * processes if processes > 1 else [None]
    if flag != "auto":
        return [name.strip() for name in flag.split(",") if name.strip()]
    import torch

    count = torch.cuda.device_count()
    if not count:
        raise errors.DeviceError(
            "--devices auto: there is no CUDA device on this machine; leave it out, or say --processes N"
        )
    return [f"cuda:{n}" for n in range(count)]
