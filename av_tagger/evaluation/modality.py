"""Modality confusion: per class, how often looking helped or misled, and what silent sights did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from av_tagger.evaluation.predictions import Predictions
from av_tagger.evaluation.tagging import label_matrix
from av_tagger.evaluation.truth import WeakTruth
from av_tagger.evaluation.uncertainty import looking

Bools = NDArray[np.bool_]
Counted = dict[str, dict[str, int]]


def modality_counts(read: Predictions, truth: WeakTruth) -> Counted:
    """Per class, over the clips that were heard and seen; empty if there are none.

    helped, misled: decisions of the ear alone that fusion corrected, or spoiled. With columns
    `visible` (and `audible`) in the truth see `sight_counts`.
    """
    labels = truth.classes.labels
    names = [n for n in truth.tags if n in read.clips and _both(read, n)]
    if not names:
        return {}
    fused = label_matrix((read.clips[n].tags for n in names), labels)
    heard = label_matrix((read.clips[n].by_ear or () for n in names), labels)
    real = label_matrix((truth.tags[n] for n in names), labels)
    counts = looking({"heard": heard, "fused": fused}, real, labels)
    sights = sight_counts(fused, names, truth)
    return {label: row | sights.get(label, {}) for label, row in counts.items()}


def sight_counts(said: Bools, names: Sequence[str], truth: WeakTruth) -> Counted:
    """Over the clips (rows of `said`) of which the truth says what is in view.

    silent_sights: the class is in view and cannot be heard; silent_sights_tagged: and is a tag.
    unseen_sounds: it can be heard and is not in view; unseen_sounds_tagged: and is a tag. Empty
    without such clips.
    """
    rows = [i for i, name in enumerate(names) if name in truth.visible]
    if not rows:
        return {}
    labels, known = truth.classes.labels, [names[i] for i in rows]
    visible = label_matrix((truth.visible[n] for n in known), labels)
    audible = label_matrix((truth.audible.get(n, truth.tags[n]) for n in known), labels)
    silent, unseen = visible & ~audible, audible & ~visible
    tagged = said[rows]
    columns = {
        "silent_sights": silent,
        "silent_sights_tagged": silent & tagged,
        "unseen_sounds": unseen,
        "unseen_sounds_tagged": unseen & tagged,
    }
    return {
        label: {name: int(table[:, k].sum()) for name, table in columns.items()}
        for k, label in enumerate(labels)
    }


def modality_lines(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """In words: sums, and the classes in which looking misled more often than it helped."""
    if not counts:
        return []
    total = {key: sum(row.get(key, 0) for row in counts.values()) for key in _keys(counts)}
    worse = [label for label, row in counts.items() if row["misled"] > row["helped"]]
    more = f"; more often misled: {', '.join(worse)}" if worse else ""
    helped, misled = total["helped"], total["misled"]
    lines = [f"Looking corrected {helped} decisions of the ear and spoiled {misled}{more}"]
    if "silent_sights" in total:
        silent, unseen = total["silent_sights"], total["unseen_sounds"]
        lines.append(
            f"in view but silent: {silent}, tagged {total['silent_sights_tagged']};"
            f" heard but not in view: {unseen}, tagged {total['unseen_sounds_tagged']}"
        )
    return lines


def _keys(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    return list(dict.fromkeys(key for row in counts.values() for key in row))


def _both(read: Predictions, name: str) -> bool:
    return read.clips[name].by_ear is not None
