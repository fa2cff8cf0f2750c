"""Whole runs of `av-tag listen`: start and memory of a process; a film with ear and eye."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_tagger.clip import Media
from av_tagger.errors import UsageError
from av_tagger.fusion.windows import WindowResult
from av_tagger.live.listener import Listener, LiveSettings
from av_tagger.live.run import LiveRun
from av_tagger.live.sources import SourceSettings, make_source
from av_tagger.live.sources.reopen import reopened
from av_tagger.scores import Scores, Tagged
from av_tagger.tagger import Tagger

RATE, SECONDS = 16_000, 30.0
START = (sys.executable, "-c", "from av_tagger.cli.main import main; main()")


@dataclass(frozen=True)
class Start:
    """One process: seconds to its first prediction, and its largest memory in bytes."""

    seconds: float
    memory: int
    torch: bool


def started(ear: str, more: Sequence[str] = ()) -> Start:
    """`av-tag listen -` with 30 s of noise that wait in its pipe."""
    noise = np.random.default_rng(0).standard_normal(round(SECONDS * RATE)) * 1000
    words = [*START, "listen", "-", "--rate", str(RATE), "--json", "--seconds", "-q", *more]
    words += ["--ear", ear, "--only", "ear", "--offline"]
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        samples = noise.astype("<i2").tobytes()
        process.stdin.write(samples[: 2 * RATE * 2])
        process.stdin.flush()
        if not process.stdout.readline():
            raise UsageError(f"{ear}: av-tag listen gave no line")
        seconds = time.monotonic() - began
        process.stdin.write(samples[2 * RATE * 2 :])
        process.stdin.flush()
        maps = ""
        while b'"end": 29.0' not in process.stdout.readline():
            """Until the last second but one is told."""
        maps = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8", errors="replace")
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        process.stdin.close()
        process.stdout.read()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Start(seconds, int(peak.split()[1]) * 1024, f"{os.sep}torch{os.sep}lib" in maps)


def starts(ear: str, count: int) -> None:
    found = [started(ear) for _ in range(count)]
    seconds = statistics.median(one.seconds for one in found)
    memory = max(one.memory for one in found)
    torch = "with" if found[0].torch else "without"
    print(
        f"start          {seconds:.2f} s to the first prediction (median of {count}), at most"
        f" {memory / 1e6:.0f} MB, {torch} torch"
    )


def film(tagger: Tagger, path: Path) -> None:
    """Processor time of live windows, and key frames of file windows, of a film."""
    began = time.process_time()
    live = results_of(tagger, path, LiveSettings())
    used = time.process_time() - began
    seconds = live[-1].end_seconds
    print(
        f"film           {used / seconds:.3f} s of processor time per second, {len(live)} windows"
    )
    results = results_of(tagger, path, LiveSettings(windows="file"))
    (offline,) = tagger.tag([path])
    assert isinstance(offline, Tagged)
    mine = tagger.merge_windows(offline.clip, results, 0.0)
    same = [a.seconds for a in mine.keyframes] == [b.seconds for b in offline.keyframes]
    apart = max(abs(mine.scores[k].fused - s.fused) for k, s in offline.scores.items())
    print(
        f"key frames     {len(mine.keyframes)} live, {len(offline.keyframes)} offline,"
        f" {'the same' if same else 'NOT THE SAME'}; scores differ by at most {apart:.1e}"
    )


def results_of(tagger: Tagger, path: Path, settings: LiveSettings) -> list[WindowResult]:
    """The windows of a listener that reads the file as fast as it can."""
    listener, results = Listener(tagger, settings), list[WindowResult]()
    weigh = listener.tagger.weigh

    def recorded(
        windows: Sequence[Media], heard: Sequence[Scores], seen: Sequence[Scores]
    ) -> list[WindowResult]:
        found = weigh(windows, heard, seen)
        results.extend(found)
        return found

    listener.tagger.weigh = recorded  # type: ignore[method-assign]
    source = make_source(str(path), SourceSettings(pace="fast"))
    LiveRun(listener, []).run(reopened(source, listener.request))
    return results
