"""What a new user waits for: refusals, and the first tag of a short film, beside `import torch`.

python -m av_tagger.bench.first --rounds 5
python -m av_tagger.bench.first --long --seconds 180 --rounds 3: `tag` against `batch`
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from av_tagger.bench.clips import make_clip, make_long
from av_tagger.bench.measure import parser, run_main

AV_TAG = (sys.executable, "-m", "av_tagger")
SIZE = (640, 360)
# In a process of its own: a peak of memory counts that of the parent at the start.
LAUNCHER = """
import os, subprocess, sys, time
began, none = time.perf_counter(), subprocess.DEVNULL
process = subprocess.Popen(sys.argv[1:], stdout=none, stderr=none)
_, _, used = os.wait4(process.pid, 0)
wall = time.perf_counter() - began
print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
COLUMNS = (
    "| what | wall s | CPU s | x {0}, wall | x {0}, CPU | peak MB |\n|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Spent:
    """Seconds of one process, its children included, and the largest memory of one of them."""

    wall: float
    cpu: float
    mebibytes: float


def first_commands(film: Path, ear: str) -> dict[str, list[str]]:
    """Commands by name; the first is what everything else is compared with."""
    tag = [*AV_TAG, "tag", str(film), "--offline", "--ear", ear]
    return {
        "import torch": [sys.executable, "-c", "import torch"],
        "--version": [*AV_TAG, "--version"],
        "--help": [*AV_TAG, "tag", "--help"],
        "refused: class name": [*tag, "--classes", "Trian"],
        "refused: unknown flag": [*tag, "--jsn"],
        "refused: ear": [*tag, "--ear", "startr"],
        "refused: missing file": [*AV_TAG, "tag", "none.mp4"],
        "first tag, ear alone": [*tag, "--only", "ear"],
        "first tag, ear and eye": tag,
    }


def long_commands(film: Path, ear: str, folder: Path) -> dict[str, list[str]]:
    """The two ways to tag one long film."""
    flags = [str(film), "--offline", "--ear", ear]
    batch = [*AV_TAG, "batch", *flags, "-o", str(folder / "run"), "--fresh"]
    return {"batch": batch, "tag": [*AV_TAG, "tag", *flags]}


def take(command: Sequence[str]) -> Spent:
    """Run a process to its end; its output is not looked at."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-I", "-c", LAUNCHER, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return Spent(*map(float, done.stdout.split()))


def measure(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Spent]:
    """Medians; commands are run in turn, after one start of each that does not count."""
    found: dict[str, list[Spent]] = {name: [] for name in commands}
    for command in commands.values():
        take(command)
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(take(command))
    return {
        name: Spent(
            *(
                statistics.median(getattr(t, key) for t in times)
                for key in ("wall", "cpu", "mebibytes")
            )
        )
        for name, times in found.items()
    }


def show(found: Mapping[str, Spent], title: str) -> None:
    """A table; each line also as a multiple of the first."""
    plain, base = next(iter(found.items()))
    print(title)
    print(COLUMNS.format(plain))
    for name, t in found.items():
        times = f"{t.wall / base.wall:.2f} | {t.cpu / base.cpu:.2f}"
        print(f"| {name} | {t.wall:.2f} | {t.cpu:.2f} | {times} | {t.mebibytes:.0f} |")


def main(arguments: Sequence[str] | None = None) -> None:
    read = parser(__doc__)
    read.add_argument("--rounds", type=int, default=5)
    read.add_argument("--seconds", type=float, default=10.0, help="length of the film")
    read.add_argument("--ear", default="auto")
    read.add_argument("--only", default="", help="only commands whose names begin so")
    read.add_argument(
        "--long", action="store_true", help="instead: tag against batch on one film of --seconds"
    )
    given = read.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / "film.mp4"
        if given.long:
            make_long(film, round(given.seconds), SIZE)
            commands = long_commands(film, given.ear, Path(name))
        else:
            make_clip(film, "h264", SIZE, given.seconds)
            every = first_commands(film, given.ear)
            commands = {
                k: c for k, c in every.items() if k == "import torch" or k.startswith(given.only)
            }
        found = measure(commands, given.rounds)
    cores = os.cpu_count()
    form = f"film of {given.seconds:g} s, {SIZE[0]}x{SIZE[1]}, {cores} cores"
    show(found, f"{form}, median of {given.rounds}")


if __name__ == "__main__":
    run_main(main)
