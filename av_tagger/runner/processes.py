"""The engine of several processes: each claims jobs from the same journal, and any may die."""

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
from av_tagger.runner.concurrency import Concurrency, for_machine
from av_tagger.runner.journal import Journal
from av_tagger.runner.local import Tick, work
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.worker import Worker, WorkerFactory

POLL_SECONDS = 0.3  # between two looks at processes and journal
TERMINATE_SECONDS = 10.0  # from SIGTERM to SIGKILL
MOST_FRUITLESS_DEATHS = 3  # deaths in a row, per process, without a new result


@dataclass
class WorkerProcess:
    """A running process, and the pipe through which it sends the error that ended it."""

    owner: str
    process: SpawnProcess
    channel: Connection


@dataclass
class ProcessEngine:
    """One process per factory; processes that die are replaced while there are jobs."""

    factories: Sequence[WorkerFactory]
    concurrency: Concurrency
    fingerprint: str
    running: dict[int, WorkerProcess] = field(default_factory=dict)
    started: int = 0
    fruitless_deaths: int = 0
    settled: int = 0
    poll_seconds: float = POLL_SECONDS

    def __call__(self, journal: Journal, tick: Tick) -> None:
        try:
            self._fill(journal)
            while self.running:
                sentinels = [p.process.sentinel for p in self.running.values()]
                ended = wait(sentinels, timeout=self.poll_seconds)
                tick()
                for slot in [s for s, p in self.running.items() if p.process.sentinel in ended]:
                    self._reap(journal, slot)
                if ended:
                    self._fill(journal)
        finally:
            self._terminate(journal)

    def _fill(self, journal: Journal) -> None:
        """Start a process in every empty slot, but no more than there are free jobs."""
        empty = [slot for slot in range(len(self.factories)) if slot not in self.running]
        for slot in empty[: journal.waiting(len(empty))]:
            self.running[slot] = self._start(journal.folder, slot)

    def _start(self, folder: Path, slot: int) -> WorkerProcess:
        self.started += 1
        owner = f"process {slot + 1}.{self.started}"
        ours, theirs = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("spawn")  # a fork would share CUDA and locks
        factory, sharing = self.factories[slot], len(self.factories)
        args = WorkerArgs(folder, factory, self.concurrency, owner, self.fingerprint, sharing)
        process = context.Process(target=run_worker, args=(args, theirs), name=owner, daemon=True)
        process.start()
        theirs.close()
        return WorkerProcess(owner, process, ours)

    def _reap(self, journal: Journal, slot: int) -> None:
        """Release the jobs of an ended process; too many deaths without a result end the run."""
        ended = self.running.pop(slot)
        ended.process.join()
        code = ended.process.exitcode
        journal.release(ended.owner, died=code != 0)
        error = _error_of(ended.channel)
        if error is not None:
            raise error
        settled = journal.counts().total - journal.counts().left
        fruitless = code != 0 and settled == self.settled
        self.fruitless_deaths = self.fruitless_deaths + 1 if fruitless else 0
        self.settled = settled
        if self.fruitless_deaths > MOST_FRUITLESS_DEATHS * len(self.factories):
            raise AvTaggerError(
                f"{self.fruitless_deaths} worker processes died in a row (the last with exit code "
                f"{code}); try --processes 1, or less --memory"
            )

    def _terminate(self, journal: Journal) -> None:
        for running in self.running.values():
            running.process.terminate()
        for running in self.running.values():
            running.process.join(TERMINATE_SECONDS)
            if running.process.is_alive():
                running.process.kill()
                running.process.join()
            journal.release(running.owner, died=False)
        self.running.clear()


@dataclass(frozen=True)
class WorkerArgs:
    """What a worker process gets: all of it is picklable."""

    folder: Path
    factory: WorkerFactory
    concurrency: Concurrency
    owner: str
    fingerprint: str
    sharing: int


def run_worker(args: WorkerArgs, channel: Connection) -> None:
    """The main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver handles Ctrl-C
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    end_with_parent()
    try:
        profiler = Profiler()
        worker = load_worker(args.factory, profiler)
        check_fingerprint(worker.tagger.parts.run.fingerprint, args.fingerprint, args.owner)
        concurrency = for_machine(args.concurrency, worker.device, args.sharing)
        with Journal(args.folder) as journal:
            work(journal, worker, concurrency, args.owner, lambda: None, profiler)
    except AvTaggerError as error:
        channel.send((type(error).__name__, str(error)))


def load_worker(factory: WorkerFactory, profiler: Profiler) -> Worker:
    """Load the networks in the process that will use them."""
    with profiler.of("load"):
        worker = factory()
    profiler.restart_cpu()
    return worker


def check_fingerprint(own: str, expected: str, where: str) -> None:
    """A worker with other weights or settings would give other results: UsageError."""
    if own != expected:
        reason = f"its weights or settings ({own}) are not those of the run ({expected})"
        raise UsageError(f"{where}: {reason}; give every machine the same files")


def end_with_parent() -> None:
    """Watch the process that started this one: if it is killed, no worker must stay behind."""
    threading.Thread(target=_exit_with_driver, daemon=True).start()


def _exit_with_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _error_of(channel: Connection) -> AvTaggerError | None:
    """The error that a worker process has sent, if any."""
    try:
        sent: tuple[str, str] | None = channel.recv() if channel.poll() else None
    except (EOFError, OSError):
        sent = None
    finally:
        channel.close()
    return None if sent is None else as_error(*sent)


def as_error(name: str, text: str) -> AvTaggerError:
    """The error of another process, from its class name and text."""
    kind: Any = getattr(errors, name, AvTaggerError)
    plain = (
        isinstance(kind, type)
        and issubclass(kind, AvTaggerError)
        and kind.__init__ is AvTaggerError.__init__
    )
    error: AvTaggerError = kind(text) if plain else AvTaggerError(text)
    return error


def devices_of(flag: str | None, device: str, processes: int) -> list[str | None]:
    """The device of each process; [None] stands for this process and its device."""
    if flag is None:
        return [device] * processes if processes > 1 else [None]
    if flag != "auto":
        return [name.strip() for name in flag.split(",") if name.strip()]
    import torch

    count = torch.cuda.device_count()
    if not count:
        reason = "--devices auto: there is no CUDA device on this machine"
        raise errors.DeviceError(f"{reason}; leave it out, or use --processes N")
    return [f"cuda:{n}" for n in range(count)]
