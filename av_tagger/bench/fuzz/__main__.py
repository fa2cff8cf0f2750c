"""Fuzz every kind of file that is read, in processes that may crash.

    python -m av_tagger.bench.fuzz --files 10000 [--seed S] [--kinds mp4,wav] [--processes 2]
    python -m av_tagger.bench.fuzz --seconds 60
    python -m av_tagger.bench.fuzz --seed S --only N      one mutant, with its traceback
    python -m av_tagger.bench.fuzz --replay FOLDER        files that were kept, named by kind

Mutant N of seed S is always the same file. What was run is remembered in the folder, so that the
same command goes on where it was ended. The folder keeps the made files, one mutant for each way
of ending (corpus), and every finding with a smaller form of it. Exit code 1 if there are findings.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from av_tagger import cache
from av_tagger.bench.fuzz.block import BLOCK, FuzzPlan, Tally, keep_finding, parent_of, run_one
from av_tagger.bench.fuzz.examine import Ending, examine
from av_tagger.bench.fuzz.kinds import KINDS
from av_tagger.bench.measure import parser, run_main
from av_tagger.errors import UsageError

STALL_SECONDS = 120.0  # without a new mutant: the process hangs
GRACE_SECONDS = 60.0  # to load libraries, and to end by itself when the time is up
POLL_SECONDS = 0.05


@dataclass
class FuzzProgress:
    """What is done, shared by the threads that watch one process each."""

    plan: FuzzPlan
    files: int
    deadline: float
    tally: Tally = field(default_factory=Tally)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.record = self.plan.folder / f"seed-{self.plan.seed}.jsonl"
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        self.done: set[int] = set()
        for row in map(json.loads, lines):
            if row["kinds"] == list(self.plan.kinds):
                self.done.add(row["start"])
                self.tally.add(Tally(row["mutants"], Tally().endings | row["endings"]))
        self.next = 0

    def take(self) -> range | None:
        """The next block that is not done."""
        with self.lock:
            while self.next in self.done:
                self.next += BLOCK
            start = self.next
            if start >= self.files or time.monotonic() > self.deadline:
                return None
            self.next += BLOCK
            return range(start, min(start + BLOCK, self.files))

    def finish(self, block: range, tally: Tally) -> None:
        """A block that was cut short is not recorded: the next start runs it again."""
        with self.lock:
            self.tally.add(tally)
            if tally.mutants < BLOCK:
                return
            row = {"kinds": self.plan.kinds, "start": block.start, "mutants": tally.mutants}
            with self.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**row, "endings": tally.endings}) + "\n")


def watch(progress: FuzzProgress, rank: int) -> None:
    """Run blocks, one process each; a crash or a hang is a finding, and the rest goes on."""
    while (block := progress.take()) is not None:
        tally, start = Tally(), block.start
        while start < block.stop:
            at = progress.plan.folder / f"at-{rank}"
            at.write_text(str(start))
            found, ended = _run_process(progress, range(start, block.stop), at)
            tally.add(found)
            if ended == "done":
                break  # all of it, or as much as there was time for
            number = int(at.read_text())
            tally.mutants += number - start + (ended != "late")
            if ended == "late":
                break
            _keep_crash(progress.plan, number, ended)
            tally.endings[f"{progress.plan.kind_of(number).name}: {ended}"] += 1
            start = number + 1
        progress.finish(block, tally)


def _run_process(progress: FuzzProgress, block: range, at: Path) -> tuple[Tally, str]:
    """The tally of a block, and how its process ended: done, late, or what happened to it."""
    plan = progress.plan
    words: dict[str, Any] = {"seed": plan.seed, "kinds": plan.kinds, "folder": str(plan.folder)}
    left = min(1e9, progress.deadline - time.monotonic())
    words |= {"start": block.start, "end": block.stop, "at": str(at), "seconds": left}
    process = subprocess.Popen(
        [sys.executable, "-m", "av_tagger.bench.fuzz.block"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(words))
    process.stdin.close()
    ended = _wait(process, progress, at)
    output = process.stdout.read() if process.stdout is not None else ""
    if process.stdout is not None:
        process.stdout.close()
    if ended or process.returncode:
        return Tally(), ended or f"the process ended with {process.returncode}"
    row = json.loads(output.splitlines()[-1])
    return Tally(row["mutants"], Tally().endings | row["endings"]), "done"


def _wait(process: subprocess.Popen[str], progress: FuzzProgress, at: Path) -> str:
    """Until the process ends; it is killed when it hangs or when the time is up."""
    seen, since = "", time.monotonic()
    while process.poll() is None:
        now, current = time.monotonic(), at.read_text()
        if current != seen:
            seen, since = current, now
        hangs, late = now - since > STALL_SECONDS, now > progress.deadline + GRACE_SECONDS
        if hangs or late:
            process.kill()
            process.wait()
            return "the process hung" if hangs else "late"
        time.sleep(POLL_SECONDS)
    return ""


def _keep_crash(plan: FuzzPlan, number: int, ended: str) -> None:
    kind = plan.kind_of(number)
    data = kind.mutate(parent_of(plan.folder, kind), plan.draw(number))
    keep_finding(plan, number, Ending(f"crash {kind.name}", True, ended), data, data)


def fuzz(plan: FuzzPlan, files: int, seconds: float, processes: int) -> Tally:
    """Run mutants up to a number or a time, whichever comes first."""
    for name in plan.kinds:
        parent_of(plan.folder, KINDS[name])
    progress = FuzzProgress(plan, files, time.monotonic() + seconds)
    threads = [threading.Thread(target=watch, args=(progress, n)) for n in range(processes)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        progress.deadline = 0.0  # the threads end their processes
        raise
    return progress.tally


def replay(folder: Path) -> int:
    """Read kept files again, whose names begin with their kind; the number of findings."""
    bugs = 0
    with tempfile.TemporaryDirectory() as place:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            names = [n for n in KINDS if f"{path.parent.name}/{path.name}".find(f"{n}-") >= 0]
            kind = KINDS.get(max(names, key=len, default=""))
            if kind is None or path.suffix != kind.suffix:
                continue
            copy = Path(place) / f"mutant{kind.suffix}"
            copy.write_bytes(path.read_bytes())
            outcome = examine(kind, copy)
            bugs += outcome.bug
            if outcome.bug:
                print(f"{path}: {outcome.words}\n{outcome.detail}")
    return bugs


def report(plan: FuzzPlan, tally: Tally) -> int:
    """Print what was run and found; the number of findings in the folder."""
    findings = sorted((plan.folder / "findings").glob("*/about.json"))
    results = sum(n for words, n in tally.endings.items() if "Error: " not in words)
    print(
        f"seed {plan.seed}: {tally.mutants} mutants of {len(plan.kinds)} kinds; "
        f"{results} read, {sum(tally.endings.values()) - results} refused in one sentence, "
        f"{len(tally.endings)} ways of ending, {len(findings)} findings in {plan.folder}"
    )
    for path in findings:
        about = json.loads(path.read_text(encoding="utf-8"))
        print(f"  {about['kind']}: {about['words']}\n    {about['again']}")
    return len(findings)


def main(words: Sequence[str] | None = None) -> None:
    flags = parser(__doc__)
    flags.add_argument("--files", type=int, default=0, help="mutants of this seed in all")
    flags.add_argument("--seconds", type=float, default=float("inf"), help="end after this time")
    flags.add_argument(
        "--seed", type=int, default=None, help="default: a new one, which is printed"
    )
    flags.add_argument("--kinds", default=",".join(KINDS), help="of files, joined by commas")
    flags.add_argument("--processes", type=int, default=2)
    flags.add_argument("--folder", type=Path, default=None, help="default: fuzz in the cache")
    flags.add_argument("--only", type=int, default=None, metavar="N", help="one mutant")
    flags.add_argument("--replay", type=Path, default=None, metavar="FOLDER")
    given = flags.parse_args(words)
    unknown = set(given.kinds.split(",")) - KINDS.keys()
    if unknown:
        raise UsageError(f"there is no kind {min(unknown)!r}; known: {', '.join(KINDS)}")
    if given.replay is not None:
        raise SystemExit(min(1, replay(given.replay)))
    seed = secrets.randbelow(1 << 31) if given.seed is None else given.seed
    plan = FuzzPlan(seed, tuple(given.kinds.split(",")), given.folder or cache.folder("fuzz"))
    (plan.folder / "corpus").mkdir(parents=True, exist_ok=True)
    if given.only is not None:
        with tempfile.TemporaryDirectory() as place:
            outcome = run_one(plan, given.only, Path(place))
        print(f"{plan.kind_of(given.only).name}: {outcome.words}\n{outcome.detail}")
        raise SystemExit(int(outcome.bug))
    print(f"seed {seed}", flush=True)
    if not given.files and given.seconds == float("inf"):
        raise UsageError("say how long: --files N or --seconds T")
    tally = fuzz(plan, given.files or 1 << 40, given.seconds, given.processes)
    if report(plan, tally):
        raise SystemExit(1)


if __name__ == "__main__":
    run_main(main)
