"""Build the shipped table of objects and sounds, and print which sound class pictures fall to.

python -m av_tagger.studies.words build VECTORS --out weights/objects_to_sounds.safetensors
python -m av_tagger.studies.words table VECTORS PICTURES [--half held-out]

VECTORS: GloVe as text, or the safetensors that `av-tag weights fetch words` makes. Pictures are
named SYNSET_LABEL.jpg. Their classes are split in halves by a rule that was fixed before the class
words were written, and only the tuning half was looked at: held out is a synset whose id has a
SHA-256 that begins with 8 to f.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.labels import ClassList, audioset, dcase2017
from av_tagger.video.assign import Assignment, evidence, rectify, shares
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eyes import load_recogniser
from av_tagger.video.features import Compute
from av_tagger.video.imagenet import object_names, short, synsets
from av_tagger.video.vectors import read_vectors
from av_tagger.video.word_table import build_tables, save_tables
from av_tagger.video.words import WordTable, words_to_keep

NOTHING = "(nothing)"
HALVES = ("all", "tuning", "held-out")
RULES = {"ours": Assignment("evidence"), "paper": Assignment("hard")}  # each with its assignment


@dataclass(frozen=True)
class Fate:
    """A picture: its true object, what is recognised, and the classes that both fall to."""

    picture: str
    truth: str
    recognised: str
    of_name: str
    of_picture: str
    strength: float  # of the class of the picture


def held_out(synset: str) -> bool:
    return hashlib.sha256(synset.encode()).hexdigest()[0] >= "8"


def tables_of(vectors: Path, classes: ClassList) -> dict[str, WordTable]:
    kept = read_vectors(vectors, words_to_keep(object_names(), classes))
    return build_tables(kept, vectors.name, object_names(), classes)


def fates(
    pictures: Sequence[Path], seen: NDArray[np.float32], table: WordTable, assignment: Assignment
) -> list[Fate]:
    """Each picture (named SYNSET_LABEL) as a clip of one frame."""
    ids = {synset: i for i, synset in enumerate(synsets())}
    names = [short(name) for name in object_names()]
    found = []
    for path, row in zip(pictures, seen, strict=True):
        truth = ids[path.stem.split("_", 1)[0]]
        certain = np.eye(len(names), dtype=np.float64)[truth]
        by_name, by_picture = (_classes(o, table, assignment) for o in (certain, rectify(row)))
        found.append(
            Fate(
                path.stem,
                names[truth],
                names[int(row.argmax())],
                _best(by_name, table),
                _best(by_picture, table),
                float(np.nan_to_num(by_picture).max()),
            )
        )
    return found


def recognise(
    pictures: Sequence[Path], recogniser: str = "auto", weights: Path | None = None
) -> NDArray[np.float32]:
    from PIL import Image

    settings = EyeSettings(recogniser=recogniser, recogniser_weights=weights)
    network = load_recogniser(settings, Compute(16, torch.device("cpu"), torch.float32))
    return network.recognise([np.asarray(Image.open(path).convert("RGB")) for path in pictures])


def _classes(
    objects: NDArray[np.float64], table: WordTable, assignment: Assignment
) -> NDArray[np.float64]:
    if assignment.how == "evidence":
        return evidence(objects[None], table.values, assignment)[0]
    return objects @ shares(table.values, assignment)


def _best(scores: NDArray[np.float64], table: WordTable) -> str:
    known = np.nan_to_num(scores)
    return table.sounds[int(known.argmax())] if known.max() > 0 else NOTHING


def _build(arguments: argparse.Namespace) -> None:
    classes = audioset()
    tables = tables_of(arguments.vectors, classes)
    save_tables(tables, arguments.out, arguments.vectors.name, classes)
    ours, paper = tables["ours"].values, tables["paper"].values
    print(f"rule paper: {int(np.isnan(paper).all(1).sum())} objects have no known word")
    print(f"rule ours: {int((np.nan_to_num(ours) > 0).any(1).sum())} objects prove any class,")
    print(f"  {int((~np.isnan(ours)).any(0).sum())} of {len(classes)} classes have a visible form,")
    print(f"  {int((np.nan_to_num(ours) > 0).any(0).sum())} of them are proved by any object")


def _table(arguments: argparse.Namespace) -> None:
    pictures = sorted(arguments.pictures.glob("n*_*.jpg"))
    if arguments.half != "all":
        wanted = arguments.half == "held-out"
        pictures = [p for p in pictures if held_out(p.stem.split("_", 1)[0]) is wanted]
    seen = recognise(pictures, arguments.recogniser, arguments.weights)
    tables = tables_of(arguments.vectors, dcase2017())
    for rule, assignment in RULES.items():
        print(f"\nrule {rule}, assignment {assignment.how}")
        heads = ("object", "its name falls to", "recognised", "the picture falls to")
        print("{:24} {:32} {:24} {}".format(*heads))
        for fate in fates(pictures, seen, tables[rule], assignment):
            parts = (fate.truth, fate.of_name, fate.recognised, fate.of_picture)
            print("{:24} {:32} {:24} {}".format(*parts), f"{fate.strength:.2f}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser("build", help="the table of 1000 objects and all sound classes")
    build.add_argument("vectors", type=Path)
    build.add_argument("--out", type=Path, required=True)
    build.set_defaults(run=_build)
    table = commands.add_parser("table", help="print what becomes of a folder of pictures")
    table.add_argument("vectors", type=Path)
    table.add_argument("pictures", type=Path)
    table.add_argument("--recogniser", default="auto")
    table.add_argument("--weights", type=Path)
    table.add_argument("--half", choices=HALVES, default="all")
    table.set_defaults(run=_table)
    arguments = parser.parse_args(words)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
