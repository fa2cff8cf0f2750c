"""What the driving process costs: the whole runner with networks that cost nothing.

    python -m av_tagger.bench.driver [--clips 4] [--repeat 12] [--rounds 3] [--detail] [--json]

The clips are decoded for real, in processes of their own, and tagged by a complete run with journal
and table; only the networks are stand-ins (`free_networks`). The runner and decoding alone take
turns (A B A B) on the same clips. A GPU makes the networks nearly free, so this shows without one
whether the driving process would keep it busy.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from av_tagger.bench.free_networks import FreeEar, free_eye
from av_tagger.bench.measure import cpu_seconds, parser, run_main
from av_tagger.bench.pipeline import RunnerSide, by_runner, decode_only, make_clips, timed
from av_tagger.bench.pipeline_report import PassCost
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.media import DecoderPool, open_media
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency, describe, for_machine
from av_tagger.runner.profile import Profile
from av_tagger.runner.profiler import PARTS, WORK
from av_tagger.scores import RunInfo
from av_tagger.systems import available_cores
from av_tagger.tagger import Parts, Tagger
from av_tagger.video.sparse_coding.compiled import compiled

REPEAT = 12  # links to each clip: the start and the end of a run are shared by so many more
OTHER = "other"  # CPU time outside of all stages


@dataclass
class Passes:
    """What each pass over all clips took."""

    decode: list[PassCost] = field(default_factory=list)  # CPU: of this process and the decoders
    runner: list[PassCost] = field(default_factory=list)
    driver: list[float] = field(default_factory=list)  # CPU seconds of this process alone
    steps: list[dict[str, float]] = field(default_factory=list)


def free_tagger(settings: PipelineSettings) -> Tagger:
    """The pipeline with networks that cost nothing."""
    ear, labels = FreeEar(), dcase2017().labels
    eye = None if settings.only == "ear" else free_eye(settings.recogniser)
    request = DecodeRequest(audio_rate=ear.rate, short_side=None if eye is None else eye.short_side)
    info = RunInfo("bench", "cpu", "bench", 0.0)
    fusion = load_fusion("logit", labels)
    return Tagger(Parts(labels, ear, eye, fusion, open_media, request, run=info))


def linked(folder: Path, clips: Sequence[Path], repeat: int) -> list[Path]:
    """Many names of a few files: the cost of making clips is paid once."""
    made = []
    for i in range(repeat):
        for clip in clips:
            made.append(folder / f"{i}-{clip.name}")
            os.link(clip, made[-1])
    return made


def measure(side: RunnerSide, clips: Sequence[Path], rounds: int) -> Passes:
    """Decoding alone and the runner in turn, after one warm-up of each."""
    decode_only(side, clips[: len(clips) // 4 + 1])
    by_runner(side, clips[: len(clips) // 4 + 1])
    found = Passes()
    for _ in range(rounds):
        found.decode.append(timed(lambda: decode_only(side, clips), side.pool))
        _run_once(side, clips, found)
    return found


def _run_once(side: RunnerSide, clips: Sequence[Path], found: Passes) -> None:
    """One run; its CPU time is split into that of the driver by step, and that of the decoders."""
    wall, own, theirs = time.perf_counter(), time.process_time(), cpu_seconds(side.pool.pids())
    profile = by_runner(side, clips)
    own = time.process_time() - own
    theirs = cpu_seconds(side.pool.pids()) - theirs
    found.runner.append(PassCost(time.perf_counter() - wall, own + theirs))
    found.driver.append(own)
    found.steps.append(steps_of(profile, own))


def steps_of(profile: Profile, total: float) -> dict[str, float]:
    """CPU seconds of the driver by step; the parts of the eye stand for `see`."""
    cpu = {name: stage.cpu for name, stage in profile.stages.items()}
    steps = {name: cpu[name] for name in (*WORK, *PARTS) if name in cpu and name != "decode"}
    if "see" in steps:
        steps["see"] -= sum(steps.get(name, 0.0) for name in PARTS)
    return steps | {OTHER: total - sum(steps.values())}


def summarise(found: Passes, clips: int) -> dict[str, object]:
    """The figures, as they are printed with --json: medians of all rounds."""
    decode, runner = (
        PassCost(statistics.median(c.wall for c in side), statistics.median(c.cpu for c in side))
        for side in (found.decode, found.runner)
    )
    names = dict.fromkeys(name for steps in found.steps for name in steps)
    by_step = {
        name: round(1e3 * statistics.median(s.get(name, 0.0) for s in found.steps) / clips, 3)
        for name in names
    }
    return {
        "runner_over_decode": round(decode.wall / runner.wall, 4),
        "runner_over_decode_cpu": round(decode.cpu / runner.cpu, 4),
        "driver_ms_per_clip": round(1e3 * statistics.median(found.driver) / clips, 3),
        "driver_ms_by_step": by_step,
        "clips_per_second": {
            "decode only": round(clips / decode.wall, 2),
            "runner": round(clips / runner.wall, 2),
        },
        "cpu_ms_per_clip": {
            "decode only": round(1e3 * decode.cpu / clips, 2),
            "runner": round(1e3 * runner.cpu / clips, 2),
        },
        "clips": clips,
        "rounds": len(found.runner),
        "cores": available_cores(),
    }


def report(figures: dict[str, object]) -> None:
    """Rates and the driver's steps, for people."""
    rates, cpu, steps = (
        figures[name] for name in ("clips_per_second", "cpu_ms_per_clip", "driver_ms_by_step")
    )
    assert isinstance(rates, dict)
    assert isinstance(cpu, dict)
    assert isinstance(steps, dict)
    print(f"{'':12s} {'clips/s':>8s} {'CPU ms/clip':>12s}")
    for name in rates:
        print(f"{name:12s} {rates[name]:8.2f} {cpu[name]:12.1f}")
    print(
        f"runner against decode only: {figures['runner_over_decode']:.0%} of its rate, "
        f"{figures['runner_over_decode_cpu']:.0%} by CPU time"
    )
    print(f"driver: {figures['driver_ms_per_clip']:.2f} ms of CPU time per clip, by step:")
    for name, milliseconds in steps.items():
        print(f"  {name:12s} {milliseconds:7.2f}")


def bench_free(settings: PipelineSettings, repeat: int = 0) -> None:
    """Make the clips, measure, print."""
    torch.set_num_threads(1)
    compiled.load()  # a long run has it after its first clips
    pool = DecoderPool(keep=64)
    asked = Concurrency(decoders=settings.decoders, detail=settings.detail)
    concurrency = for_machine(asked, "cuda")
    print("networks that cost nothing: this measures the driving process alone")
    print(describe(concurrency, "a free card"))
    with tempfile.TemporaryDirectory() as folder:
        clips = linked(Path(folder), make_clips(Path(folder), settings), repeat or REPEAT)
        try:
            found = measure(
                RunnerSide(free_tagger(settings), pool, concurrency), clips, settings.rounds
            )
        finally:
            pool.close()
    figures = summarise(found, len(clips))
    report(figures)
    if settings.json:
        print(json.dumps(figures | {"kinds": settings.kinds}))


def main(words: Sequence[str] | None = None) -> None:
    default = PipelineSettings()
    options = parser(__doc__)
    options.add_argument("--clips", type=int, default=default.clips, help="made clips")
    options.add_argument("--repeat", type=int, default=REPEAT, help="links to each of them")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=default.seconds, help="per clip")
    options.add_argument("--kinds", default=default.kinds)
    options.add_argument("--decoders", type=int, default=default.decoders)
    options.add_argument("--only", choices=("ear",), help="leave out the eye")
    options.add_argument("--detail", action="store_true", help="keep curves and key frames")
    options.add_argument("--json", action="store_true", help="one object as the last line")
    chosen = vars(options.parse_args(words))
    repeat = chosen.pop("repeat")
    bench_free(PipelineSettings(**chosen), repeat)


if __name__ == "__main__":
    run_main(main)
