"""Everything that is worth measuring on a machine with a GPU, in under eight minutes.

    python -m av_tagger.bench.gpu -o FOLDER [--device cuda] [--rounds 2]
        [--kinds h264:640x360,hevc:1920x1080]

The GPU tests of the checkout; then, for each codec and size, a complete run against decoding alone
(A B A B, random weights) with the steps of the driving process and the stages of the run; then both
forms of the key-frame search. A step that fails does not stop the others. FOLDER gets report.json
and a profile per kind. After eight minutes (--minutes) no step begins. With --device cpu the same
script runs without a GPU, slowly.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from av_tagger.bench.driver import linked, measure, report, summarise
from av_tagger.bench.measure import parser, run_main
from av_tagger.bench.pipeline import RunnerSide, by_runner, make_clips, make_tagger
from av_tagger.bench.pipeline_report import report_profile
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.devices import find_device
from av_tagger.media import DecoderPool
from av_tagger.runner.concurrency import Concurrency, describe, for_machine
from av_tagger.runner.profile_plot import draw
from av_tagger.runner.worker import page_lock_of
from av_tagger.systems import available_cores
from av_tagger.video.sparse_coding import compiled

KINDS = ",".join(
    f"{codec}:{size}" for size in ("640x360", "1280x720", "1920x1080") for codec in ("h264", "hevc")
)
REPEAT = {360: 48, 720: 24, 1080: 12}  # links to each made clip: some ten seconds of decoding
TESTS_SECONDS = 150
MINUTES = 8.0
KEYFRAMES = ("-m", "av_tagger.bench.keyframes", "--sizes", "240", "--clips", "2", "--rounds", "1")


@dataclass(frozen=True)
class GpuBench:
    """What is measured, and where the report goes."""

    folder: Path
    settings: PipelineSettings
    repeat: int = 0  # links to each made clip; 0: by the size of the pictures
    tests: bool = True
    keyframes: bool = True
    minutes: float = MINUTES
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.began + 60 * self.minutes - time.monotonic()

    def no_time(self) -> dict[str, object]:
        return {"skipped": f"less than needed is left of {self.minutes:g} minutes"}


def machine(device: str) -> dict[str, object]:
    """The card, the cores and the versions that the figures belong to."""
    card = "none"
    if torch.device(device).type == "cuda":
        card = torch.cuda.get_device_name(torch.device(device))
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    return {"card": card, "cores": available_cores(), "processor": platform.processor(), **versions}


def run_tests(limit: float) -> dict[str, object]:
    """The GPU tests of this checkout; none of them may be skipped."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "tests").is_dir():
        return {"skipped": "there is no folder of tests beside this package"}
    words = ("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests")
    return _python(words, root, {"AV_TAGGER_GPU": "1"}, limit)


def _python(
    words: Sequence[str], folder: Path, more: dict[str, str], limit: float
) -> dict[str, object]:
    """How a command of Python ended, and the end of what it said."""
    began = time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603 - our own modules
            [sys.executable, *words],
            cwd=folder,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"took longer than {limit:g} s"}
    said = (done.stdout + done.stderr)[-4000:]
    print(said, flush=True)
    return {
        "exit_code": done.returncode,
        "seconds": round(time.perf_counter() - began, 1),
        "said": said.splitlines()[-40:],
    }


def run_kind(bench: GpuBench, kind: str, folder: Path) -> dict[str, object]:
    """The runner against decoding alone, on clips of one codec and size."""
    settings = replace(bench.settings, kinds=kind)
    made = _made_at_once(folder, settings)
    height = int(kind.rpartition("x")[2])
    repeat = bench.repeat or next((n for h, n in REPEAT.items() if height <= h), 6)
    clips = linked(folder, made, repeat)
    pool = DecoderPool(keep=64)
    pool.page_lock = page_lock_of(settings.device)
    concurrency = for_machine(Concurrency(decoders=settings.decoders), settings.device)
    side = RunnerSide(make_tagger(settings), pool, concurrency)
    print(f"\n{kind}: {describe(concurrency, settings.device)}", flush=True)
    try:
        found = measure(side, clips, settings.rounds)
        profile = by_runner(side, clips)
    finally:
        pool.close()
    figures = summarise(found, len(clips))
    report(figures)
    report_profile(profile)
    draw(profile, bench.folder / f"profile.{kind.replace(':', '-')}.png")
    return figures | {"stages": {row.stage: round(row.seconds, 3) for row in profile.rows()}}


def _made_at_once(folder: Path, settings: PipelineSettings) -> list[Path]:
    """Clips are encoded on one thread each, so in as many processes as there are."""
    one = replace(settings, clips=1)
    places = [folder / str(i) for i in range(settings.clips)]
    for place in places:
        place.mkdir()
    if settings.clips == 1:
        return make_clips(places[0], one)
    spawn, count = multiprocessing.get_context("spawn"), min(settings.clips, available_cores())
    with ProcessPoolExecutor(count, spawn) as processes:
        groups = processes.map(make_clips, places, [one] * settings.clips)
        made = [path for group in groups for path in group]
    named = [folder / f"{i}.{path.name}" for i, path in enumerate(made)]
    return [path.rename(name) for path, name in zip(made, named, strict=True)]


def run_all(bench: GpuBench) -> dict[str, object]:
    """All steps; the report is written after each, so that what was measured is never lost."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    found: dict[str, object] = {"machine": machine(bench.settings.device)}
    print(json.dumps(found["machine"]), flush=True)
    if bench.tests:
        limit = min(TESTS_SECONDS, bench.left)
        found["tests"] = run_tests(limit) if limit > 0 else bench.no_time()
        _write(bench, found)
    compiled.warm()
    kinds: dict[str, object] = {}
    longest = 0.0
    for kind in bench.settings.kinds.split(","):
        began = time.perf_counter()
        kinds[kind] = try_kind(bench, kind) if bench.left > longest else bench.no_time()
        longest = max(longest, time.perf_counter() - began)
        print(f"{kind}: {time.perf_counter() - began:.0f} s in all", flush=True)
        found["kinds"] = kinds
        _write(bench, found)
    if bench.keyframes:
        limit = min(TESTS_SECONDS, bench.left)
        found["keyframes"] = search_forms(limit) if limit > 0 else bench.no_time()
        _write(bench, found)
    return found


def search_forms(limit: float) -> dict[str, object]:
    """Both forms of the key-frame search."""
    return _python(KEYFRAMES, Path.cwd(), {}, limit)


def try_kind(bench: GpuBench, kind: str) -> dict[str, object]:
    """A failure does not stop the other kinds: these are still worth measuring."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return run_kind(bench, kind, Path(folder))
        except Exception as error:  # noqa: BLE001 - said in the report
            print(f"{kind} failed: {error}", flush=True)
            return {"failed": f"{type(error).__name__}: {error}"}


def _write(bench: GpuBench, found: dict[str, object]) -> None:
    (bench.folder / "report.json").write_text(json.dumps(found, indent=1) + "\n")


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("-o", "--output", type=Path, required=True, help="folder of the report")
    options.add_argument("--device", default="cuda")
    options.add_argument("--kinds", default=KINDS)
    options.add_argument("--clips", type=int, default=4, help="made clips per kind")
    options.add_argument("--repeat", type=int, default=0, help="links to each; 0: by size")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--seconds", type=float, default=10.0, help="per clip")
    options.add_argument("--decoders", type=int, default=0)
    options.add_argument("--recogniser", default="inception_v4", help="a network of timm")
    options.add_argument("--minutes", type=float, default=MINUTES, help="no step begins later")
    options.add_argument("--no-tests", action="store_true")
    options.add_argument("--no-keyframes", action="store_true")
    chosen = options.parse_args(words)
    names = ("device", "kinds", "clips", "rounds", "seconds", "decoders", "recogniser")
    settings = PipelineSettings(**{name: getattr(chosen, name) for name in names})
    find_device(settings.device)  # one sentence where there is none
    wanted = not chosen.no_tests, not chosen.no_keyframes
    run_all(GpuBench(chosen.output, settings, chosen.repeat, *wanted, chosen.minutes))


if __name__ == "__main__":
    run_main(main)
