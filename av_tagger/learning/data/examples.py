"""Weakly labelled examples: a clip, its labels, and which clips were left out of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.labels import ClassList

Targets = NDArray[np.float32]  # (clips, classes): 1 present, 0 absent, NaN unknown


@dataclass(frozen=True)
class Example:
    """A clip with its weak labels; classes in `unknown` may or may not be present."""

    clip: Clip
    labels: tuple[str, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class SkippedEntry:
    """An entry of the data that cannot be used, and why."""

    name: str  # the file, or the table and its line
    kind: str  # missing, empty, broken, mislabelled, unreadable row or folder
    reason: str


@dataclass(frozen=True)
class ExampleSet:
    """Examples with labels of one class list, and the entries that were skipped."""

    classes: ClassList
    examples: tuple[Example, ...]
    skipped: tuple[SkippedEntry, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.examples)

    def targets(self) -> Targets:
        return targets_of(self.examples, self.classes.labels)


def targets_of(examples: Sequence[Example], labels: Sequence[str]) -> Targets:
    """(clips, classes) in the order of `labels`; a label wins over `unknown`."""
    column = {label: k for k, label in enumerate(labels)}
    targets = np.zeros((len(examples), len(labels)), np.float32)
    for row, example in zip(targets, examples, strict=True):
        row[[column[label] for label in example.unknown]] = np.nan
        row[[column[label] for label in example.labels]] = 1
    return targets


def summary(skipped: Iterable[SkippedEntry]) -> str:
    """`3 skipped: 2 broken, 1 mislabelled`; empty if nothing was skipped."""
    counts = Counter(s.kind for s in skipped)
    if not counts:
        return ""
    kinds = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
    return f"{counts.total()} skipped: {kinds}"
