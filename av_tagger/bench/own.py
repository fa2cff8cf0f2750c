"""Own classes from a few dozen clips: eight animals learnt from recordings of some publishers, judged on those of others.

    AV_TAGGER_WEIGHTS=FOLDER python -m av_tagger.bench.own SOUNDS --ear efficientat:mn04

Embedding, training and tagging are timed on one core, nothing being kept from earlier.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_tagger.learning.data.manifests import classes_in
from av_tagger.learning.data.prepare import Sources, assemble
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import Options
from av_tagger.learning.train import train
from av_tagger.learning.validation import Validation, validate
from av_tagger.plan import load
from av_tagger.scores import Tagged

ANIMALS = ("cat", "cow", "dog", "elephant", "horse", "lion", "pig", "sheep")
PUBLISHERS = (
    "aequanima/Sono",
    "ViktorGlazkov/SoundsOfNature",
    "CelebrityPunks/TheSoundOfEverything",
)  # whose clips are judged


@dataclass(frozen=True)
class Split:
    """Files and their class."""

    learnt: tuple[tuple[Path, str], ...]
    validation: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Result:
    validation: Validation
    right: int  # judged clips that get their own tag and no other
    training_seconds: float
    tagging_seconds: float


def split(sounds: Path, animals: Sequence[str] = ANIMALS) -> Split:
    """No publisher's clips are on both sides."""
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
    """`cat` in `cats`, `other [cat_1.mp3]` and `other [cat2.wav]`."""
    found = re.fullmatch(r"(?:other \[)?([a-z]+?)s?(?:_?\d*\.\w+\])?", label)
    return found.group(1) if found else ""


def learn(parts: Split, ear: str, run: Path) -> Result:
    """What `av-tag train own-classes --data clips.csv -o RUN` and then `av-tag --ear RUN` do."""
    began = time.perf_counter()
    manifest = run.with_suffix(".csv")
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "labels"), *parts.learnt])
    recipe = read_recipe("own-classes", [f"embedder={ear}"])
    train(
        recipe, assemble(Sources((manifest,)), classes_in([manifest]), recipe), run, Options("cpu")
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
    return Result(validate(scores, targets, float("nan")), right, trained - began, tagged - trained)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--ear", default="efficientat:mn04")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    parts = split(arguments.sounds)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AV_TAGGER_CACHE"] = folder
        cpu = time.process_time()
        found = learn(parts, arguments.ear, Path(folder) / "run")
        cpu = time.process_time() - cpu
    count = len(parts.validation)
    print(
        f"{len(parts.learnt)} clips learnt, {count} judged, {len(ANIMALS)} classes (chance: accuracy {1 / len(ANIMALS):.3f})"
    )
    print(
        f"accuracy {found.validation.accuracy:.3f}, mAP {found.validation.map:.3f}; {found.right} of {count} get their own tag and no other"
    )
    print(
        f"embedding and training {found.training_seconds:.1f} s, loading and tagging {found.tagging_seconds:.1f} s"
    )
    print(f"on the processor {cpu:.1f} s in all, besides decoding, which has a process of its own")


if __name__ == "__main__":
    main()
