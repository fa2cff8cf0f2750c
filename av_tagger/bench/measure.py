"""Measuring tools of the benchmarks: sides timed in turn, CPU time and memory of processes."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from av_tagger.errors import AvTaggerError

Work = Callable[[], object]
Clock = Callable[[], float]


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser that prints the docstring of the benchmark as its help."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run_main(main: Callable[[], None]) -> None:
    """Run a benchmark; an error that the user can mend is one sentence and exit code 2."""
    try:
        main()
    except AvTaggerError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def seconds_of(work: Work, clock: Clock = time.process_time) -> float:
    """Seconds of one call; `process_time` counts the CPU time of this process."""
    began = clock()
    work()
    return clock() - began


def in_turn(
    sides: Mapping[str, Work], rounds: int, clock: Clock = time.process_time
) -> dict[str, list[float]]:
    """Seconds of each side in each round, in turn (A B A B) after one warm-up call of each.

    Taking turns spreads the load of other programs over all sides alike.
    """
    for work in sides.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            times[name].append(seconds_of(work, clock))
    return times


def medians_in_turn(
    sides: Mapping[str, Work], rounds: int, clock: Clock = time.process_time
) -> dict[str, float]:
    """The median seconds of each side, measured in turn."""
    return {name: statistics.median(found) for name, found in in_turn(sides, rounds, clock).items()}


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of all these processes together (Linux)."""
    return sum(map(_cpu_seconds, pids))


def peak_mebibytes(pids: Sequence[int] = ()) -> float:
    """The largest peak resident memory of these processes; of this one by default.

    On Linux from /proc, since `ru_maxrss` would include the memory of the parent at the start.
    """
    if Path("/proc/self/status").exists():
        return max(_peak_kib(str(pid)) for pid in (pids or ("self",))) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_kib(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
