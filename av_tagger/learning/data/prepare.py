"""From what the user names (tables, folders) to the data of a run: read, decoded once, split, with everything left out named."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from av_tagger.errors import UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.data.audioset import is_released, released_data
from av_tagger.learning.data.bags import Kind, WaveformBags, waveform_bags
from av_tagger.learning.data.balance import generator
from av_tagger.learning.data.embeddings import embedding_bags, embeddings_of
from av_tagger.learning.data.manifests import Example, ExampleSet, Skipped, read_examples
from av_tagger.learning.data.store import Progress, StoreSettings, build_store
from av_tagger.learning.learner import architecture_of
from av_tagger.learning.recipe import Recipe
from av_tagger.learning.run import Data


@dataclass(frozen=True)
class Sources:
    """What the user names; a table's files lie beside it unless `media` says where."""

    training: tuple[Path, ...]
    validation: tuple[Path, ...] = ()  # none: `hold_out` of the training clips are set apart
    background: tuple[Path, ...] = ()  # none: the training clips without any of the classes
    media: Path | None = None
    hold_out: float = 0.1
    store: Path | None = None  # where decoded sound is kept; none: the user's cache
    embeddings: Path | None = (
        None  # a file of `av-tag embed`; none: clips are embedded here when the recipe wants it
    )
    workers: int = 1  # decoding processes
    origin: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.hold_out < 1:
            raise ValueError(f"the share that is held out lies between 0 and 1: {self.hold_out}")


def assemble(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> Data:
    """The data of a run, of the kind that the recipe learns from."""
    if recipe.data not in READERS:
        raise UsageError(
            f"recipe {recipe.name} learns from {recipe.data}; there is no reader for them"
        )
    return READERS[recipe.data](sources, classes, recipe, progress)


def waveform_data(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> Data:
    training, validation = _examples(sources, classes, recipe)
    background = (
        _read(sources.background, classes, sources.media)
        if sources.background
        else _without_labels(training)
    )
    folder, settings = sources.store or store_folder(), _settings(sources, recipe)
    sets = [
        training,
        validation,
        *([background] if recipe.augment.background_share and len(background) else []),
    ]
    total = sum(len(s) for s in sets)
    bags: list[WaveformBags] = []
    for i, examples in enumerate(sets):
        bar = _from(sum(len(s) for s in sets[:i]), total, progress)
        store = build_store(
            [e.clip for e in examples.examples], folder, settings, progress=bar, patient=_follows()
        )
        bags.append(waveform_bags(examples, store, recipe.crop_seconds))
    notes = _shared_clips(training, validation)
    return Data(
        bags[0], bags[1], bags[2] if len(bags) > 2 else None, classes.ids, sources.origin, notes
    )


def embedding_data(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> Data:
    """Clips as an ear that knows many sounds hears them: from a file, or embedded here once and kept; or AudioSet's released features."""
    if is_released(sources):
        return released_data(sources, classes, recipe, progress)
    training, validation = _examples(sources, classes, recipe)
    found = embeddings_of(
        sources.embeddings, recipe.embedder, sources.store or store_folder().with_name("embeddings")
    )
    total = len(training) + len(validation)
    bags = (
        embedding_bags(training, found, _from(0, total, progress)),
        embedding_bags(validation, found, _from(len(training), total, progress)),
    )
    notes = (*_shared_clips(training, validation), *found.notes)
    return Data(*bags, ids=classes.ids, origin=sources.origin, notes=notes, embedder=found.ear)


def _examples(
    sources: Sources, classes: ClassList, recipe: Recipe
) -> tuple[ExampleSet, ExampleSet]:
    """What to learn from, and what to validate on."""
    training = _read(sources.training, classes, sources.media)
    if sources.validation:
        return training, _read(sources.validation, classes, sources.media)
    return hold_out(training, sources.hold_out, recipe.seed)


def hold_out(examples: ExampleSet, share: float, seed: int) -> tuple[ExampleSet, ExampleSet]:
    """A validation set in which the classes are as even as the data allow (AV §3.1); clips of one file stay together."""
    files: dict[Path, list[Example]] = {}
    for example in examples.examples:
        files.setdefault(example.clip.path, []).append(example)
    order = [list(files.values())[i] for i in generator(seed, 30).permutation(len(files))]
    quota = max(1, round(share * len(examples) / (len(examples.classes) + 1)))
    chosen: set[Path] = set()
    for wanted in [
        *sorted(examples.classes.labels, key=lambda label: _count(examples, label)),
        None,
    ]:
        found = sum(_has(e, wanted) for e in examples.examples if e.clip.path in chosen)
        available = sum(_has(e, wanted) for e in examples.examples)
        for group in order:
            if found >= min(
                quota, available // 2
            ):  # a class keeps at least half of its clips for training
                break
            if group[0].clip.path not in chosen and any(_has(e, wanted) for e in group):
                chosen.add(group[0].clip.path)
                found += sum(_has(e, wanted) for e in group)
    kept = tuple(e for e in examples.examples if e.clip.path not in chosen)
    held = tuple(e for e in examples.examples if e.clip.path in chosen)
    return replace(examples, examples=kept), ExampleSet(examples.classes, held)


def store_folder() -> Path:
    """Where decoded clips are kept unless the user says otherwise."""
    chosen = os.environ.get("AV_TAGGER_CACHE")
    return (
        Path(chosen) if chosen else platformdirs.user_cache_path("av-tagger", appauthor=False)
    ) / "waveforms"


def skipped(data: Data) -> tuple[Skipped, ...]:
    """Everything that was left out, each thing once."""
    bags = (data.training, data.validation, data.background)
    found = [s for b in bags for s in getattr(b, "skipped", ())]
    return tuple(dict.fromkeys(found))


def _read(sources: Sequence[Path], classes: ClassList, media: Path | None) -> ExampleSet:
    sets = [read_examples(source, classes, media) for source in sources]
    return ExampleSet(
        classes,
        tuple(e for s in sets for e in s.examples),
        tuple(k for s in sets for k in s.skipped),
    )


def _without_labels(examples: ExampleSet) -> ExampleSet:
    return ExampleSet(
        examples.classes, tuple(e for e in examples.examples if not e.labels and not e.unknown)
    )


def _has(example: Example, label: str | None) -> bool:
    return label in example.labels if label is not None else not example.labels


def _count(examples: ExampleSet, label: str) -> int:
    return sum(label in e.labels for e in examples.examples)


def _settings(sources: Sources, recipe: Recipe) -> StoreSettings:
    frontend = architecture_of(recipe, 1).frontend
    if frontend is None:
        raise UsageError(
            f"recipe {recipe.name} learns from waveforms, but its architecture has no front end to hear them"
        )
    return StoreSettings(frontend.rate, workers=sources.workers)


def _follows() -> bool:
    """Whether another process of this run (torchrun's first) decodes, and this one only waits for it."""
    return int(os.environ.get("RANK", "0")) > 0


def _from(start: int, total: int, progress: Progress | None) -> Progress | None:
    """One bar over several stores."""
    return (lambda done, _: progress(start + done, total)) if progress else None


def _shared_clips(training: ExampleSet, validation: ExampleSet) -> tuple[str, ...]:
    both = {e.clip for e in training.examples} & {e.clip for e in validation.examples}
    if not both:
        return ()
    one = min(clip.name for clip in both)
    return (
        f"{len(both)} of the validation clips are training clips, too (such as {one}): the figures are not to be trusted",
    )


READERS: Mapping[Kind, Callable[[Sources, ClassList, Recipe, Progress | None], Data]] = {
    "waveform": waveform_data,
    "embeddings": embedding_data,
}
