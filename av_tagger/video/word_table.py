"""The table of objects and sounds that ships: how it is stored in few bytes, and for whom it holds.

`paper`: cosines as int8. `ours`: the few pairs with any evidence, and the classes without a
visible form. Both are rounded: to 1/127 and to 1/200.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import WeightsError, sentence
from av_tagger.labels import ClassList
from av_tagger.settings import parse_json
from av_tagger.video.words import RULES, Rule, RuleName, Similarity, WordTable, class_words

Arrays = dict[str, NDArray[Any]]
COSINES, UNKNOWN = 127, -128
LEVELS = 200  # of the strength of evidence


def build_tables(
    vectors: Any, source: str, objects: Sequence[str], classes: ClassList
) -> dict[str, WordTable]:
    """One table per rule."""

    def table(name: str, rule: Rule) -> WordTable:
        values = rule(vectors, objects, classes.labels, class_words(classes))
        return WordTable(f"{source}, rule {name}", tuple(objects), classes.labels, values)

    return {name: table(name, rule) for name, rule in RULES.items()}


def save_tables(
    tables: Mapping[str, WordTable], path: Path, source: str, classes: ClassList
) -> None:
    from safetensors.numpy import save_file

    one = next(iter(tables.values()))
    facts = {
        "objects": one.objects,
        "sounds": one.sounds,
        "words": [c.words for c in classes],
    }
    metadata = {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}
    metadata |= {"source": source, "license": "PDDL-1.0"}
    arrays = _packed(tables["paper"].values) | _listed(tables["ours"].values)
    save_file(arrays, path, metadata=metadata)


def load_table(path: Path, rule: RuleName, classes: ClassList) -> WordTable | None:
    """The table of a rule for these classes, or None when it was made for others or other words."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            facts = file.metadata()
            arrays = {key: file.get_tensor(key) for key in file.keys() if key.startswith(rule)}  # noqa: SIM118 - no mapping
        objects, sounds, words = (parse_json(facts[key]) for key in ("objects", "sounds", "words"))
        size = len(objects), len(sounds)
        values = _unpacked(arrays, size) if rule == "paper" else _unlisted(arrays, size)
        made_for = dict(zip(sounds, words, strict=True))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, IndexError) as error:
        raise WeightsError(
            sentence(path, f"is not a table of similarities ({error})", "install av_tagger again")
        ) from error
    if not all(c.label in made_for and _same(made_for[c.label], c.words) for c in classes):
        return None
    columns = [sounds.index(label) for label in classes.labels]
    name = f"{facts['source']}, rule {rule}"
    return WordTable(name, tuple(objects), classes.labels, values[:, columns])


def _same(stored: list[str] | None, words: tuple[str, ...] | None) -> bool:
    return stored == (None if words is None else list(words))


def _packed(cosines: Similarity) -> Arrays:
    whole = np.where(np.isnan(cosines), UNKNOWN, np.round(np.nan_to_num(cosines) * COSINES))
    return {"paper": whole.astype(np.int8)}


def _unpacked(arrays: Arrays, size: tuple[int, int]) -> Similarity:
    whole = arrays["paper"].reshape(size)
    values = whole.astype(np.float32) / COSINES
    return np.where(whole == UNKNOWN, np.float32(np.nan), values).astype(np.float32)


def _listed(strength: Similarity) -> Arrays:
    unseen = np.isnan(strength).all(axis=0)
    levels = np.round(np.nan_to_num(strength) * LEVELS).astype(np.uint8)
    rows, columns = np.nonzero(levels)
    return {
        "ours.objects": rows.astype(np.uint16),
        "ours.sounds": columns.astype(np.uint16),
        "ours.strength": levels[rows, columns],
        "ours.unseen": np.flatnonzero(unseen).astype(np.uint16),
    }


def _unlisted(arrays: Arrays, size: tuple[int, int]) -> Similarity:
    values = np.zeros(size, dtype=np.float32)
    at = arrays["ours.objects"], arrays["ours.sounds"]
    values[at] = arrays["ours.strength"].astype(np.float32) / LEVELS
    values[:, arrays["ours.unseen"]] = np.nan
    return values
