"""The eye's words: build the table that ships, and print which sound class each object and each picture falls to.

python -m av_tagger.bench.words build VECTORS.txt --out weights/objects_to_sounds.safetensors
python -m av_tagger.bench.words table VECTORS.txt PICTURES --recogniser mobilenetv2_100 --weights FILE
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

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
class Fate:
    """What becomes of a picture: its true object, what is recognised, and the classes that both fall to."""

    picture: str
    truth: str
    recognised: str
    of_name: str
    of_picture: str
    nearness: float


def tables_of(vectors: Path, classes: ClassList) -> dict[str, WordTable]:
    kept = read_vectors(vectors, words_to_keep(object_names(), classes))
    return build_tables(kept, vectors.name, object_names(), classes)


def fates(
    pictures: Sequence[Path], seen: NDArray[np.float32], table: WordTable, assignment: Assignment
) -> list[Fate]:
    """Each picture (named SYNSET_LABEL) as a clip of one frame, through rectify and assignment."""
    given = rectify(seen) @ shares(table.values, assignment)
    by_name = shares(table.values, assignment)
    ids = {synset: i for i, synset in enumerate(synsets())}
    found = []
    for path, scores, row in zip(pictures, given, seen, strict=True):
        truth = ids[path.stem.split("_", 1)[0]]
        near = table.values[truth]
        nearness = float(np.nanmax(near)) if np.isfinite(near).any() else float("nan")
        names = short(object_names()[truth]), short(object_names()[int(row.argmax())])
        found.append(
            Fate(path.stem, *names, _class(by_name[truth], table), _class(scores, table), nearness)
        )
    return found


def recognise(pictures: Sequence[Path], recogniser: str, weights: Path) -> NDArray[np.float32]:
    from PIL import Image

    device = torch.device("cpu")
    network = load_recogniser(recogniser, weights, Compute(16, device, choose("fp32", device)))
    return network.recognise([np.asarray(Image.open(path).convert("RGB")) for path in pictures])


def _class(scores: NDArray[np.float64], table: WordTable) -> str:
    return table.sounds[int(scores.argmax())] if scores.max() > 0 else NOTHING


def _build(arguments: argparse.Namespace) -> None:
    classes = dcase2017()
    tables = tables_of(arguments.vectors, classes)
    save_tables(tables, arguments.out, arguments.vectors.name, classes)
    for rule, table in tables.items():
        unknown = [
            short(name)
            for name, row in zip(table.objects, table.values, strict=True)
            if np.isnan(row).all()
        ]
        print(
            f"rule {rule}: {len(unknown)} of {len(table.objects)} objects have no known word: {', '.join(unknown)}\n"
        )


def _table(arguments: argparse.Namespace) -> None:
    pictures = sorted(arguments.pictures.glob("n*_*.jpg"))
    seen = recognise(pictures, arguments.recogniser, arguments.weights)
    for rule, table in tables_of(arguments.vectors, dcase2017()).items():
        print(f"\nrule {rule}, floor {arguments.floor}")
        print(
            f"{'object':24} {'its name falls to':32} {'near':>5}  {'recognised':24} the picture falls to"
        )
        for fate in fates(pictures, seen, table, Assignment(floor=arguments.floor)):
            print(
                f"{fate.truth:24} {fate.of_name:32} {fate.nearness:5.2f}  {fate.recognised:24} {fate.of_picture}"
            )


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser(
        "build", help="compute the similarities of 1000 objects and the default classes"
    )
    build.add_argument("vectors", type=Path)
    build.add_argument("--out", type=Path, required=True)
    build.set_defaults(run=_build)
    table = commands.add_parser(
        "table", help="print object -> sound class for a folder of pictures"
    )
    table.add_argument("vectors", type=Path)
    table.add_argument("pictures", type=Path)
    table.add_argument("--recogniser", default="inception_v4")
    table.add_argument("--weights", type=Path, required=True)
    table.add_argument("--floor", type=float)
    table.set_defaults(run=_table)
    arguments = parser.parse_args(words)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
