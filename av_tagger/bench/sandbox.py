"""Cost of the sandbox of decoding processes: CPU time per clip with and without it, in turn.

python -m av_tagger.bench.sandbox [FILE ...] [--rounds 9]
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from av_tagger.bench.clips import make_clip
from av_tagger.bench.measure import in_turn, parser, run_main
from av_tagger.clip import Clip
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.media.sandbox import SWITCH
from av_tagger.protocols import DecodeRequest


@contextmanager
def _switch(value: str) -> Iterator[None]:
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = value
    try:
        yield
    finally:
        del os.environ[SWITCH]
        if before is not None:
            os.environ[SWITCH] = before


def started(switch: str, path: Path) -> DecodeProcess:
    """A decoding process, once it has answered."""
    process = DecodeProcess()
    with _switch(switch):
        cpu_of(process, path)
    return process


def cpu_of(process: DecodeProcess, path: Path) -> float:
    """CPU seconds of a decoding process so far."""
    seconds: float = process.call("time:process_time", path=path)
    return seconds


def decode(process: DecodeProcess, paths: Sequence[Path]) -> float:
    """CPU seconds of a decoding process for these files."""
    began = cpu_of(process, paths[0])
    for path in paths:
        for _ in process.windows(Clip(path), DecodeRequest()):
            pass
    return cpu_of(process, paths[0]) - began


def compare(paths: Sequence[Path], rounds: int) -> None:
    processes = {"without": started("off", paths[0]), "with": started("on", paths[0])}
    spent: dict[str, list[float]] = {name: [] for name in processes}
    sides = {
        name: lambda name=name: spent[name].append(decode(processes[name], paths))
        for name in processes
    }
    in_turn(sides, rounds)
    given_up = processes["with"].call("av_tagger.media.sandbox:entered", path=paths[0])
    for process in processes.values():
        process.close()
    plain, boxed = (spent[name][1:] for name in ("without", "with"))  # the first is a warm-up
    ratios = sorted(b / a for a, b in zip(plain, boxed, strict=True))
    print(f"{len(paths)} files, {rounds} rounds in turn; the sandbox: {given_up}")
    for name, seconds in (("without", plain), ("with", boxed)):
        print(f"  {name}: {1000 * statistics.median(seconds) / len(paths):.1f} ms of CPU per file")
    middle = statistics.median(ratios)
    print(f"  with / without: {middle:.4f} (from {ratios[0]:.3f} to {ratios[-1]:.3f})")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--rounds", type=int, default=9)
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        made = [] if chosen.files else [make_clip(Path(folder, "a.mp4"), "h264", (640, 360), 10.0)]
        compare(chosen.files or made, chosen.rounds)


if __name__ == "__main__":
    run_main(main)
