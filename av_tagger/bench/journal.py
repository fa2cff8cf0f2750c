"""Cost of the journal of a large run: sizes, records per second, and the driver of Ray actors."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_tagger.bench.clips import make_clip
from av_tagger.clip import Clip, Media, Waveform
from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.plan import load
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import DONE, Item, Job, Record, record
from av_tagger.runner.journal import Journal, RunCounts
from av_tagger.runner.on_ray import RayEngine
from av_tagger.runner.ray_worker import Answer
from av_tagger.runner.run import RunRequest, run
from av_tagger.runner.table import ResultsTable
from av_tagger.runner.worker import Worker
from av_tagger.scores import RunInfo, Tagged
from av_tagger.tagger import Parts, Tagger

SIZE = (640, 360)
CONCURRENCY = Concurrency(decoders=1, inference_threads=1, threads=1)
RAY = {"num_cpus": 2, "object_store_memory": 200 << 20}
GROUPS = (1, 8, 64)  # records per transaction


@dataclass(frozen=True)
class JournalSettings:
    """What is measured."""

    records: int = 20_000
    planned: int = 20_000
    seconds: float = 10.0  # of the clip whose document is recorded
    ray: bool = True


@dataclass(frozen=True)
class InstantFactory:
    """Makes a worker that needs no time per clip, so that the cost of the driver remains."""

    def __call__(self) -> Worker:
        labels = dcase2017().labels
        info = RunInfo("0", "cpu", "instant", 0.0)
        fusion = load_fusion("paper", labels)
        parts = Parts(labels, None, None, fusion, _closed, DecodeRequest(), run=info)
        return Worker(Tagger(parts), SilentDecoder)


class SilentDecoder:
    """Opens no file and returns ten milliseconds of silence."""

    in_process = True

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:  # noqa: ARG002 - as the protocol has it
        yield Media(clip, 0.0, 0.01, Waveform(np.zeros(200, np.float32), 20_000), None)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def _closed(clip: Clip, request: DecodeRequest) -> Iterator[Media]:
    raise AssertionError(f"the runner decodes with its own decoders: {clip}, {request}")


def measure_journal(settings: JournalSettings) -> None:
    """Print sizes, the rate of the journal alone, and the rate of a driver with instant actors."""
    tagged = _one_tagged(settings.seconds)
    plain, detail = (record(_job(0), tagged, 1.0, detail=detail) for detail in (False, True))
    asked, sent = (len(pickle.dumps(one)) for one in ([_job(0)], Answer([plain])))
    print(f"a document: {len(plain.document)} bytes, with --detail {len(detail.document)}")
    print(f"one clip sent to an actor: {asked} bytes, its answer: {sent}")
    for together in GROUPS:
        _journal_alone(settings, plain.document, together)
    if settings.ray:
        _driver(settings)


def _one_tagged(seconds: float) -> Tagged:
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", "h264", SIZE, seconds)
        return load(ear="starter", offline=True, device="cpu").tag(clip)


def _job(position: int) -> Job:
    return Job(position, Clip(Path(f"/archive/{position % 1000:03d}/{position:08d}.mp4")))


def _journal_alone(settings: JournalSettings, document: str, together: int) -> None:
    """Claim, record and append to the table as Ray's driver does, `together` per transaction."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder)) as book:
        began = time.perf_counter()
        book.plan((Item(_job(i).clip) for i in range(settings.planned)), "bench")
        planned, empty = time.perf_counter() - began, book.path.stat().st_size
        table, done = ResultsTable(book), 0
        wall, cpu = time.perf_counter(), time.process_time()
        while done < min(settings.records, settings.planned):
            jobs = book.claim("bench", together)
            book.record([Record(job.position, DONE, "", "ok", "ok", 1.0, document) for job in jobs])
            table.catch_up()
            done += len(jobs)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size, began = (book.path.stat().st_size - empty) / done, time.perf_counter()
        table.write()
        written = done / (time.perf_counter() - began)
        print(
            f"journal, {together:2d} records per transaction: {done / wall:6.0f} records/s, "
            f"{1e6 * cpu / done:.0f} us of CPU each; {size:.0f} bytes each; plan of "
            f"{settings.planned}: {settings.planned / planned:.0f} items/s; "
            f"table: {written:.0f} lines/s"
        )


def _driver(settings: JournalSettings) -> None:
    """CPU time of the driver per record, Ray's own threads included, with instant actors."""
    marks: list[tuple[int, float, float]] = []

    def watch(counts: RunCounts) -> None:
        if counts.done:
            marks.append((counts.done, time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory() as folder:
        items = (Item(_job(i).clip) for i in range(settings.records))
        engine = RayEngine(InstantFactory(), CONCURRENCY, "instant", None, 2, dict(RAY))
        run(RunRequest(Path(folder), items, "instant"), engine, watch)
    (n0, wall0, cpu0), (n1, wall1, cpu1) = marks[0], marks[-1]
    each = 1e6 * (cpu1 - cpu0) / (n1 - n0)
    print(
        f"driver with 2 instant Ray actors: {(n1 - n0) / (wall1 - wall0):.0f} records/s here, "
        f"{each:.0f} us of its CPU each, so at most {1e6 / each:.0f} records/s; "
        f"{(n1 - n0) / (len(marks) - 1):.1f} records per turn"
    )
