"""Own classes from a few dozen clips: train on recordings of some publishers, test on others.

    AV_TAGGER_WEIGHTS=FOLDER python -m av_tagger.bench.own SOUNDS --films FILMS

SOUNDS holds dev.csv with the columns file, source_label and source. FILMS holds dev.csv with the
columns file and labels: those of street sounds, of which none is an animal, so each tag is false.
`--set background=0 keep.thresholds=two-step` is training without made background. Embedding,
training and tagging are timed on one core with an empty cache.
"""

from __future__ import annotations

import csv
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_tagger.bench.measure import parser, run_main
from av_tagger.learning.data.manifests import classes_in
from av_tagger.learning.prepare import Sources, read_data
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from av_tagger.learning.validation import Validation, validate
from av_tagger.plan import load
from av_tagger.scores import Tagged

ANIMALS = ("cat", "cow", "dog", "elephant", "horse", "lion", "pig", "sheep")
PUBLISHERS = (
    "aequanima/Sono",
    "ViktorGlazkov/SoundsOfNature",
    "CelebrityPunks/TheSoundOfEverything",
)  # of the test clips


@dataclass(frozen=True)
class Split:
    """Files and their class."""

    training: tuple[tuple[Path, str], ...]
    validation: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Result:
    validation: Validation
    right: int  # test clips that get their own tag and no other
    training_seconds: float
    tagging_seconds: float
    films: int = 0
    false_tags: int = 0  # in these films
    false_films: int = 0  # films with any


def split(sounds: Path, animals: Sequence[str] = ANIMALS) -> Split:
    """Clips of the classes, split by publisher."""
    with (sounds / "dev.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            (sounds / r["file"], animal_in(r["source_label"]), r["source"] in PUBLISHERS)
            for r in csv.DictReader(file)
        ]
    known = [row for row in rows if row[1] in animals]
    return Split(
        tuple((f, a) for f, a, held in known if not held),
        tuple((f, a) for f, a, held in known if held),
    )


def animal_in(label: str) -> str:
    """The class in a label: `cat` in `cats`, `other [cat_1.mp3]` and `other [cat2.wav]`."""
    found = re.fullmatch(r"(?:other \[)?([a-z]+?)s?(?:_?\d*\.\w+\])?", label)
    return found.group(1) if found else ""


def unrelated(films: Path) -> list[Path]:
    """Films with a street sound by their label, whose other sounds are known well enough."""
    with (films / "dev.csv").open(newline="", encoding="utf-8") as file:
        return [films / r["file"] for r in csv.DictReader(file) if r["labels"]]


def learn(
    parts: Split,
    ear: str,
    run: Path,
    settings: Sequence[str] = (),
    films: Sequence[Path] = (),
) -> Result:
    """The steps of `av-tag train own-classes --data clips.csv -o RUN` and `av-tag --ear RUN`."""
    began = time.perf_counter()
    manifest = run.with_suffix(".csv")
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "labels"), *parts.training])
    recipe = read_recipe("own-classes", [f"embedder={ear}", *settings])
    train(
        recipe,
        read_data(Sources((manifest,)), classes_in([manifest]), recipe),
        run,
        TrainingOptions("cpu"),
    )
    trained = time.perf_counter()
    tagger = load(ear=str(run), only="ear", device="cpu", offline=True)
    outcomes = [
        o for o in tagger.tag([file for file, _ in parts.validation]) if isinstance(o, Tagged)
    ]
    tagged = time.perf_counter()
    labels = tagger.parts.labels
    scores = np.array([[o.scores[label].fused for label in labels] for o in outcomes], np.float32)
    targets = np.array(
        [[label == animal for label in labels] for _, animal in parts.validation], np.float32
    )
    right = sum(
        [t.label for t in o.tags] == [animal]
        for o, (_, animal) in zip(outcomes, parts.validation, strict=True)
    )
    said = [len(o.tags) for o in tagger.tag(films) if isinstance(o, Tagged)] if films else []
    return Result(
        validate(scores, targets, float("nan")),
        right,
        trained - began,
        tagged - trained,
        len(said),
        sum(said),
        sum(map(bool, said)),
    )


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("sounds", type=Path, help="folder with dev.csv")
    options.add_argument("--ear", default="efficientat:mn04", help="whose embeddings are used")
    options.add_argument("--classes", nargs="+", default=ANIMALS)
    options.add_argument("--films", type=Path, help="folder of unrelated films with dev.csv")
    options.add_argument("--set", nargs="+", default=[], help="recipe settings, as length.epochs=3")
    chosen = options.parse_args(words)
    import torch

    torch.set_num_threads(1)
    parts = split(chosen.sounds, chosen.classes)
    with tempfile.TemporaryDirectory() as folder, _cache_in(folder):
        cpu = time.process_time()
        films = unrelated(chosen.films) if chosen.films else []
        found = learn(parts, chosen.ear, Path(folder) / "run", chosen.set, films)
        cpu = time.process_time() - cpu
    count = len(parts.validation)
    print(
        f"{len(parts.training)} clips for training, {count} for testing, "
        f"{len(chosen.classes)} classes (accuracy by chance: {1 / len(chosen.classes):.3f})"
    )
    print(
        f"accuracy {found.validation.accuracy:.3f}, mAP {found.validation.map:.3f}; "
        f"{found.right} of {count} get their own tag and no other"
    )
    if found.films:
        print(
            f"{found.false_tags} false tags in {found.false_films} of {found.films} unrelated films"
        )
    print(
        f"embedding and training {found.training_seconds:.1f} s, "
        f"loading and tagging {found.tagging_seconds:.1f} s"
    )
    print(f"CPU time {cpu:.1f} s in all, without the processes that decode")


@contextmanager
def _cache_in(folder: str) -> Iterator[None]:
    """Let the package use this cache folder, and the former one afterwards."""
    before = os.environ.get("AV_TAGGER_CACHE")
    os.environ["AV_TAGGER_CACHE"] = folder
    try:
        yield
    finally:
        os.environ.pop("AV_TAGGER_CACHE")
        if before is not None:
            os.environ["AV_TAGGER_CACHE"] = before


if __name__ == "__main__":
    run_main(main)
