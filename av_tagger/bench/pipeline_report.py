"""Tables of the pipeline benchmark: sides, parts against their limits, and the runner's profile."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from av_tagger.bench.clips import FPS
from av_tagger.bench.naive import KEYFRAMES
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.bench.random_networks import ALEXNET_FLOP, RECOGNISER_FLOP, matmul_rate
from av_tagger.config import FAST_FRAME_RATE
from av_tagger.runner.profile import Profile, title
from av_tagger.runner.profiler import WAITING
from av_tagger.video.precision import choose

ALONE = ("decode only", "features", "key frames", "recognise", "hear")


@dataclass(frozen=True)
class PassCost:
    """What one pass over all clips took."""

    wall: float
    cpu: float


def report(found: dict[str, PassCost], clips: int, seconds: float) -> None:
    """Rates of the naive side, the runner and decoding alone, and their ratios."""
    print(f"{'':12s} {'clips/s':>8s} {'x real time':>12s} {'wall s/clip':>12s} {'CPU s/clip':>11s}")
    for name in ("naive", "runner", "decode only"):
        cost = found[name]
        rate = f"{clips / cost.wall:8.2f} {seconds * clips / cost.wall:12.1f}"
        print(f"{name:12s} {rate} {cost.wall / clips:12.2f} {cost.cpu / clips:11.2f}")
    naive, runner, decoding = (found[name] for name in ("naive", "runner", "decode only"))
    wall, cpu = naive.wall / runner.wall, naive.cpu / runner.cpu
    print(f"runner against naive: {wall:.2f} x by wall time, {cpu:.2f} x by CPU time")
    print(f"runner against decode only: {decoding.wall / runner.wall:.0%} of its rate")


def figures(found: dict[str, PassCost], settings: PipelineSettings) -> dict[str, object]:
    """The figures of `report`, for --json."""
    naive, runner, decoding = (found[name] for name in ("naive", "runner", "decode only"))
    rates = {name: settings.clips / cost.wall for name, cost in found.items()}
    return {
        "runner_over_naive": round(naive.wall / runner.wall, 4),
        "runner_over_naive_cpu": round(naive.cpu / runner.cpu, 4),
        "runner_over_decode": round(decoding.wall / runner.wall, 4),
        "clips_per_second": {name: round(rate, 3) for name, rate in rates.items()},
        "cpu_s_per_clip": {n: round(c.cpu / settings.clips, 4) for n, c in found.items()},
    }


def report_parts(found: dict[str, PassCost], settings: PipelineSettings) -> None:
    """CPU time of each part alone, the limit of its network, and what the runner adds."""
    limits = _limits(settings)
    alone = {name: found[name].cpu / settings.clips for name in ALONE}
    print(
        f"{'CPU s/clip':12s} {'alone':>8s} {'limit':>8s}  "
        "(limit: the multiplications of the network at the rate of a large matrix product)"
    )
    for name, seconds in alone.items():
        limit = f"{limits[name]:8.3f}  {limits[name] / seconds:.0%}" if name in limits else ""
        print(f"{name:12s} {seconds:8.3f} {limit}")
    runner, parts = found["runner"].cpu / settings.clips, sum(alone.values())
    floor = alone["decode only"] + sum(limits.values())
    print(f"{'sum':12s} {parts:8.3f} {floor:8.3f}")
    print(
        f"the runner takes {runner:.3f}: {parts / runner:.0%} of the speed of its parts, "
        f"{floor / runner:.0%} of the limits"
    )


def _limits(settings: PipelineSettings) -> dict[str, float]:
    """Seconds per clip that each network needs at least on one thread."""
    torch.set_num_threads(1)
    kind = choose("auto", torch.device("cpu"))
    frames = settings.seconds * (FAST_FRAME_RATE if settings.fast else FPS)
    features = torch.int8 if settings.int8 else kind
    limits = {"features": frames * ALEXNET_FLOP / matmul_rate(features, settings.matrix)}
    if settings.recogniser in RECOGNISER_FLOP:
        flop = KEYFRAMES * RECOGNISER_FLOP[settings.recogniser]
        limits["recognise"] = flop / matmul_rate(kind, settings.matrix)
    return limits


def report_profile(profile: Profile) -> None:
    """The time of each stage of the last run."""
    for row in profile.rows():
        share = f"{row.share:6.1%} of the work" if row.stage not in WAITING else " " * 18
        busy = f"{row.threads} thread(s) busy {row.busy:4.0%}"
        print(f"  {title(row.stage):26s} {row.seconds:7.2f} s {share}, {busy}")
    print(f"  overhead besides decoding and networks: {profile.overhead:.1%} of the work")
