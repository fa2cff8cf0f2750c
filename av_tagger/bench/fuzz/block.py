"""A block of mutants in one process, which may crash, hang or run out of memory."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.bench.fuzz.examine import Ending, examine, smaller
from av_tagger.bench.fuzz.kinds import KINDS, FileKind

BLOCK = 1000  # mutants
MEMORY = 2 << 30  # bytes of address space beside the libraries; more is a finding


@dataclass(frozen=True)
class FuzzPlan:
    """What is run: mutant `n` of a seed is always the same, whatever else is run."""

    seed: int
    kinds: tuple[str, ...]
    folder: Path  # of corpus and findings

    def kind_of(self, number: int) -> FileKind:
        weighted = [KINDS[name] for name in self.kinds for _ in range(KINDS[name].share)]
        return weighted[number % len(weighted)]

    def draw(self, number: int) -> random.Random:
        return random.Random(f"{self.seed} {number}")


@dataclass
class Tally:
    """How mutants ended, by kind and words."""

    mutants: int = 0
    endings: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.mutants += other.mutants
        self.endings.update(other.endings)


def run_block(plan: FuzzPlan, numbers: range, at: Path, until: float = math.inf) -> Tally:
    """Examine these mutants up to a time; `at` always holds the number of the current one."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="av-tagger-fuzz-") as folder:
        for number in numbers:
            if time.time() > until:
                break
            at.write_text(str(number))
            kind = plan.kind_of(number)
            outcome = run_one(plan, number, Path(folder))
            tally.mutants += 1
            tally.endings[f"{kind.name}: {outcome.words}"] += 1
    return tally


def run_one(plan: FuzzPlan, number: int, folder: Path) -> Ending:
    """Make and examine one mutant; findings and new endings are kept."""
    kind = plan.kind_of(number)
    parent = parent_of(plan.folder, kind)
    path = folder / f"mutant{kind.suffix}"
    path.write_bytes(kind.mutate(parent, plan.draw(number)))
    outcome = examine(kind, path)
    known = plan.folder / "corpus" / f"{kind.name}-{_mark(outcome.words)}{kind.suffix}"
    if not known.exists():
        known.write_bytes(path.read_bytes())
        if outcome.bug:
            small = smaller(kind, path, parent, outcome)
            keep_finding(plan, number, outcome, path.read_bytes(), small)
    return outcome


def parent_of(folder: Path, kind: FileKind) -> bytes:
    """The made file of a kind, from the corpus."""
    path = folder / "corpus" / f"made-{kind.name}{kind.suffix}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            data = kind.make(Path(place) / f"made{kind.suffix}")
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_bytes(data)
        part.replace(path)
    return path.read_bytes()


def keep_finding(plan: FuzzPlan, number: int, outcome: Ending, data: bytes, small: bytes) -> None:
    """The mutant, its smaller form and what happened, in a folder of its own."""
    kind = plan.kind_of(number)
    place = plan.folder / "findings" / f"{kind.name}-{_mark(outcome.words)}"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"mutant{kind.suffix}").write_bytes(data)
    (place / f"smaller{kind.suffix}").write_bytes(small)
    again = f"python -m av_tagger.bench.fuzz --seed {plan.seed} --only {number}"
    about = {"kind": kind.name, "words": outcome.words, "again": again, "detail": outcome.detail}
    (place / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _mark(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:10]


def limit_memory() -> None:
    """Make a mutant that asks for more memory than any file needs fail with MemoryError."""
    try:
        import resource
    except ImportError:
        return
    import torch

    torch.set_num_threads(1)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc").exists() else 0
    if pages:
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    """Run the block that the standard input describes; its tally goes to the standard output."""
    words = json.load(sys.stdin)
    plan = FuzzPlan(words["seed"], tuple(words["kinds"]), Path(words["folder"]))
    limit_memory()
    numbers = range(words["start"], words["end"])
    until = time.time() + words["seconds"]  # from now on: a busy machine loads for long
    tally = run_block(plan, numbers, Path(words["at"]), until)
    print(json.dumps({"mutants": tally.mutants, "endings": tally.endings}))


if __name__ == "__main__":
    main()
