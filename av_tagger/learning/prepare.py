"""From tables and folders to training data: read, decode once, split, list what is skipped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger import cache
from av_tagger.errors import UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.data.audioset import ReleasedFeatures, holds_features, joined
from av_tagger.learning.data.background import HELD_EVERY, made_background, named_background
from av_tagger.learning.data.bags import EmbeddingBags, Kind, WaveformBags, waveform_bags
from av_tagger.learning.data.balance import Indices, generator
from av_tagger.learning.data.embeddings import embedding_bags, embeddings_of
from av_tagger.learning.data.examples import Example, ExampleSet, SkippedEntry
from av_tagger.learning.data.manifests import read_examples
from av_tagger.learning.data.store import Progress, StoreSettings, build_store
from av_tagger.learning.data.teacher import Teacher, TeacherTargets
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.learner import architecture_of
from av_tagger.learning.recipe import Recipe


@dataclass(frozen=True)
class Sources:
    """Where the data are; files of a table lie beside it unless `media` is given."""

    training: tuple[Path, ...]
    validation: tuple[Path, ...] = ()  # none: `hold_out` of the training clips
    background: tuple[Path, ...] = ()  # folders or files; none: training clips without any class
    media: Path | None = None
    cross_validation: bool = False  # validation is training: it will be split into folds
    hold_out: float = 0.1  # a share of all clips, or 1 and more: clips per class
    store: Path | None = None  # for decoded sound and other caches; none: the user's cache
    embeddings: Path | None = None  # a file of `av-tag embed`; none: computed when needed
    workers: int = 1  # decoding processes
    origin: str = ""  # the command, for the card

    def __post_init__(self) -> None:
        if not (0 < self.hold_out < 1 or (self.hold_out >= 1 and self.hold_out % 1 == 0)):
            raise ValueError(
                "hold_out is a share between 0 and 1, or a whole number of clips per class:"
                f" {self.hold_out}"
            )

    def cache(self, kind: str) -> Path:
        """The folder for a kind of cached data: waveforms, embeddings, teacher."""
        return self.store or cache.folder(kind)


RELEASED, RELEASED_WIDTH = "vggish", 128  # the network that made AudioSet's features
NO_NEGATIVES = (
    "none of your clips is without all of the classes, so other sounds may be taken for them; add"
    " recordings of your surroundings: --background FOLDER"
)
CANDIDATES = 1000  # files looked at for each place in the held-out set


def read_data(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> TrainingData:
    """The data of a run, of the kind that the recipe trains on."""
    if recipe.data not in READERS:
        raise UsageError(f"recipe {recipe.name} trains on {recipe.data}, which cannot be read")
    return READERS[recipe.data](sources, classes, recipe, progress)


def waveform_data(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> TrainingData:
    """Clips decoded into the waveform store; background clips if the recipe mixes them in."""
    training, validation = _examples(sources, classes, recipe)
    sets = [training, validation, *_background(sources, classes, recipe, training)]
    total = sum(map(len, sets)) + (len(training) if recipe.teacher.ear else 0)
    bags: list[WaveformBags] = []
    for i, examples in enumerate(sets):
        bar = _from(sum(map(len, sets[:i])), total, progress)
        clips = [e.clip for e in examples.examples]
        store = build_store(
            clips,
            sources.cache("waveforms"),
            _settings(sources, recipe),
            progress=bar,
            patient=_follows(),
        )
        bags.append(waveform_bags(examples, store, recipe.crop_seconds))
    unusable = len(training) - len(bags[0])
    bar = _from(sum(map(len, sets)) + unusable, total, progress)
    return TrainingData(
        bags[0],
        bags[1],
        bags[2] if len(bags) > 2 else None,
        classes.ids,
        sources.origin,
        _shared_clips(sources, training, validation),
        teacher=_teacher(sources, recipe, training, bags[0], bar),
    )


def embedding_data(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> TrainingData:
    """Embeddings of a file, computed here and cached, or AudioSet's released features."""
    if recipe.teacher.ear:
        raise UsageError(f"recipe {recipe.name}: a teacher needs a recipe on waveforms")
    if _is_released(sources):
        return released_data(sources, classes, recipe, progress)
    training, validation = _examples(sources, classes, recipe)
    training, validation, advice = _with_background(sources, recipe, training, validation)
    found = embeddings_of(sources.embeddings, recipe.embedder, sources.cache("embeddings"))
    total = len(training) + len(validation)
    bags = (
        embedding_bags(training, found, _from(0, total, progress)),
        embedding_bags(validation, found, _from(len(training), total, progress)),
    )
    notes = (*_shared_clips(sources, training, validation), *advice, *found.notes)
    return TrainingData(
        *bags, ids=classes.ids, origin=sources.origin, notes=notes, embedder=found.ear
    )


def released_data(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> TrainingData:
    """AudioSet's features: folders of TFRecord files, packed stores, or segments lists."""
    features = ReleasedFeatures(sources.cache("waveforms"), sources.media, progress)
    training = joined([features.bags(source, classes) for source in sources.training])
    if sources.validation:
        validation = joined([features.bags(source, classes) for source in sources.validation])
    else:
        order = generator(recipe.seed, 30).permutation(len(training))
        held = np.sort(_held_bags(training, order, sources.hold_out))
        rest = np.setdiff1d(np.arange(len(training)), held)
        training, validation = training.subset(rest), training.subset(held)
    ear = RELEASED if training.rows.shape[1] == RELEASED_WIDTH else ""
    return TrainingData(training, validation, None, classes.ids, sources.origin, embedder=ear)


def hold_out(examples: ExampleSet, amount: float, seed: int) -> tuple[ExampleSet, ExampleSet]:
    """Training and validation sets; the latter with the same number of clips per class (AV §3.1).

    `amount` is that number if it is 1 or more, else the share of all clips. Clips of one file stay
    together. Of each class at least half of the clips stay in the training set.
    """
    files: dict[Path, list[Example]] = {}
    for example in examples.examples:
        files.setdefault(example.clip.path, []).append(example)
    paths = [list(files)[i] for i in generator(seed, 30).permutation(len(files))]
    counts = np.array([_counts(files[path], examples.classes.labels) for path in paths])
    chosen = {paths[i] for i in balanced(counts, _quota(examples, amount))}
    kept = tuple(e for e in examples.examples if e.clip.path not in chosen)
    held = tuple(e for e in examples.examples if e.clip.path in chosen)
    return replace(examples, examples=kept), ExampleSet(examples.classes, held)


def balanced(counts: NDArray[np.int64], quota: int) -> list[int]:
    """Rows of (files, columns) whose sum is near `quota` in every column, at most half of each.

    The column that lacks most gets the file that adds least to columns that are full already.
    """
    total = counts.sum(axis=0)
    wanted = np.minimum(quota, total // 2)
    held, free = np.zeros_like(total), np.ones(len(counts), bool)
    chosen: list[int] = []
    open_columns = set(np.flatnonzero(wanted).tolist())
    members = [np.flatnonzero(column) for column in counts.T]
    while open_columns:
        column = min(open_columns, key=lambda k: (held[k] / wanted[k], total[k], k))
        rows = members[column][free[members[column]]][:CANDIDATES]
        rows = rows[(held + counts[rows] <= total // 2).all(axis=1)]
        if held[column] >= wanted[column] or not len(rows):
            open_columns.discard(column)
            continue
        excess = np.maximum(held + counts[rows] - wanted, 0).sum(axis=1)
        row = int(rows[excess.argmin()])
        chosen.append(row)
        held, free[row] = held + counts[row], False
    return chosen


def skipped(data: TrainingData) -> tuple[SkippedEntry, ...]:
    """Everything that was skipped, without duplicates."""
    bags = (data.training, data.validation, data.background)
    found = [s for b in bags for s in getattr(b, "skipped", ())]
    return tuple(dict.fromkeys(found))


def _examples(
    sources: Sources, classes: ClassList, recipe: Recipe
) -> tuple[ExampleSet, ExampleSet]:
    """Training and validation examples."""
    training = _read(sources.training, classes, sources.media)
    if sources.validation:
        return training, _read(sources.validation, classes, sources.media)
    return hold_out(training, sources.hold_out, recipe.seed)


def _background(
    sources: Sources, classes: ClassList, recipe: Recipe, training: ExampleSet
) -> list[ExampleSet]:
    """The clips to mix in, if the recipe mixes any: those named, or training clips of no class."""
    if not recipe.augment.background_share:
        return []
    if sources.background:
        found = ExampleSet(classes, named_background(sources.background))
    else:
        empty = tuple(e for e in training.examples if not e.labels and not e.unknown)
        found = ExampleSet(training.classes, empty)
    return [found] if len(found) else []


def _with_background(
    sources: Sources, recipe: Recipe, training: ExampleSet, validation: ExampleSet
) -> tuple[ExampleSet, ExampleSet, tuple[str, ...]]:
    """Both sets with clips of none of the classes, and advice if the user has none."""
    negatives = sum(not e.labels and not e.unknown for e in training.examples)
    extra = named_background(sources.background)
    if recipe.background and sources.embeddings is None:
        labels = training.classes.labels
        extra += made_background(recipe.background, labels, sources.cache("background"))
    advice = () if negatives or sources.background else (NO_NEGATIVES,)
    held = extra if sources.cross_validation else extra[HELD_EVERY - 1 :: HELD_EVERY]
    rest = tuple(e for e in extra if e not in held or sources.cross_validation)
    return _more(training, rest), _more(validation, held), advice


def _more(examples: ExampleSet, others: Sequence[Example]) -> ExampleSet:
    return replace(examples, examples=(*examples.examples, *others))


def _teacher(
    sources: Sources,
    recipe: Recipe,
    training: ExampleSet,
    bags: WaveformBags,
    progress: Progress | None,
) -> TeacherTargets | None:
    """The teacher's scores of the training clips, for a recipe with a teacher."""
    if not recipe.teacher.ear:
        return None
    clips = [training.examples[i].clip for i in bags.clips]
    teacher = Teacher(recipe.teacher, sources.cache("teacher"))
    return teacher.targets(clips, bags.labels, progress)


def _read(sources: Sequence[Path], classes: ClassList, media: Path | None) -> ExampleSet:
    sets = [read_examples(source, classes, media) for source in sources]
    return ExampleSet(
        classes,
        tuple(e for s in sets for e in s.examples),
        tuple(k for s in sets for k in s.skipped),
    )


def _is_released(sources: Sources) -> bool:
    """Whether a source holds AudioSet's features."""
    paths = (*sources.training, *filter(None, [sources.media]))
    return sources.embeddings is None and any(map(holds_features, paths))


def _counts(clips: Sequence[Example], labels: Sequence[str]) -> list[int]:
    """Clips of each class, then those without any."""
    per_class = [sum(label in e.labels for e in clips) for label in labels]
    return [*per_class, sum(not e.labels for e in clips)]


def _quota(examples: ExampleSet, amount: float) -> int:
    """Validation clips per class."""
    if amount >= 1:
        return round(amount)
    return max(1, round(amount * len(examples) / (len(examples.classes) + 1)))


def _held_bags(training: EmbeddingBags, order: NDArray[np.int64], amount: float) -> Indices:
    """A share of the bags at random, or the same number of bags per class."""
    if amount < 1:
        return order[: max(1, round(amount * len(training)))]
    present = (training.targets[order] > 0.5).astype(np.int64)
    return order[balanced(present, round(amount))]


def _settings(sources: Sources, recipe: Recipe) -> StoreSettings:
    frontend = architecture_of(recipe, 1).frontend
    if frontend is None:
        raise UsageError(
            f"recipe {recipe.name} trains on waveforms, but its architecture has no front end"
        )
    return StoreSettings(frontend.rate, workers=sources.workers)


def _follows() -> bool:
    """Whether another process of this run (rank 0 of torchrun) decodes the clips."""
    return int(os.environ.get("RANK", "0")) > 0


def _from(start: int, total: int, progress: Progress | None) -> Progress | None:
    """Report one part of a longer task."""
    return (lambda done, _: progress(start + done, total)) if progress else None


def _shared_clips(
    sources: Sources, training: ExampleSet, validation: ExampleSet
) -> tuple[str, ...]:
    if sources.cross_validation:
        return ()
    both = {e.clip for e in training.examples} & {e.clip for e in validation.examples}
    if not both:
        return ()
    example = min(clip.name for clip in both)
    problem = f"{len(both)} of the validation clips are also training clips (such as {example})"
    return (f"{problem}: the validation metrics are too optimistic",)


READERS: Mapping[Kind, Callable[[Sources, ClassList, Recipe, Progress | None], TrainingData]] = {
    "waveform": waveform_data,
    "embeddings": embedding_data,
}
