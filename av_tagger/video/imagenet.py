"""The names of the objects that a classifier knows, with their synonyms."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from av_tagger.errors import UsageError, missing_library

IMAGENET = 1000  # classes of ImageNet-1k


@cache
def _of_files() -> tuple[tuple[str, ...], ...]:
    """WordNet ids, names and definitions from timm's text files; empty if they are not there.

    Importing timm takes seconds.
    """
    try:
        spec = importlib.util.find_spec("timm")
        folder = Path(((spec and spec.submodule_search_locations) or [""])[0]) / "data" / "_info"
        read = {name: (folder / f"imagenet_{name}.txt").read_text("utf-8") for name in FILES}
        ids, *tables = (read[name].splitlines() for name in FILES)
        columns = [dict(line.split("\t", 1) for line in table) for table in tables]
        return (tuple(ids), *(tuple(column[i] for i in ids) for column in columns))
    except (OSError, ValueError, KeyError):
        return ()


FILES = ("synsets", "synset_to_lemma", "synset_to_definition")


@cache
def object_names(count: int = IMAGENET) -> tuple[str, ...]:
    """WordNet's names of the classes of ImageNet, synonyms between commas, in the order of every
    classifier of that size.
    """
    if count == IMAGENET and (quick := _of_files()):
        return quick[1]
    try:
        from timm.data import ImageNetInfo, infer_imagenet_subset
    except Exception as error:  # a broken installation can fail in any way
        cause = ImportError(str(error))
        raise missing_library("the names of objects need", "timm", cause) from error
    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        raise UsageError(
            f"no list of {count} object names is known; "
            "choose a classifier of ImageNet with 1000 classes"
        )
    return tuple(ImageNetInfo(subset).label_descriptions())


def definitions(objects: Sequence[str]) -> tuple[str, ...]:
    """WordNet's definition of each object; empty for names that are not of ImageNet-1k.

    All 1000 names in their order get one each, although two are called crane.
    """
    names, known = object_names(), _definitions()
    if tuple(objects) == names:
        return known
    by_name = dict(zip(reversed(names), reversed(known), strict=True))  # of two cranes the first
    return tuple(by_name.get(name, "") for name in objects)


@cache
def _definitions() -> tuple[str, ...]:
    if quick := _of_files():
        return quick[2]
    from timm.data import ImageNetInfo

    detailed = ImageNetInfo().label_descriptions(detailed=True)
    names = object_names()
    return tuple(text.removeprefix(f"{name}: ") for name, text in zip(names, detailed, strict=True))


@cache
def synsets() -> tuple[str, ...]:
    """The WordNet ids of the 1000 classes, such as n02701002."""
    if quick := _of_files():
        return quick[0]
    object_names()  # says what is missing
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo().label_names())


def short(name: str) -> str:
    """The usual one of an object's names."""
    return name.split(",", maxsplit=1)[0].strip()
