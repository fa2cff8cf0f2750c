"""Speed of the whole pipeline against a plain implementation, and of each stage by itself.

    python -m av_tagger.bench.pipeline [--clips 4] [--rounds 2] [--fast]
        [--kinds h264:640x360,mpeg4:640x360]

All weights are random: this measures speed alone, on clips made here. The naive side and the runner
take turns (A B A B) on the same clips, each with all cores this process may use; medians are
printed. Wall time is meaningful on an idle machine; CPU time is hardly affected by other programs.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from av_tagger.bench.clips import ENCODERS, make_clip
from av_tagger.bench.measure import Work, cpu_seconds, parser, peak_mebibytes, run_main
from av_tagger.bench.naive import KEYFRAMES, Naive, build, import_librosa
from av_tagger.bench.pipeline_report import (
    PassCost,
    figures,
    report,
    report_parts,
    report_profile,
)
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.bench.random_networks import random_ear, random_eye
from av_tagger.clip import Clip
from av_tagger.config import FAST_FRAME_RATE
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.media import DecoderPool, open_media
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import CPU_BATCH as CPU_WINDOWS
from av_tagger.runner.concurrency import Concurrency, describe, for_machine
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.profile import Profile
from av_tagger.runner.profile_plot import draw
from av_tagger.runner.run import RunRequest, run
from av_tagger.runner.worker import Worker
from av_tagger.scores import RunInfo
from av_tagger.systems import available_cores
from av_tagger.tagger import Parts, Tagger
from av_tagger.video.branch import SparseEye
from av_tagger.video.features import CPU_BATCH, GPU_BATCH, Compute
from av_tagger.video.precision import choose

T = TypeVar("T")

LIMIT_SECONDS = 120.0  # per window


@dataclass(frozen=True)
class RunnerSide:
    """What the runner needs."""

    tagger: Tagger
    pool: DecoderPool
    concurrency: Concurrency

    @property
    def request(self) -> DecodeRequest:
        return self.tagger.parts.request


@dataclass(frozen=True)
class Sides(RunnerSide):
    """The runner, and the plain implementation."""

    naive: Naive


def make_clips(folder: Path, settings: PipelineSettings) -> list[Path]:
    """Clips of all kinds in turn."""
    kinds = [_kind(text) for text in settings.kinds.split(",")]
    made = []
    for i in range(settings.clips):
        codec, size = kinds[i % len(kinds)]
        made.append(make_clip(folder / f"{i}.{codec}.mp4", codec, size, settings.seconds))
    return made


def _kind(text: str) -> tuple[str, tuple[int, int]]:
    """Codec and size of `h264:640x360`."""
    codec, _, size = text.partition(":")
    width, _, height = size.partition("x")
    if codec not in ENCODERS:
        raise UsageError(f"--kinds: there is no codec {codec!r}; {did_you_mean(codec, ENCODERS)}")
    if not (width.isdigit() and height.isdigit()):
        raise UsageError(f"--kinds: {text!r} has no size; write codec:WIDTHxHEIGHT")
    return codec, (int(width), int(height))


def make_tagger(settings: PipelineSettings) -> Tagger:
    """The real pipeline with random weights."""
    device = torch.device(settings.device)
    batch = CPU_BATCH if device.type == "cpu" else GPU_BATCH
    how = Compute(batch, device, choose("auto", device), settings.int8)
    eye, ear = random_eye(how, settings.recogniser), random_ear(settings.device)
    labels = dcase2017().labels
    request = DecodeRequest(
        audio_rate=ear.rate,
        short_side=eye.short_side,
        frame_rate=FAST_FRAME_RATE if settings.fast else None,
        skip_nonref=settings.fast,
    )
    info = RunInfo("bench", settings.device, "bench", 0.0)
    fusion = load_fusion("paper", labels)
    return Tagger(Parts(labels, ear, eye, fusion, open_media, request, run=info))


def by_runner(sides: RunnerSide, clips: Sequence[Path]) -> Profile:
    """A complete run, journal and table included."""
    worker = Worker(sides.tagger, sides.pool.decoder)
    with tempfile.TemporaryDirectory() as folder:
        items = (Item(Clip(path)) for path in clips)
        order = RunRequest(Path(folder) / "run", items, "bench")
        summary = run(order, InProcessEngine(worker, sides.concurrency))
    if summary.counts.failed:
        raise RuntimeError(f"the runner failed: {summary.failures}")
    return summary.profile


def by_naive(sides: Sides, clips: Sequence[Path]) -> None:
    """Always all frames: with `--fast` the smaller number of frames is part of the comparison."""
    for path in clips:
        sides.naive.tag(path)


def decode_only(sides: RunnerSide, clips: Sequence[Path]) -> None:
    """Decode for ear and eye with as many decoders as the runner has."""

    def one(path: Path) -> None:
        decoder = sides.pool.decoder()
        for _ in decoder.windows(Clip(path), sides.request, LIMIT_SECONDS):
            pass
        decoder.close()

    with ThreadPoolExecutor(sides.concurrency.decoders) as executor:
        list(executor.map(one, clips))


def timed(work: Work, pool: DecoderPool) -> PassCost:
    """Wall and CPU seconds, those of the decoders included."""
    wall, cpu = time.perf_counter(), time.process_time() + cpu_seconds(pool.pids())
    work()
    cpu = time.process_time() + cpu_seconds(pool.pids()) - cpu
    return PassCost(time.perf_counter() - wall, cpu)


def measure(settings: PipelineSettings, clips: Sequence[Path]) -> None:
    """Warm up, measure in turn, print."""
    torch.manual_seed(0)
    pool = DecoderPool(keep=64)
    concurrency = for_machine(Concurrency(decoders=settings.decoders), settings.device)
    sides = Sides(make_tagger(settings), pool, concurrency, build(settings.recogniser))
    print(describe(concurrency, settings.device))
    try:
        decode_only(sides, clips)  # fills the page cache and starts the decoders
        by_runner(sides, clips)
        sides.naive.tag(clips[0], fast=True)
        parts = parts_alone(sides, clips) if settings.device == "cpu" else {}
        found, profile = _in_turn(settings, clips, sides, parts)
        report(found, settings.clips, settings.seconds)
        if parts:
            report_parts(found, settings)
        report_profile(profile)
        if settings.picture is not None:
            draw(profile, settings.picture)
        here, decoder = peak_mebibytes(), peak_mebibytes(pool.pids())
        print(f"peak memory: {here:.0f} MiB here, {decoder:.0f} MiB in the largest decoder")
        if settings.json:
            print(json.dumps(figures(found, settings)))
    finally:
        pool.close()


def _in_turn(
    settings: PipelineSettings, clips: Sequence[Path], sides: Sides, parts: dict[str, Work]
) -> tuple[dict[str, PassCost], Profile]:
    """A B A B: each side once per round; medians of all rounds and the runner's last profile."""
    profiles: list[Profile] = []
    works: dict[str, tuple[Work, int]] = {
        "naive": (lambda: by_naive(sides, clips), settings.threads or available_cores()),
        "runner": (lambda: profiles.append(by_runner(sides, clips)), sides.concurrency.threads),
        "decode only": (lambda: decode_only(sides, clips), 1),
        **{name: (part, 1) for name, part in parts.items()},
    }
    costs: dict[str, list[PassCost]] = {name: [] for name in works}
    for _ in range(settings.rounds):
        for name, (work, threads) in works.items():
            torch.set_num_threads(threads)
            costs[name].append(timed(work, sides.pool))
    return {name: _median(found) for name, found in costs.items()}, profiles[-1]


def _median(costs: Sequence[PassCost]) -> PassCost:
    walls, cpus = zip(*((c.wall, c.cpu) for c in costs), strict=True)
    return PassCost(statistics.median(walls), statistics.median(cpus))


def parts_alone(sides: Sides, clips: Sequence[Path]) -> dict[str, Work]:
    """Each part of the work by itself, on decoded windows in batches as the runner has them."""
    eye, ear = sides.tagger.parts.eye, sides.tagger.parts.ear
    assert isinstance(eye, SparseEye)
    assert ear is not None
    decoder = sides.pool.decoder()
    opened = (decoder.windows(Clip(path), sides.request, LIMIT_SECONDS) for path in clips)
    windows = list(itertools.chain.from_iterable(opened))
    decoder.close()
    films = _batches([w.frames for w in windows if w.frames is not None])
    sounds = _batches([w.waveform for w in windows if w.waveform is not None])
    features, selector, recogniser = eye.parts.features, eye.parts.selector, eye.parts.recogniser
    assert recogniser is not None
    described = [features.describe(batch) for batch in films]
    pictures = [
        [p for film in batch for p in film.rgb(np.arange(min(KEYFRAMES, len(film))))]
        for batch in films
    ]
    return {
        "features": lambda: [features.describe(batch) for batch in films],
        "key frames": lambda: [selector.select(group, KEYFRAMES) for group in described],
        "recognise": lambda: [recogniser.recognise(batch) for batch in pictures],
        "hear": lambda: [ear.hear(batch) for batch in sounds],
    }


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[i : i + CPU_WINDOWS] for i in range(0, len(items), CPU_WINDOWS)]


def bench(settings: PipelineSettings) -> None:
    """Make the clips and measure; a missing library is reported before anything is computed."""
    import_librosa()
    print("random weights: this measures speed alone")
    with tempfile.TemporaryDirectory() as folder:
        measure(settings, make_clips(Path(folder), settings))


def main(words: Sequence[str] | None = None) -> None:
    default = PipelineSettings()
    options = parser(__doc__)
    options.add_argument("--clips", type=int, default=default.clips)
    options.add_argument("--rounds", type=int, default=default.rounds)
    options.add_argument("--seconds", type=float, default=default.seconds, help="per clip")
    options.add_argument("--kinds", default=default.kinds)
    options.add_argument("--fast", action="store_true")
    options.add_argument("--device", default=default.device)
    options.add_argument("--decoders", type=int, default=default.decoders)
    options.add_argument("--threads", type=int, default=0, help="naive side; 0: all cores")
    options.add_argument("--picture", type=Path, help="draw the profile of the last run")
    options.add_argument("--recogniser", default=default.recogniser, help="a network of timm")
    options.add_argument("--matrix", type=int, default=default.matrix)
    options.add_argument("--json", action="store_true", help="one object as the last line")
    bench(PipelineSettings(**vars(options.parse_args(words))))


if __name__ == "__main__":
    run_main(main)
