"""The arena: every ear, eye and fusion of this machine on the same clips, in one table.

Each contestant runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_tagger.bench.degrade import OVERLAP, RATE, VARIANTS, overlapped
from av_tagger.clip import Clip, Samples
from av_tagger.errors import AvTaggerError, UsageError, did_you_mean
from av_tagger.evaluation.predictions import Prediction, Predictions, matched, read_predictions
from av_tagger.evaluation.truth import WeakTruth, read_truth
from av_tagger.evaluation.uncertainty import Comparison, Uncertainty, compare, uncertainty

if TYPE_CHECKING:
    from av_tagger.plan import Plan
    from av_tagger.tagger import Tagger

EARS = ("starter", "yamnet", "efficientat:mn04", "efficientat:mn10", "efficientat:mn20")
TOGETHER = ("yamnet+starter", "efficientat:mn04+starter", "efficientat:mn10+starter")
FUSIONS = ("auto", "even", "max")
FILES = "files"  # the clips as they are, decoded from their files


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
    variants: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Cost:
    seconds: float  # processor time of tagging the files, without loading
    duration: float  # of the clips, in seconds
    memory: int  # bytes, peak

    @property
    def speed(self) -> float:
        """Seconds of clips per second of one processor core."""
        return self.duration / self.seconds if self.seconds else math.nan


@dataclass(frozen=True)
class Standing:
    """A row of the table."""

    contestant: Contestant
    figures: Uncertainty
    cost: Cost
    variants: Mapping[str, Comparison] = field(default_factory=dict)  # against the clean sound

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.contestant.name,
            "flags": dict(self.contestant.flags),
            "micro_f1": self.figures.micro.value,
            "map": {branch: i.value for branch, i in self.figures.mean_ap.items()},
            "speed": self.cost.speed,
            "memory": self.cost.memory,
            **self.figures.as_json(),
            "variants": {name: c.as_json() for name, c in self.variants.items()},
        }


def contestants(classes: str, ears: Sequence[str] = (), offline: bool = True) -> list[Contestant]:
    """What is on this machine: ears alone, the eye alone, the first ear with every fusion."""
    named = [
        Contestant(f"ear {name}", {"ear": name, "only": "ear"})
        for name in (ears or (*EARS, *TOGETHER))
    ]
    heard = [c for c in named if _is_here(c, classes, offline)]
    both: dict[str, Any] = {"ear": heard[-1].flags["ear"]} if heard else {}
    eye = [Contestant("eye", {"only": "eye"})]
    eye += [Contestant(f"{both['ear']}, eye, {f}", both | {"fusion": f}) for f in FUSIONS if both]
    return [*heard, *(c for c in eye if _is_here(c, classes, offline))]


def check_variants(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in (*VARIANTS, OVERLAP):
            known = (*VARIANTS, OVERLAP)
            raise UsageError(f"there is no variant {name!r}; {did_you_mean(name, known)}")
    return tuple(dict.fromkeys(("clean", *names))) if names else ()


def run_arena(
    clips: Sequence[Path], truth: Path, variants: Sequence[str], ears: Sequence[str], folder: Path
) -> Iterator[Standing]:
    """One standing per contestant, as soon as it is done; results stay in `folder`."""
    real = read_truth(truth)
    classes = ";".join(real.classes.labels)
    wanted = check_variants(variants)
    found = contestants(classes, ears)
    if not found:
        raise UsageError("no ear and no eye is on this machine; see av-tag doctor")
    for number, contestant in enumerate(found):
        place = folder / f"{number:02d}"
        place.mkdir(parents=True, exist_ok=True)
        job = ArenaJob(contestant, classes, tuple(clips), wanted, place)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            cost = pool.submit(compete, job).result()
        yield standing(job, cost, real)


def standing(job: ArenaJob, cost: Cost, real: WeakTruth) -> Standing:
    """Figures from the results that the contestant left in its folder."""
    labels = real.classes.labels
    files = _read(job, FILES, real)
    compared = {}
    if (job.folder / "clean.jsonl").exists():  # of ears alone
        clean = _read(job, "clean", real)
        for name in job.variants[1:]:
            one, tags = clean, real.tags
            if name == OVERLAP:
                one, tags = mixed(job.clips, clean, real)
            compared[name] = compare(one, _read(job, name, real), tags, labels, real.recordings)
    here = {name: tags for name, tags in real.tags.items() if name in files.clips}
    if not here:
        raise UsageError(f"{job.contestant.name}: no clip of the ground truth could be tagged")
    figures = uncertainty(files, here, labels, real.recordings)
    return Standing(job.contestant, figures, cost, compared)


def mixed(
    clips: Sequence[Path], clean: Predictions, real: WeakTruth
) -> tuple[Predictions, dict[str, tuple[str, ...]]]:
    """For each clip with the next: what was said of each alone together, and both truths."""
    order = [k for k in (_key_of(c, clean) for c in clips) if k in real.tags and k in clean.clips]
    pairs = dict(zip(order, [*order[1:], *order[:1]], strict=True))
    tags = {key: _union(real.tags[key], real.tags[other]) for key, other in pairs.items()}
    said = {key: _both(clean.clips[key], clean.clips[other]) for key, other in pairs.items()}
    return replace(clean, clips=said), tags


def _union(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _both(one: Prediction, other: Prediction) -> Prediction:
    scores = {
        branch: {label: max(p, other.scores[branch][label]) for label, p in row.items()}
        for branch, row in one.scores.items()
    }
    return replace(one, tags=_union(one.tags, other.tags), scores=scores)


def compete(job: ArenaJob) -> Cost:
    """In the contestant's own process: tag the files and their variants, write the results."""
    import resource

    tagger = _plan(job.contestant, job.classes).build()
    began, seconds, duration = time.process_time(), 0.0, 0.0
    with (job.folder / f"{FILES}.jsonl").open("w", encoding="utf-8") as out:
        for outcome in tagger.stream([Clip(path) for path in job.clips]):
            duration += getattr(outcome, "duration_seconds", 0.0)
            out.write(_line(outcome))
    seconds = time.process_time() - began
    if job.variants and tagger.parts.ear is not None and tagger.parts.eye is None:
        _degraded(tagger, job)
    return Cost(seconds, duration, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _degraded(tagger: Tagger, job: ArenaJob) -> None:
    from av_tagger.media.recording import from_arrays

    sounds = [sound_of(path) for path in job.clips]
    for name in job.variants:
        with (job.folder / f"{_slug(name)}.jsonl").open("w", encoding="utf-8") as out:
            for i, (path, sound) in enumerate(zip(job.clips, sounds, strict=True)):
                if not len(sound):
                    continue
                other = sounds[(i + 1) % len(sounds)]
                x = overlapped(sound, other) if name == OVERLAP else VARIANTS[name](sound)
                (outcome,) = tagger.stream([from_arrays(x, RATE, name=str(path))])
                out.write(_line(outcome))


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


def _plan(contestant: Contestant, classes: str, offline: bool = True) -> Plan:
    from av_tagger.config import configure
    from av_tagger.plan import make_plan

    flags = {**contestant.flags, "classes": classes, "offline": offline}
    return make_plan(configure(None, flags), download=False)


def _is_here(contestant: Contestant, classes: str, offline: bool) -> bool:
    try:
        plan = _plan(contestant, classes, offline)
    except AvTaggerError:
        return False
    return plan.ear.is_here if plan.ear is not None else plan.eye is not None


def _read(job: ArenaJob, variant: str, real: WeakTruth) -> Predictions:
    path = job.folder / f"{_slug(variant)}.jsonl"
    return matched(read_predictions(path, real.classes, others=True), real.tags)


def _key_of(clip: Path, files: Predictions) -> str:
    from av_tagger.evaluation.keys import in_folder, key_of

    key = key_of(Clip(clip))
    return key if key in files.clips else in_folder(Clip(clip), key)


def _line(outcome: Any) -> str:
    from av_tagger.reports.schema import as_line

    return as_line(outcome) + "\n"


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)
