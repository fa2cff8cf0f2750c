"""How a run grows from one worker to two, in plain processes and with Ray; and what the one journal of a large run can take.

    python -m av_tagger.bench.scaling [--clips 60] [--seconds 10] [--rounds 3] [--patience 0] [--free] [--no-ray]
    python -m av_tagger.bench.scaling --journal [--records 20000] [--planned 20000] [--no-ray]

A worker is a core: its process and its decoder are bound to one, and it has one thread for each, so that two workers have twice what one
has (`--free` binds nobody). It decodes clips made here and hears them with the starter ear; without weights of the eye key frames come
from thumbnails. Start-up is left out by a gate: every worker loads its networks, tags one clip to warm up, keeps that decoder, and then
waits for the others; time runs from the moment at which the last of them is ready until the last record is in the journal. The end is
not left out: a worker that has nothing more to do while the other finishes its last clip counts. Sides take turns (A B A B), medians are
printed, and beside them how many cores other people's processes used meanwhile; with `--patience SECONDS` it waits for calm, and measures
again what was disturbed.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from av_tagger.bench.decoder_pool import DecoderPool
from av_tagger.bench.pipeline import make_clip
from av_tagger.clip import Clip, Media, Waveform
from av_tagger.config import Config, configure
from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.plan import load
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency, available_cores
from av_tagger.runner.job import DONE, Item, Job, Record, record
from av_tagger.runner.journal import Journal, RunCounts
from av_tagger.runner.on_ray import Answer, OnRay
from av_tagger.runner.processes import Processes
from av_tagger.runner.run import Engine, Order, run
from av_tagger.runner.table import ResultsTable
from av_tagger.runner.worker import Worker
from av_tagger.scores import RunInfo, Tagged
from av_tagger.tagger import Parts, Tagger

T = TypeVar("T")

SIZE = (640, 360)
PACE = Concurrency(decoders=1, inference_threads=1, threads=1)
LOOK_SECONDS = 0.02  # how soon the end is seen
CALM_CORES = 0.1  # busy with other users' work: no more is calm
RAY = {"num_cpus": 2, "object_store_memory": 200 << 20}


@dataclass(frozen=True)
class ScalingSettings:
    """What is measured."""

    clips: int = 60
    seconds: float = 10.0
    rounds: int = 3
    free: bool = False
    ray: bool = True
    patience: float = 0.0
    journal: bool = False
    records: int = 20_000
    planned: int = 20_000


@dataclass(frozen=True)
class Warm:
    """The recipe of a worker: bound to a core of its own, loaded, warmed up, and held back until all others are, too."""

    config: Config
    clip: Path
    gate: Path  # an empty folder
    workers: int
    free: bool

    def __call__(self) -> Worker:
        import torch

        if not self.free:
            _bind(self._core())
        torch.set_num_threads(1)
        tagger, pool = load(self.config), DecoderPool()
        decoder = pool()
        tagger.score(list(decoder.windows(Clip(self.clip), tagger.parts.request, 120.0)))
        decoder.close()  # to be taken again
        part = self.gate / f".{os.getpid()}"
        part.write_text(repr(time.time()))
        part.rename(self.gate / f"{os.getpid()}.ready")
        while len(list(self.gate.glob("*.ready"))) < self.workers:
            time.sleep(0.002)
        return Worker(tagger, pool)

    def _core(self) -> int:
        """The first that no other worker has taken."""
        for core in sorted(os.sched_getaffinity(0)):
            with suppress(FileExistsError):
                (self.gate / f"{core}.core").touch(exist_ok=False)
                return core
        raise RuntimeError("there are fewer cores than workers; measure with --free")

    def opened(self) -> float:
        """When the last worker was ready."""
        return max(float(path.read_text()) for path in self.gate.glob("*.ready"))


@dataclass(frozen=True)
class Instant:
    """A worker that needs no time for a clip: what is left is the driver's cost."""

    def __call__(self) -> Worker:
        labels = dcase2017().labels
        parts = Parts(
            labels,
            None,
            None,
            load_fusion("paper", labels),
            _closed,
            DecodeRequest(),
            run=RunInfo("0", "cpu", "instant", 0.0),
        )
        return Worker(Tagger(parts), Empty)


class Empty:
    """Opens nothing and shows a hundredth of a second of silence."""

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:  # noqa: ARG002 - a decoder's signature
        yield Media(clip, 0.0, 0.01, Waveform(np.zeros(200, np.float32), 20_000), None)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def _closed(clip: Clip, request: DecodeRequest) -> Iterator[Media]:
    raise AssertionError(f"the runner decodes by its own decoders: {clip}, {request}")


def _bind(core: int) -> None:
    """All threads that are there; those to come inherit it, and so do decoders."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def local(factory: Warm, fingerprint: str) -> Engine:
    return Processes([factory] * factory.workers, PACE, fingerprint, look_seconds=LOOK_SECONDS)


def on_ray(factory: Warm, fingerprint: str) -> Engine:
    return OnRay(factory, PACE, fingerprint, None, factory.workers, dict(RAY))


ENGINES: dict[str, Callable[[Warm, str], Engine]] = {"processes": local, "Ray": on_ray}


def rate(engine: str, workers: int, settings: ScalingSettings, clips: Sequence[Path]) -> float:
    """Clips a second, from the gate to the last record."""
    config = configure(None, {"ear": "starter", "offline": True, "device": "cpu"})
    ended: list[float] = []

    def watch(counts: RunCounts) -> None:
        if not counts.left and not ended:
            ended.append(time.time())

    with tempfile.TemporaryDirectory() as folder:
        gate = Path(folder) / "gate"
        gate.mkdir()
        factory = Warm(config, clips[0], gate, workers, settings.free)
        fingerprint = load(config).parts.run.fingerprint
        order = Order(Path(folder) / "run", (Item(Clip(path)) for path in clips), fingerprint)
        summary = run(order, ENGINES[engine](factory, fingerprint), watch)
        if summary.counts.failed:
            raise RuntimeError(f"clips failed: {summary.failures}")
        return len(clips) / (ended[0] - factory.opened())


def scaling(settings: ScalingSettings) -> None:
    sides = [
        (engine, workers)
        for engine in ENGINES
        if settings.ray or engine != "Ray"
        for workers in (1, 2)
    ]
    found: dict[tuple[str, int], list[float]] = {side: [] for side in sides}
    calm = Calm(settings.patience)
    with tempfile.TemporaryDirectory() as folder:
        clips = _links(
            make_clip(Path(folder) / "clip.mp4", "h264", SIZE, settings.seconds), settings.clips
        )
        for turn in range(settings.rounds):
            for side in sides:
                found[side].append(calm.undisturbed(partial(rate, *side, settings, clips)))
                now = f"{found[side][-1]:.2f} clips/s (others: {calm.seen[-1]:.2f} cores)"
                print(f"round {turn + 1}, {side[0]} x {side[1]}: {now}", flush=True)
    bound = "workers bound to a core each" if not settings.free else "nobody bound to a core"
    print(
        f"{settings.clips} clips of {settings.seconds:g} s, {'x'.join(map(str, SIZE))} h264, {available_cores()} cores, {bound}"
    )
    for engine in dict.fromkeys(name for name, _ in sides):
        one, two = (statistics.median(found[engine, workers]) for workers in (1, 2))
        spread = ", ".join(
            f"{min(found[engine, n]):.2f}-{max(found[engine, n]):.2f}" for n in (1, 2)
        )
        print(
            f"{engine:10s} 1: {one:6.2f}  2: {two:6.2f} clips/s ({spread})  speed-up {two / one:.2f}, efficiency {two / one / 2:.0%}"
        )
    print(
        f"others kept at most {max(calm.seen):.2f} cores busy during a measurement; {calm.again} were disturbed and made again"
    )


@dataclass
class Calm:
    """Other users of the machine, seen before and during each measurement."""

    patience: float  # seconds, in all, that may be spent on waiting and on measuring again
    again: int = 0
    seen: list[float] = field(default_factory=list)

    def undisturbed(self, measure: Callable[[], float]) -> float:
        while True:
            began = time.monotonic()
            if self._others(lambda: time.sleep(2.0))[1] <= CALM_CORES or self.patience <= 0:
                found, others = self._others(measure)
                if others <= CALM_CORES or self.patience <= 0:
                    self.seen.append(others)
                    return found
                self.again += 1
            self.patience -= time.monotonic() - began

    @staticmethod
    def _others(work: Callable[[], T]) -> tuple[T, float]:
        """What the work answers, and how many cores other people's processes used meanwhile."""
        before, began = _others_seconds(), time.monotonic()
        answer = work()
        after, seconds = _others_seconds(), time.monotonic() - began
        return answer, sum(max(0.0, after[p] - before.get(p, 0.0)) for p in after) / seconds


def _others_seconds() -> dict[int, float]:
    """Processor seconds by process, those of children that have ended included; without ours, the system's and the first (Linux).

    Ours are our descendants, and what has lost its parent but is still of our session.
    """
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process], sessions[process] = int(fields[1]), int(fields[3])
            seconds[process] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def chain(process: int) -> Iterator[int]:
        while process:
            yield process
            process = parents.get(process, 0)

    left_out = {
        p
        for p in seconds
        if p == 1 or sessions[p] == os.getsid(0) or {2, os.getpid()} & set(chain(p))
    }
    return {p: s for p, s in seconds.items() if p not in left_out}


def _links(clip: Path, count: int) -> list[Path]:
    """The same content under many names: every worker has the same to do."""
    paths = [clip.with_name(f"{i:04d}{clip.suffix}") for i in range(count)]
    for path in paths:
        path.hardlink_to(clip)
    return paths


def journal(settings: ScalingSettings) -> None:
    """Sizes, then the rate of one driver: of its journal alone, then with actors that need no time."""
    tagged = _one_tagged(settings.seconds)
    plain, detail = (record(_job(0), tagged, 1.0, detail=detail) for detail in (False, True))
    asked, sent = (len(pickle.dumps(one)) for one in ([_job(0)], Answer([plain])))
    print(f"a document: {len(plain.document)} bytes, with --detail {len(detail.document)}")
    print(f"a clip on its way to an actor: {asked} bytes, its answer: {sent}")
    for together in (1, 8, 64):
        _journal_alone(settings, plain.document, together)
    if settings.ray:
        _driver(settings)


def _one_tagged(seconds: float) -> Tagged:
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", "h264", SIZE, seconds)
        return load(ear="starter", offline=True, device="cpu").tag(clip)


def _job(position: int) -> Job:
    return Job(position, Clip(Path(f"/archive/{position % 1000:03d}/{position:08d}.mp4")))


def _journal_alone(settings: ScalingSettings, document: str, together: int) -> None:
    """Claim, record, append to the table: as the driver does it with Ray, so many records an answer."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder)) as book:
        began = time.perf_counter()
        book.plan((Item(_job(i).clip) for i in range(settings.planned)), "bench")
        planned, empty = time.perf_counter() - began, book.path.stat().st_size
        table, done = ResultsTable(book), 0
        wall, processor = time.perf_counter(), time.process_time()
        while done < min(settings.records, settings.planned):
            jobs = book.claim("bench", together)
            book.record([Record(job.position, DONE, "", "ok", "ok", 1.0, document) for job in jobs])
            table.catch_up()
            done += len(jobs)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        size, began = (book.path.stat().st_size - empty) / done, time.perf_counter()
        table.write()
        written = done / (time.perf_counter() - began)
        print(
            f"journal, {together:2d} records together: {done / wall:6.0f} records/s, {1e6 * processor / done:.0f} us of processor each; "
            f"{size:.0f} bytes each; plan of {settings.planned}: {settings.planned / planned:.0f} items/s; table: {written:.0f} lines/s"
        )


def _driver(settings: ScalingSettings) -> None:
    """What a record costs the driver's process, Ray's own threads in it included, when actors need no time."""
    marks: list[tuple[int, float, float]] = []

    def watch(counts: RunCounts) -> None:
        if counts.done:
            marks.append((counts.done, time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory() as folder:
        items = (Item(_job(i).clip) for i in range(settings.records))
        run(
            Order(Path(folder), items, "instant"),
            OnRay(Instant(), PACE, "instant", None, 2, dict(RAY)),
            watch,
        )
    (n0, wall0, own0), (n1, wall1, own1) = marks[0], marks[-1]
    each = 1e6 * (own1 - own0) / (n1 - n0)
    print(
        f"driver with 2 Ray actors that need no time: {(n1 - n0) / (wall1 - wall0):.0f} records/s here, "
        f"{each:.0f} us of its processor each, so at most {1e6 / each:.0f} records/s; {(n1 - n0) / (len(marks) - 1):.1f} records a turn"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=ScalingSettings.clips)
    parser.add_argument("--seconds", type=float, default=ScalingSettings.seconds)
    parser.add_argument("--rounds", type=int, default=ScalingSettings.rounds)
    parser.add_argument("--free", action="store_true", help="bind no worker to a core")
    parser.add_argument("--no-ray", action="store_false", dest="ray")
    parser.add_argument(
        "--patience",
        type=float,
        default=ScalingSettings.patience,
        help="seconds for waiting until the machine is calm",
    )
    parser.add_argument("--journal", action="store_true", help="the journal and the driver instead")
    parser.add_argument(
        "--records", type=int, default=ScalingSettings.records, help="recorded with --journal"
    )
    parser.add_argument(
        "--planned",
        type=int,
        default=ScalingSettings.planned,
        help="items in the plan with --journal",
    )
    settings = ScalingSettings(**vars(parser.parse_args()))
    (journal if settings.journal else scaling)(settings)


if __name__ == "__main__":
    main()
