"""The command as a whole: start-up of --help, then seconds and peak memory of files of ten seconds, a minute and an hour.

    python -m av_tagger.bench.whole [--hour]

Each is a process of its own, at work offline with the starter ear and the eye that is here.
Memory is that of the tagging process, its decoding worker apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from av_tagger.bench.media import make_long

COMMAND = (sys.executable, "-c", "from av_tagger.cli.main import main; main()")
SIZE = (320, 180)
LENGTHS = (10, 60, 3600)
ROUNDS = 7


@dataclass(frozen=True)
class CommandCost:
    wall_seconds: float
    cpu_seconds: float
    peak_mebibytes: float


def run(words: tuple[str, ...]) -> CommandCost:
    """One command in a fresh process; `wait4` tells its own account, children that it waited for included in the time."""
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own words
        [*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"av-tag {' '.join(words)} ended with exit code {process.returncode}")
    return CommandCost(
        time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )


def start_up() -> None:
    costs = [run(("--help",)) for _ in range(ROUNDS)]
    wall, cpu = (
        statistics.median(getattr(c, name) for c in costs)
        for name in ("wall_seconds", "cpu_seconds")
    )
    print(f"av-tag --help: {wall:.3f} s wall, {cpu:.3f} s CPU, median of {ROUNDS}")


def files(lengths: tuple[int, ...]) -> None:
    print(
        f"{'file, ' + 'x'.join(map(str, SIZE)):20s} {'wall s':>8s} {'CPU s':>8s} {'peak MiB':>9s}"
    )
    minute = None
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            path = Path(folder) / f"{seconds}.mp4"
            make_long(path, seconds, SIZE)
            cost = run(("tag", str(path), "--offline", "--ear", "starter", "--json"))
            minute = cost if seconds == 60 else minute
            against = (
                f"  {cost.peak_mebibytes / minute.peak_mebibytes:.2f} x the minute's"
                if minute is not None
                else ""
            )
            print(
                f"{seconds:18d} s {cost.wall_seconds:8.1f} {cost.cpu_seconds:8.1f} {cost.peak_mebibytes:9.0f}{against}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--hour", action="store_true", help="the file of an hour, too: some minutes"
    )
    start_up()
    files(LENGTHS if parser.parse_args().hour else LENGTHS[:2])


if __name__ == "__main__":
    main()
