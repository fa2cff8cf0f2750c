"""What a new user waits for: refusals, and the first tag of a short film, beside `import torch`.

python -m av_tagger.bench.first --rounds 5
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from av_tagger.bench.clips import make_clip
from av_tagger.bench.measure import parser, run_main

AV_TAG = (sys.executable, "-m", "av_tagger")
SIZE = (640, 360)
COLUMNS = "| what | wall s | CPU s | of import torch |\n|---|---|---|---|"


@dataclass(frozen=True)
class Spent:
    """Seconds of one process, its children included."""

    wall: float
    cpu: float


def commands(film: Path, ear: str) -> dict[str, list[str]]:
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


def take(command: Sequence[str]) -> Spent:
    """Run a process to its end; its output is not looked at."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603 - ours
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Spent(wall, cpu)


def measure_first(rounds: int, seconds: float, ear: str) -> None:
    """Print a table; commands are measured in turn, after one start of each that does not count."""
    with tempfile.TemporaryDirectory() as folder:
        film = make_clip(Path(folder) / "film.mp4", "h264", SIZE, seconds)
        sides = commands(film, ear)
        for command in sides.values():
            take(command)
        found: dict[str, list[Spent]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, command in sides.items():
                found[name].append(take(command))
    print(f"film of {seconds:g} s, {SIZE[0]}x{SIZE[1]}, {os.cpu_count()} cores, median of {rounds}")
    print(COLUMNS)
    plain = statistics.median(t.cpu for t in next(iter(found.values())))
    for name, times in found.items():
        wall, cpu = (statistics.median(getattr(t, key) for t in times) for key in ("wall", "cpu"))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {cpu / plain:.2f} |")


def main(arguments: Sequence[str] | None = None) -> None:
    read = parser(__doc__)
    read.add_argument("--rounds", type=int, default=5)
    read.add_argument("--seconds", type=float, default=10.0, help="length of the film")
    read.add_argument("--ear", default="auto")
    given = read.parse_args(arguments)
    measure_first(given.rounds, given.seconds, given.ear)


if __name__ == "__main__":
    run_main(main)
