"""Speed of one worker against two, in processes and with Ray.

    python -m av_tagger.bench.scaling [--clips 60] [--seconds 10] [--rounds 3] [--patience 0]
        [--free] [--no-ray]
    python -m av_tagger.bench.scaling --journal [--records 20000] [--planned 20000] [--no-ray]

Each worker has one core: its process and its decoder are bound to it, with one thread each
(`--free` binds none). It decodes clips made here and hears them with the starter ear; without
weights of the eye, key frames come from thumbnails. Start-up is left out by a gate: every worker
loads its networks, tags one clip, keeps that decoder, and waits for the others. Time runs from the
moment when the last worker is ready to the last record in the journal, so a worker that idles while
the other finishes its last clip counts. The sides take turns (A B A B); medians are printed with
the number of cores that other programs used meanwhile. With `--patience SECONDS` measurements wait
for an idle machine and are repeated when they were disturbed. `--journal` measures the journal.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from av_tagger.bench.calm import Calm
from av_tagger.bench.clips import make_clip
from av_tagger.bench.journal import JournalSettings, measure_journal
from av_tagger.bench.measure import parser, run_main
from av_tagger.clip import Clip
from av_tagger.config import Config, configure
from av_tagger.media import DecoderPool
from av_tagger.plan import load, make_plan
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.journal import RunCounts
from av_tagger.runner.on_ray import RayEngine
from av_tagger.runner.processes import ProcessEngine
from av_tagger.runner.run import Engine, RunRequest, run
from av_tagger.runner.worker import Worker
from av_tagger.systems import available_cores

SIZE = (640, 360)
CONCURRENCY = Concurrency(decoders=1, inference_threads=1, threads=1)
LOOK_SECONDS = 0.02  # how often the driver looks for the end
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
    size: tuple[int, int] = SIZE


@dataclass(frozen=True)
class GatedFactory:
    """Makes a worker that is loaded and warmed up, on its own core, once all others are, too."""

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
        decoder = pool.decoder()
        tagger.score(list(decoder.windows(Clip(self.clip), tagger.parts.request, 120.0)))
        decoder.close()  # back to the pool: the first clip finds it running
        self._wait()
        return Worker(tagger, pool.decoder)

    def _wait(self) -> None:
        """Report this worker as ready and wait for the others."""
        part = self.gate / f".{os.getpid()}"
        part.write_text(repr(time.time()))
        part.rename(self.gate / f"{os.getpid()}.ready")
        while len(list(self.gate.glob("*.ready"))) < self.workers:
            time.sleep(0.002)

    def _core(self) -> int:
        """The first core that no other worker has taken."""
        for core in sorted(os.sched_getaffinity(0)):
            with suppress(FileExistsError):
                (self.gate / f"{core}.core").touch(exist_ok=False)
                return core
        raise RuntimeError("there are fewer cores than workers; measure with --free")

    def opened(self) -> float:
        """When the last worker was ready."""
        return max(float(path.read_text()) for path in self.gate.glob("*.ready"))


def _bind(core: int) -> None:
    """Bind all running threads; later threads and decoders inherit the binding."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def local(factory: GatedFactory, fingerprint: str) -> Engine:
    factories = [factory] * factory.workers
    return ProcessEngine(factories, CONCURRENCY, fingerprint, poll_seconds=LOOK_SECONDS)


def on_ray(factory: GatedFactory, fingerprint: str) -> Engine:
    return RayEngine(factory, CONCURRENCY, fingerprint, None, factory.workers, dict(RAY))


ENGINES: dict[str, Callable[[GatedFactory, str], Engine]] = {"processes": local, "Ray": on_ray}


def rate(engine: str, workers: int, settings: ScalingSettings, clips: Sequence[Path]) -> float:
    """Clips per second, from the gate to the last record."""
    config = configure(None, {"ear": "starter", "offline": True, "device": "cpu"})
    ended: list[float] = []

    def watch(counts: RunCounts) -> None:
        if not counts.left and not ended:
            ended.append(time.time())

    with tempfile.TemporaryDirectory() as folder:
        gate = Path(folder) / "gate"
        gate.mkdir()
        factory = GatedFactory(config, clips[0], gate, workers, settings.free)
        fingerprint = make_plan(config).fingerprint
        order = RunRequest(Path(folder) / "run", (Item(Clip(path)) for path in clips), fingerprint)
        summary = run(order, ENGINES[engine](factory, fingerprint), watch)
        if summary.counts.failed:
            raise RuntimeError(f"clips failed: {summary.failures}")
        return len(clips) / (ended[0] - factory.opened())


def scaling(settings: ScalingSettings) -> None:
    """Measure all engines with one and two workers in turn, and print."""
    engines = [engine for engine in ENGINES if settings.ray or engine != "Ray"]
    sides = [(engine, workers) for engine in engines for workers in (1, 2)]
    found: dict[tuple[str, int], list[float]] = {side: [] for side in sides}
    calm = Calm(settings.patience)
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", "h264", settings.size, settings.seconds)
        clips = links(clip, settings.clips)
        for turn in range(settings.rounds):
            for side in sides:
                found[side].append(calm.undisturbed(partial(rate, *side, settings, clips)))
                now = f"{found[side][-1]:.2f} clips/s (others: {calm.seen[-1]:.2f} cores)"
                print(f"round {turn + 1}, {side[0]} x {side[1]}: {now}", flush=True)
    _report(settings, found, calm)


def _report(
    settings: ScalingSettings, found: dict[tuple[str, int], list[float]], calm: Calm
) -> None:
    bound = "workers not bound to cores" if settings.free else "each worker bound to a core"
    size = "x".join(map(str, settings.size))
    print(
        f"{settings.clips} clips of {settings.seconds:g} s, {size} h264, "
        f"{available_cores()} cores, {bound}"
    )
    for engine in dict.fromkeys(name for name, _ in found):
        one, two = (statistics.median(found[engine, workers]) for workers in (1, 2))
        ranges = [f"{min(found[engine, n]):.2f}-{max(found[engine, n]):.2f}" for n in (1, 2)]
        print(
            f"{engine:10s} 1: {one:6.2f}  2: {two:6.2f} clips/s ({', '.join(ranges)})  "
            f"speed-up {two / one:.2f}, efficiency {two / one / 2:.0%}"
        )
    print(
        f"other programs used at most {max(calm.seen):.2f} cores during a measurement; "
        f"{calm.again} measurements were disturbed and repeated"
    )


def links(clip: Path, count: int) -> list[Path]:
    """Hard links to one clip, so that all workers have the same to do."""
    paths = [clip.with_name(f"{i:04d}{clip.suffix}") for i in range(count)]
    for path in paths:
        path.hardlink_to(clip)
    return paths


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main(words: Sequence[str] | None = None) -> None:
    default, journal = ScalingSettings(), JournalSettings()
    options = parser(__doc__)
    options.add_argument("--clips", type=int, default=default.clips)
    options.add_argument("--seconds", type=float, default=default.seconds, help="per clip")
    options.add_argument("--size", type=_size, default=SIZE, help="WIDTHxHEIGHT")
    options.add_argument("--rounds", type=int, default=default.rounds)
    options.add_argument("--free", action="store_true", help="do not bind workers to cores")
    options.add_argument("--no-ray", action="store_false", dest="ray")
    options.add_argument("--patience", type=float, default=0.0, help="seconds to wait for idleness")
    options.add_argument("--journal", action="store_true", help="measure the journal instead")
    options.add_argument("--records", type=int, default=journal.records, help="with --journal")
    options.add_argument("--planned", type=int, default=journal.planned, help="with --journal")
    chosen = vars(options.parse_args(words))
    records, planned = chosen.pop("records"), chosen.pop("planned")
    if chosen.pop("journal"):
        measure_journal(JournalSettings(records, planned, chosen["seconds"], chosen["ray"]))
    else:
        scaling(ScalingSettings(**chosen))


if __name__ == "__main__":
    run_main(main)
