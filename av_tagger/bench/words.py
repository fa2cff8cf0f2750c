"""The word table of the eye: build the shipped file; print the class of each object and picture.

    python -m av_tagger.bench.words build VECTORS.txt --out weights/objects_to_sounds.safetensors
    python -m av_tagger.bench.words table VECTORS.txt PICTURES \\
        --recogniser mobilenetv2_100 --weights FILE
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.bench.measure import parser, run_main
from av_tagger.errors import UsageError, sentence
from av_tagger.labels import ClassList, dcase2017
from av_tagger.video.assign import Assignment, rectify, shares
from av_tagger.video.features import Compute
from av_tagger.video.imagenet import object_names, short, synsets
from av_tagger.video.precision import choose
from av_tagger.video.recognise import load_recogniser
from av_tagger.video.vectors import read_vectors
from av_tagger.video.words import WordTable, build_tables, save_tables, words_to_keep

NOTHING = "(nothing)"


@dataclass(frozen=True)
class PictureClasses:
    """One picture: its true object, the recognised one, and the sound classes of both."""

    picture: str
    truth: str  # object
    recognised: str  # object
    of_name: str  # sound class of the true object's name
    of_picture: str  # sound class of the recognised objects
    nearness: float  # largest similarity of the true object to a class


def tables_of(vectors: Path, classes: ClassList) -> dict[str, WordTable]:
    """The similarity table of every rule."""
    kept = read_vectors(vectors, words_to_keep(object_names(), classes))
    return build_tables(kept, vectors.name, object_names(), classes)


def picture_classes(
    pictures: Sequence[Path], seen: NDArray[np.float32], table: WordTable, assignment: Assignment
) -> list[PictureClasses]:
    """The classes of each picture (named SYNSET_LABEL), seen as a clip of one frame."""
    given = rectify(seen) @ shares(table.values, assignment)
    by_name = shares(table.values, assignment)
    ids = {synset: i for i, synset in enumerate(synsets())}
    found = []
    for path, scores, row in zip(pictures, given, seen, strict=True):
        truth = ids[path.stem.split("_", 1)[0]]
        near = table.values[truth]
        nearness = float(np.nanmax(near)) if np.isfinite(near).any() else float("nan")
        names = short(object_names()[truth]), short(object_names()[int(row.argmax())])
        classes = _class(by_name[truth], table), _class(scores, table)
        found.append(PictureClasses(path.stem, *names, *classes, nearness))
    return found


def recognise(pictures: Sequence[Path], recogniser: str, weights: Path) -> NDArray[np.float32]:
    """(pictures, objects) probabilities."""
    from PIL import Image

    device = torch.device("cpu")
    network = load_recogniser(recogniser, weights, Compute(16, device, choose("float32", device)))
    return network.recognise([np.asarray(Image.open(path).convert("RGB")) for path in pictures])


def _class(scores: NDArray[np.float64], table: WordTable) -> str:
    return table.sounds[int(scores.argmax())] if scores.max() > 0 else NOTHING


def _build(arguments: argparse.Namespace) -> None:
    classes = dcase2017()
    tables = tables_of(arguments.vectors, classes)
    save_tables(tables, arguments.out, arguments.vectors.name, classes)
    for rule, table in tables.items():
        rows = zip(table.objects, table.values, strict=True)
        unknown = ", ".join(short(name) for name, row in rows if np.isnan(row).all())
        count = unknown.count(", ") + bool(unknown)
        total = len(table.objects)
        print(f"rule {rule}: {count} of {total} objects have no known word: {unknown}\n")


def _table(arguments: argparse.Namespace) -> None:
    pictures = sorted(arguments.pictures.glob("n*_*.jpg"))
    if not pictures:
        reason = "holds no picture named SYNSET_LABEL.jpg"
        raise UsageError(sentence(arguments.pictures, reason, "name another folder"))
    seen = recognise(pictures, arguments.recogniser, arguments.weights)
    for rule, table in tables_of(arguments.vectors, dcase2017()).items():
        print(f"\nrule {rule}, floor {arguments.floor}")
        head = f"{'object':24} {'class by its name':32} {'near':>5}"
        print(f"{head}  {'recognised':24} class by picture")
        for row in picture_classes(pictures, seen, table, Assignment(floor=arguments.floor)):
            by_name = f"{row.truth:24} {row.of_name:32} {row.nearness:5.2f}"
            print(f"{by_name}  {row.recognised:24} {row.of_picture}")


def main(words: Sequence[str] | None = None) -> None:
    commands = (options := parser(__doc__)).add_subparsers(required=True)
    build = commands.add_parser(
        "build", help="compute the similarities of 1000 objects and all classes"
    )
    build.add_argument("vectors", type=Path)
    build.add_argument("--out", type=Path, required=True)
    build.set_defaults(run=_build)
    table = commands.add_parser("table", help="print the sound class of every picture of a folder")
    table.add_argument("vectors", type=Path)
    table.add_argument("pictures", type=Path)
    table.add_argument("--recogniser", default="inception_v4")
    table.add_argument("--weights", type=Path, required=True)
    table.add_argument("--floor", type=float)
    table.set_defaults(run=_table)
    arguments = options.parse_args(words)
    arguments.run(arguments)


if __name__ == "__main__":
    run_main(main)
