"""The arena: every ear, eye and fusion of this machine on the same clips, in one table.

Each contestant runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from av_tagger.bench.arena_run import (
    FILES,
    ArenaJob,
    Contestant,
    Cost,
    compete,
    has_results,
    plan_of,
    read_results_of,
    slug,
)
from av_tagger.bench.degrade import OVERLAP, VARIANTS
from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError, UsageError, did_you_mean
from av_tagger.evaluation.predictions import Prediction, Predictions
from av_tagger.evaluation.truth import WeakTruth, read_truth
from av_tagger.evaluation.uncertainty import Comparison, Uncertainty, compare, uncertainty
from av_tagger.media.suffixes import SOUND
from av_tagger.runner.processes import end_with_parent

EARS = ("starter", "yamnet", "efficientat:mn04", "efficientat:mn10", "efficientat:mn20")
TOGETHER = (  # the last that is here is the one that fusions use: the default ear
    "efficientat:mn04+starter",
    "efficientat:mn10+starter",
    "yamnet+starter+efficientat:mn04",
    "yamnet+starter+efficientat:mn10",
    "yamnet+starter",
)
FUSIONS = ("auto", "paper", "even", "max")


@dataclass(frozen=True)
class ArenaSettings:
    """`sample`: degrade that many clips, drawn with a fixed seed; 0: all."""

    variants: tuple[str, ...] = ()
    ears: tuple[str, ...] = ()
    sample: int = 0

    def __post_init__(self) -> None:
        known = (*VARIANTS, OVERLAP)
        for name in self.variants:
            if name not in known:
                raise UsageError(f"there is no variant {name!r}; {did_you_mean(name, known)}")
        if self.sample < 0:
            raise UsageError(f"{self.sample} clips cannot be degraded; give 1 or more, or 0: all")

    @property
    def with_clean(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("clean", *self.variants))) if self.variants else ()

    def drawn(self, clips: Sequence[Path]) -> tuple[Path, ...]:
        """The clips whose sound is degraded, in their order."""
        if not self.sample or self.sample >= len(clips):
            return tuple(clips)
        chosen = random.Random(0).sample(range(len(clips)), self.sample)
        return tuple(clips[i] for i in sorted(chosen))


@dataclass(frozen=True)
class Standing:
    """A row of the table."""

    contestant: Contestant
    figures: Uncertainty
    cost: Cost
    clips: int  # of the ground truth, with a result
    variants: Mapping[str, Comparison] = field(default_factory=dict)  # against the clean sound

    def as_json(self) -> dict[str, Any]:
        figures = self.figures.as_json()
        return {
            "name": self.contestant.name,
            "flags": dict(self.contestant.flags),
            "clips": self.clips,
            "values": {
                "micro_f1": self.figures.micro.value,
                "macro_f1": self.figures.macro.value,
                "map": {branch: i.value for branch, i in self.figures.mean_ap.items()},
                "classes": {
                    label: {
                        "f1": f1.value,
                        "ap": ap.value if (ap := self.figures.class_ap.get(label)) else None,
                    }
                    for label, f1 in self.figures.class_f1.items()
                },
            },
            "intervals": figures,
            "speed": self.cost.speed,
            "memory_mib": self.cost.memory,
            "variants": {name: c.as_json() for name, c in self.variants.items()},
        }


def contestants(
    classes: str, ears: Sequence[str] = (), *, pictures: bool = True
) -> list[Contestant]:
    """What is on this machine: ears alone, the eye alone, the last ear with every fusion."""
    named = [
        Contestant(f"ear {name}", {"ear": name, "only": "ear"})
        for name in (ears or (*EARS, *TOGETHER))
    ]
    heard = [c for c in named if _is_here(c, classes)]
    if not pictures:
        return heard
    both: dict[str, Any] = {"ear": heard[-1].flags["ear"]} if heard else {}
    eye = [Contestant("eye", {"only": "eye"})]
    eye += [Contestant(f"{both['ear']}, eye, {f}", both | {"fusion": f}) for f in FUSIONS if both]
    return [*heard, *(c for c in eye if _is_here(c, classes))]


def run_arena(
    clips: Sequence[Path],
    truth: Path,
    settings: ArenaSettings,
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Standing]:
    """One standing per contestant, as soon as it is done.

    Results stay in `folder`; those that are there already for the same clips and settings are used.
    """
    real = read_truth(truth)
    classes = ";".join(real.classes.labels)
    pictures = any(path.suffix.casefold() not in SOUND for path in clips)
    found = contestants(classes, settings.ears, pictures=pictures)
    if not found:
        raise UsageError("no ear and no eye is on this machine; see av-tag doctor")
    for contestant in found:
        say(contestant.name)
        place = folder / slug(contestant.name)
        place.mkdir(parents=True, exist_ok=True)
        job = ArenaJob(
            contestant, classes, tuple(clips), settings.drawn(clips), settings.with_clean, place
        )
        with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
            cost = pool.submit(compete, job).result()
        yield standing(job, cost, real)


def standing(job: ArenaJob, cost: Cost, real: WeakTruth) -> Standing:
    """Figures from the results that the contestant left in its folder."""
    labels = real.classes.labels
    files = read_results_of(job, FILES, real)
    here = {name: tags for name, tags in real.tags.items() if name in files.clips}
    if not here:
        raise UsageError(f"{job.contestant.name}: no clip of the ground truth could be tagged")
    figures = uncertainty(files, here, labels, real.recordings)
    return Standing(job.contestant, figures, cost, len(here), _losses(job, real))


def _losses(job: ArenaJob, real: WeakTruth) -> dict[str, Comparison]:
    """Every variant against the clean sound; none for contestants with an eye."""
    if not job.variants or not has_results(job, "clean"):
        return {}
    clean = read_results_of(job, "clean", real)
    found = {}
    for name in job.variants[1:]:
        one, tags = clean, real.tags
        if name == OVERLAP:
            one, tags = mixed(job.degraded, clean, real)
        new = read_results_of(job, name, real)
        found[name] = compare(one, new, tags, real.classes.labels, real.recordings)
    return found


def mixed(
    clips: Sequence[Path], clean: Predictions, real: WeakTruth
) -> tuple[Predictions, dict[str, tuple[str, ...]]]:
    """For each clip with the next: what was said of each alone together, and both truths."""
    keys = [_key_of(c, clean) for c in clips]
    known = real.tags.keys() & clean.clips.keys()
    following = zip(keys, [*keys[1:], *keys[:1]], strict=True)
    pairs = {key: other for key, other in following if key in known and other in known}
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


def _is_here(contestant: Contestant, classes: str) -> bool:
    try:
        plan = plan_of(contestant, classes)
    except AvTaggerError:
        return False
    return plan.ear.is_here if plan.ear is not None else plan.eye is not None


def _key_of(clip: Path, files: Predictions) -> str:
    from av_tagger.evaluation.keys import in_folder, key_of

    key = key_of(Clip(clip))
    return key if key in files.clips else in_folder(Clip(clip), key)
