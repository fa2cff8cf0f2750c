"""One contestant of the arena: tags clips and their degraded sound, resumable after a kill.

Results are appended in chunks of clips. A line of `NAME.cost.jsonl` follows each chunk, so that the
clips of an unfinished chunk are tagged again.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.bench.degrade import OVERLAP, RATE, VARIANTS, overlapped
from av_tagger.clip import Clip, Samples
from av_tagger.errors import AvTaggerError
from av_tagger.evaluation.predictions import Predictions, matched, read_predictions
from av_tagger.evaluation.truth import WeakTruth

if TYPE_CHECKING:
    from av_tagger.plan import Plan
    from av_tagger.scores import Failed, Tagged
    from av_tagger.tagger import Tagger

FILES = "files"  # the clips as they are, decoded from their files
CHUNK = 16  # clips whose results are written together
KEPT = 64  # decoded sounds in memory


@dataclass(frozen=True)
class Contestant:
    """A name in the table, and the flags of `av-tag` that make it."""

    name: str
    flags: Mapping[str, Any]


@dataclass(frozen=True)
class ArenaJob:
    """One contestant on all clips; picklable."""

    contestant: Contestant
    classes: str
    clips: tuple[Path, ...]
    degraded: tuple[Path, ...]  # the clips of the variants
    variants: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Cost:
    seconds: float  # processor time of tagging the files, without loading
    duration: float  # of the clips, in seconds
    memory: float  # MiB, peak

    @property
    def speed(self) -> float:
        """Seconds of clips per second of one processor core."""
        return self.duration / self.seconds if self.seconds else math.nan


def compete(job: ArenaJob) -> Cost:
    """In the contestant's own process: tag the files and their variants, write the results."""
    plan = plan_of(job.contestant, job.classes)
    _same_job(job, plan.fingerprint)
    work = {FILES: job.clips}
    if plan.ear is not None and plan.eye is None:
        work |= dict.fromkeys(job.variants, job.degraded)
    if any(_done(job, name) < len(clips) for name, clips in work.items()):
        tagger = plan.build()
        for name, clips in work.items():
            tag_clips(tagger, job, name, clips)
    return _total(job, FILES)


def tag_clips(tagger: Tagger, job: ArenaJob, variant: str, clips: Sequence[Path]) -> None:
    """Append the results of the clips that have none yet."""
    results, costs = _paths(job, variant)
    done = _done(job, variant)
    _cut(results, done)
    for at in range(done, len(clips), CHUNK):
        chunk = clips[at : at + CHUNK]
        began = time.process_time()
        outcomes = list(_outcomes(tagger, variant, clips, at))
        cost = {
            "clips": len(chunk),
            "seconds": time.process_time() - began,
            "duration": sum(getattr(o, "duration_seconds", 0.0) for o in outcomes),
            "memory": _peak(),
        }
        _append(results, [_line(outcome) for outcome in outcomes])
        _append(costs, [json.dumps(cost) + "\n"])


def _outcomes(
    tagger: Tagger, variant: str, clips: Sequence[Path], at: int
) -> Iterator[Tagged | Failed]:
    """One per clip of the chunk that begins at `at`."""
    chunk = clips[at : at + CHUNK]
    if variant == FILES:
        yield from tagger.stream([Clip(path) for path in chunk])
        return
    from av_tagger.media.recording import from_arrays

    for i, path in enumerate(chunk, at):
        sound = sound_of(path)
        if not len(sound):
            yield from tagger.stream([Clip(path)])  # fails, or has no sound: as in `files`
            continue
        if variant == OVERLAP:
            x = overlapped(sound, sound_of(clips[(i + 1) % len(clips)]))
        else:
            x = VARIANTS[variant](sound)
        yield from tagger.stream([from_arrays(x, RATE, name=str(path))])


@lru_cache(KEPT)
def sound_of(path: Path) -> Samples:
    """The whole sound of a file, empty if it has none."""
    import numpy as np

    from av_tagger.media.decoder_pool import open_media
    from av_tagger.protocols import DecodeRequest

    request = DecodeRequest(RATE, short_side=None, window_seconds=600.0, overlap_seconds=0.0)
    try:
        parts = [m.waveform.samples for m in open_media(Clip(path), request) if m.waveform]
    except AvTaggerError:
        parts = []
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def plan_of(contestant: Contestant, classes: str) -> Plan:
    """Nothing is downloaded."""
    from av_tagger.config import configure
    from av_tagger.plan import make_plan

    flags = {**contestant.flags, "classes": classes, "offline": True}
    return make_plan(configure(None, flags), download=False)


def read_results_of(job: ArenaJob, variant: str, real: WeakTruth) -> Predictions:
    return matched(read_predictions(_paths(job, variant)[0], real.classes, others=True), real.tags)


def has_results(job: ArenaJob, variant: str) -> bool:
    return _paths(job, variant)[0].exists()


def _same_job(job: ArenaJob, fingerprint: str) -> None:
    """Earlier results in the folder count only for the same clips, classes and settings."""
    path = job.folder / "job.json"
    now = {
        "settings": fingerprint,
        "clips": [_state_of(clip) for clip in job.clips],
        "degraded": [str(clip) for clip in job.degraded],
    }
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if before == now:
        return
    for old in job.folder.glob("*.jsonl"):
        old.unlink()
    path.write_text(json.dumps(now), encoding="utf-8")


def _state_of(clip: Path) -> list[str | int]:
    try:
        found = clip.stat()
    except OSError:
        return [str(clip)]
    return [str(clip), found.st_size, found.st_mtime_ns]


def _done(job: ArenaJob, variant: str) -> int:
    """Clips whose results are complete."""
    return sum(int(row["clips"]) for row in _costs(_paths(job, variant)[1]))


def _cut(results: Path, done: int) -> None:
    """Without what a killed run left of an unfinished chunk."""
    lines = results.read_text(encoding="utf-8").splitlines(keepends=True) if done else []
    results.write_text("".join(lines[:done]), encoding="utf-8")


def _costs(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _total(job: ArenaJob, variant: str) -> Cost:
    rows = _costs(_paths(job, variant)[1])
    seconds, duration = (sum(float(row[key]) for row in rows) for key in ("seconds", "duration"))
    return Cost(seconds, duration, max((float(row["memory"]) for row in rows), default=math.nan))


def _peak() -> float:
    """MiB; NaN on systems that do not tell."""
    try:
        from av_tagger.bench.measure import peak_mebibytes
    except ImportError:
        return math.nan
    return peak_mebibytes()


def _paths(job: ArenaJob, variant: str) -> tuple[Path, Path]:
    name = slug(variant)
    return job.folder / f"{name}.jsonl", job.folder / f"{name}.cost.jsonl"


def _append(path: Path, lines: Sequence[str]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(lines))


def _line(outcome: Tagged | Failed) -> str:
    from av_tagger.reports.schema import as_line

    return as_line(outcome) + "\n"


def slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)
