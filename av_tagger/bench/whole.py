"""Time and memory of the command: start-up of --help, then files of ten seconds, a minute, an hour.

    python -m av_tagger.bench.whole [--hour]

Each measurement is a process of its own, offline, with the starter ear and the eye's weights that
are installed. Memory is that of the tagging process, without its decoder.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from av_tagger.bench.clips import make_long
from av_tagger.bench.measure import parser, run_main

COMMAND = "from av_tagger.cli.main import main; main()"
# `ru_maxrss` would include the memory of this process; the command reports its own peak at its end.
REPORT = """
import atexit, os, pathlib
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: pathlib.Path(os.environ["PEAK"]).write_text(status.read_text()))
"""
SIZE = (320, 180)
LENGTHS = (10, 60)
HOUR = 3600


@dataclass(frozen=True)
class CommandCost:
    wall_seconds: float
    cpu_seconds: float
    peak_mebibytes: float


def run(words: Sequence[str]) -> CommandCost:
    """One command in a new process; CPU time includes its children (Linux)."""
    with tempfile.NamedTemporaryFile() as peak:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", REPORT + COMMAND, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PEAK": peak.name},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"av-tag {' '.join(words)} ended with exit code {process.returncode}")
        found = re.search(r"VmHWM:\s+(\d+)", Path(peak.name).read_text())
    assert found is not None
    return CommandCost(wall, usage.ru_utime + usage.ru_stime, int(found[1]) / 1024)


def start_up(rounds: int) -> None:
    costs = [run(("--help",)) for _ in range(rounds)]
    wall = statistics.median(c.wall_seconds for c in costs)
    cpu = statistics.median(c.cpu_seconds for c in costs)
    print(f"av-tag --help: {wall:.3f} s wall, {cpu:.3f} s CPU, median of {rounds}")


def files(lengths: Sequence[int]) -> None:
    """Tag one file of each length; memory is also printed relative to that of a minute."""
    size = "x".join(map(str, SIZE))
    print(f"{f'file, {size}':20s} {'wall s':>8s} {'CPU s':>8s} {'peak MiB':>9s}")
    minute = None
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            path = Path(folder) / f"{seconds}.mp4"
            make_long(path, seconds, SIZE)
            cost = run(("tag", str(path), "--offline", "--ear", "starter", "--json"))
            minute = cost if seconds == 60 else minute
            ratio = cost.peak_mebibytes / minute.peak_mebibytes if minute is not None else 0.0
            print(
                f"{seconds:18d} s {cost.wall_seconds:8.1f} {cost.cpu_seconds:8.1f} "
                f"{cost.peak_mebibytes:9.0f}" + (f"  {ratio:.2f} x a minute's" if ratio else ""),
                flush=True,
            )


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--hour", action="store_true", help="also a file of an hour: some minutes")
    options.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="seconds, tens")
    options.add_argument("--rounds", type=int, default=7, help="of --help")
    chosen = options.parse_args(words)
    start_up(chosen.rounds)
    files([*chosen.lengths, HOUR] if chosen.hour else chosen.lengths)


if __name__ == "__main__":
    run_main(main)
