"""The whole pipeline against the paper's steps done one by one, on clips made here; and how far each stage is from its own limit.

    python -m av_tagger.bench.pipeline [--clips 4] [--rounds 2] [--fast] [--kinds h264:640x360,mpeg4:640x360]

All weights are drawn at random: this measures speed alone, and says nothing of what is recognised. Naive and runner take turns
(A B A B) over the same clips in one run, each with all the cores that the process may use; medians are printed. Wall time counts when
the machine is idle; processor time, printed beside it, is hardly disturbed by neighbours.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from av_tagger.audio.branch import MilEar
from av_tagger.audio.checkpoint import Header
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.bench.decoder_pool import DecoderPool
from av_tagger.bench.eye import ALEXNET_FLOP, film, matmul_rate, ours
from av_tagger.bench.naive import Naive, build
from av_tagger.clip import Clip
from av_tagger.config import FAST_FRAME_RATE
from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.media import open_media
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import CPU_BATCH as CPU_WINDOWS
from av_tagger.runner.concurrency import Concurrency, available_cores, in_words, suited
from av_tagger.runner.job import Item
from av_tagger.runner.local import Here
from av_tagger.runner.picture import draw
from av_tagger.runner.profiler import WAITING, Profile, title
from av_tagger.runner.run import Order, run
from av_tagger.runner.worker import Worker
from av_tagger.scores import RunInfo
from av_tagger.tagger import Parts, Tagger
from av_tagger.video.branch import SparseEye
from av_tagger.video.features import CPU_BATCH, GPU_BATCH, Compute
from av_tagger.video.precision import choose, has_int8
from av_tagger.video.quantised import works
from av_tagger.video.recognise import build_classifier

INCEPTION_FLOP = 98e9 / 4  # a picture
ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "mpeg4": "mpeg4"}
OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "23"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
FPS, KEYFRAMES = 24, 4


@dataclass(frozen=True)
class PipelineSettings:
    """What is measured."""

    clips: int = 4
    rounds: int = 2
    seconds: float = 10.0
    kinds: str = "h264:640x360"
    fast: bool = False
    device: str = "cpu"
    decoders: int = 0
    threads: int = 0  # of the naive side; 0: all cores
    picture: Path | None = None  # of the last run's profile


@dataclass(frozen=True)
class PassCost:
    """What one pass over the clips took."""

    wall: float
    cpu: float


def make_clip(path: Path, codec: str, size: tuple[int, int], seconds: float) -> Path:
    """A few scenes with slow motion and noise, and a tone in noise beneath."""
    width, height = size
    count = round(seconds * FPS)
    images = film(count, height, width).images
    sound = (
        (0.2 * np.random.default_rng(0).standard_normal((1, round(seconds * 44_100))))
        .clip(-1, 1)
        .astype(np.float32)
    )
    with av.open(str(path), "w") as out:
        encoder = ENCODERS[codec]
        video: Any = out.add_stream(encoder, rate=Fraction(FPS), options=OPTIONS.get(encoder, {}))
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio: Any = out.add_stream("aac", rate=44_100, layout="mono")
        for image in images:
            out.mux(
                video.encode(
                    av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                )
            )
        out.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        out.mux([*audio.encode(frame), *audio.encode(None)])
    return path


def make_clips(folder: Path, settings: PipelineSettings) -> list[Path]:
    kinds = [kind.partition(":")[::2] for kind in settings.kinds.split(",")]
    made = []
    for i in range(settings.clips):
        codec, size = kinds[i % len(kinds)]
        width, height = map(int, size.split("x"))
        suffix = "webm" if codec == "vp9" else "mp4"
        made.append(
            make_clip(folder / f"{i}.{codec}.{suffix}", codec, (width, height), settings.seconds)
        )
    return made


def make_tagger(settings: PipelineSettings) -> Tagger:
    """The real pipeline with random weights."""
    device = torch.device(settings.device)
    whole = settings.fast and has_int8(device) and works()
    batch = CPU_BATCH if device.type == "cpu" else GPU_BATCH
    eye = ours(
        build_classifier("inception_v4"), Compute(batch, device, choose("auto", device), whole)
    )
    labels = dcase2017().labels
    architecture = EarArchitecture(17, margin=5)
    ear = MilEar(
        build_network(architecture), Header("random", architecture, labels), settings.device
    )
    rate = FAST_FRAME_RATE if settings.fast else None
    request = DecodeRequest(
        audio_rate=ear.rate, short_side=eye.short_side, frame_rate=rate, skip_nonref=settings.fast
    )
    parts = Parts(
        labels,
        ear,
        eye,
        load_fusion("paper", labels),
        open_media,
        request,
        run=RunInfo("bench", settings.device, "bench", 0.0),
    )
    return Tagger(parts)


def by_runner(
    tagger: Tagger, pool: DecoderPool, clips: Sequence[Path], concurrency: Concurrency
) -> Profile:
    """With its journal, its table and everything."""
    with tempfile.TemporaryDirectory() as folder:
        items = (Item(Clip(path)) for path in clips)
        summary = run(
            Order(Path(folder) / "run", items, "bench"), Here(Worker(tagger, pool), concurrency)
        )
    if summary.counts.failed:
        raise RuntimeError(f"the runner failed: {summary.failures}")
    return summary.profile


def by_naive(naive: Naive, clips: Sequence[Path]) -> None:
    """All frames, also when the runner takes fewer: what `--fast` saves is a part of what is measured."""
    for path in clips:
        naive.tag(path)


def decode_only(
    pool: DecoderPool, clips: Sequence[Path], request: DecodeRequest, workers: int
) -> None:
    def one(path: Path) -> None:
        decoder = pool()
        for _ in decoder.windows(Clip(path), request, 120.0):
            pass
        decoder.close()

    with ThreadPoolExecutor(workers) as executor:
        list(executor.map(one, clips))


def timed(work: Callable[[], object], pool: DecoderPool) -> PassCost:
    wall, cpu = time.perf_counter(), time.process_time() + pool.cpu()
    work()
    return PassCost(time.perf_counter() - wall, time.process_time() + pool.cpu() - cpu)


def median(costs: Sequence[PassCost]) -> PassCost:
    return PassCost(
        statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs)
    )


def measure(settings: PipelineSettings, clips: Sequence[Path]) -> None:
    torch.manual_seed(0)
    naive, tagger, pool = build(), make_tagger(settings), DecoderPool()
    concurrency = suited(Concurrency(decoders=settings.decoders), settings.device)
    print(in_words(concurrency, settings.device))
    try:
        decode_only(
            pool, clips, tagger.parts.request, concurrency.decoders
        )  # warms up the page cache and the decoders
        by_runner(
            tagger, pool, clips, concurrency
        )  # and fills the memory that later clips use again
        naive.tag(clips[0], fast=True)
        parts = parts_alone(tagger, pool, clips) if settings.device == "cpu" else {}
        found, profile = _in_turn(settings, clips, (naive, tagger, pool, concurrency, parts))
        _report(settings, found)
        if parts:
            _report_parts(settings, found)
        _show(profile)
        if settings.picture is not None:
            draw(profile, settings.picture)
        print(
            f"peak memory: {_self_peak_kib() / 1024:.0f} MiB here, {pool.peak_kib() / 1024:.0f} MiB in the largest decoder"
        )
    finally:
        pool.close()


def _in_turn(
    settings: PipelineSettings, clips: Sequence[Path], things: Any
) -> tuple[dict[str, PassCost], Profile]:
    """A B A B: everything once a round, medians of all rounds."""
    naive, tagger, pool, concurrency, parts = things
    sides: dict[str, list[PassCost]] = {}
    profiles: list[Profile] = []

    def time_it(name: str, work: Callable[[], object], threads: int) -> None:
        torch.set_num_threads(threads)
        sides.setdefault(name, []).append(timed(work, pool))

    for _ in range(settings.rounds):
        time_it("naive", lambda: by_naive(naive, clips), settings.threads or available_cores())
        time_it(
            "runner",
            lambda: profiles.append(by_runner(tagger, pool, clips, concurrency)),
            concurrency.threads,
        )
        time_it(
            "decode only",
            lambda: decode_only(pool, clips, tagger.parts.request, concurrency.decoders),
            1,
        )
        for name, part in parts.items():
            time_it(name, part, 1)
    return {name: median(costs) for name, costs in sides.items()}, profiles[-1]


def parts_alone(
    tagger: Tagger, pool: DecoderPool, clips: Sequence[Path]
) -> dict[str, Callable[[], object]]:
    """Each part of the work by itself, on windows that are there already, a pair at a time as the runner has them."""
    eye, ear = tagger.parts.eye, tagger.parts.ear
    assert isinstance(eye, SparseEye)
    assert ear is not None
    decoder = pool()
    windows = [
        w for path in clips for w in decoder.windows(Clip(path), tagger.parts.request, 120.0)
    ]
    decoder.close()
    films = [w.frames for w in windows if w.frames is not None]
    sounds = [w.waveform for w in windows if w.waveform is not None]
    features, recogniser = eye.parts.features, eye.parts.recogniser
    assert recogniser is not None
    compute = [
        features.describe(films[i : i + CPU_WINDOWS]) for i in range(0, len(films), CPU_WINDOWS)
    ]
    pictures = [film.rgb(np.arange(KEYFRAMES)) for film in films]
    return {
        "features": lambda: [
            features.describe(films[i : i + CPU_WINDOWS]) for i in range(0, len(films), CPU_WINDOWS)
        ],
        "key frames": lambda: [eye.parts.selector.select(group, KEYFRAMES) for group in compute],
        "recognise": lambda: [
            recogniser.recognise([*itertools.chain(*pictures[i : i + CPU_WINDOWS])])
            for i in range(0, len(pictures), CPU_WINDOWS)
        ],
        "hear": lambda: [
            ear.hear(sounds[i : i + CPU_WINDOWS]) for i in range(0, len(sounds), CPU_WINDOWS)
        ],
    }


def _report(settings: PipelineSettings, found: dict[str, PassCost]) -> None:
    clips, naive, ours_, decoding = (
        settings.clips,
        found["naive"],
        found["runner"],
        found["decode only"],
    )
    print(f"{'':12s} {'clips/s':>8s} {'x real time':>12s} {'wall s/clip':>12s} {'CPU s/clip':>11s}")
    for name in ("naive", "runner", "decode only"):
        cost = found[name]
        real = settings.seconds * clips / cost.wall
        print(
            f"{name:12s} {clips / cost.wall:8.2f} {real:12.1f} {cost.wall / clips:12.2f} {cost.cpu / clips:11.2f}"
        )
    print(
        f"runner against naive: {naive.wall / ours_.wall:.2f} x by wall, {naive.cpu / ours_.cpu:.2f} x by processor time"
    )
    print(f"runner against decode only: {decoding.wall / ours_.wall:.0%} of its rate")


def _report_parts(settings: PipelineSettings, found: dict[str, PassCost]) -> None:
    """What the runner adds to its parts, and how far the parts are from what the machine could do."""
    kind = choose("auto", torch.device("cpu"))
    whole = settings.fast and has_int8(torch.device("cpu")) and works()
    frames = settings.seconds * (FAST_FRAME_RATE if settings.fast else FPS)
    torch.set_num_threads(1)
    limits = {
        "features": frames * ALEXNET_FLOP / matmul_rate(torch.int8 if whole else kind),
        "recognise": KEYFRAMES * INCEPTION_FLOP / matmul_rate(kind),
    }
    alone = {
        name: found[name].cpu / settings.clips
        for name in ("decode only", "features", "key frames", "recognise", "hear")
    }
    print(
        f"{'CPU s/clip':12s} {'alone':>8s} {'limit':>8s}  (of networks: their multiplications at the rate of a large matrix product)"
    )
    for name, seconds in alone.items():
        limit = f"{limits[name]:8.3f}  {limits[name] / seconds:.0%}" if name in limits else ""
        print(f"{name:12s} {seconds:8.3f} {limit}")
    ours_ = found["runner"].cpu / settings.clips
    floor = alone["decode only"] + sum(limits.values())
    print(f"{'sum':12s} {sum(alone.values()):8.3f} {floor:8.3f}")
    print(
        f"the runner takes {ours_:.3f}: {sum(alone.values()) / ours_:.0%} of its parts' speed, {floor / ours_:.0%} of the limits'"
    )


def _show(profile: Profile) -> None:
    for row in profile.rows():
        share = f"{row.share:6.1%} of the work" if row.stage not in WAITING else " " * 18
        print(
            f"  {title(row.stage):26s} {row.seconds:7.2f} s {share}, its {row.threads} thread(s) busy {row.busy:4.0%}"
        )
    print(f"  all but decoding and networks: {profile.overhead:.1%} of the work")


def _self_peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bench(settings: PipelineSettings) -> None:
    print("random weights: this measures speed alone")
    with tempfile.TemporaryDirectory() as folder:
        measure(settings, make_clips(Path(folder), settings))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=PipelineSettings.clips)
    parser.add_argument("--rounds", type=int, default=PipelineSettings.rounds)
    parser.add_argument("--seconds", type=float, default=PipelineSettings.seconds)
    parser.add_argument("--kinds", default=PipelineSettings.kinds)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--device", default=PipelineSettings.device)
    parser.add_argument("--decoders", type=int, default=PipelineSettings.decoders)
    parser.add_argument(
        "--threads",
        type=int,
        default=PipelineSettings.threads,
        help="of the naive side; 0: all cores",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        default=PipelineSettings.picture,
        help="draw where the time of the last run went",
    )
    bench(PipelineSettings(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
