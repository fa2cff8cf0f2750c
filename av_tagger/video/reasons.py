"""From the objects in the key frames of a clip to class scores and the evidence for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from av_tagger.scores import Evidence
from av_tagger.video.assign import (
    Assignment,
    Floats,
    evidence_of,
    proof_of,
    shares,
    summarise,
)

MOST_EVIDENCE = 5  # per class
MOST_OBJECTS = 5  # per key frame

Explained = tuple[Floats, dict[str, tuple[Evidence, ...]]]


@dataclass(frozen=True)
class Reasons:
    """What objects say about classes; tables that are the same for all clips are made once."""

    labels: tuple[str, ...]
    names: Sequence[str]  # of the objects
    similarity: NDArray[np.float32]  # (objects, classes)
    assignment: Assignment
    keep: int  # objects kept per key frame

    @cached_property
    def _proof(self) -> Floats:
        return proof_of(self.similarity, self.assignment)

    @cached_property
    def _shares(self) -> Floats:
        return shares(self.similarity, self.assignment)

    def explain(self, objects: Floats, seconds: NDArray[np.float64]) -> Explained:
        """Probabilities of the classes, NaN: no score; and the objects that speak for each.

        Each object has the probability of its key frame, as in `KeyFrame.objects`, and not the part
        of it that the class gets.
        `objects` are (key frames, objects) rectified probabilities: nearly all of them are zero,
        and only the others are looked at. `seconds` are the times of the key frames.
        """
        seen = np.flatnonzero(objects.any(axis=0))
        shown = objects[:, seen]
        if self.assignment.how == "evidence":
            probabilities, given = evidence_of(shown, self._proof[seen])
        else:
            given = summarise(objects, self.keep)[seen, None] * self._shares[seen]
            probabilities = given.sum(axis=0).clip(0.0, 1.0)
        best = shown.argmax(axis=0)  # the key frame in which each object is seen best
        told = np.flatnonzero(probabilities > 0)
        parts = given[:, told]
        order = np.argsort(-parts, axis=0, kind="stable")[:MOST_EVIDENCE]
        # Plain numbers from here on: single values of arrays are slow to get.
        tables = (
            order,
            parts[order, np.arange(len(told))] > 0,
            self.similarity[seen[order], told],
        )
        columns = zip(told.tolist(), *(table.T.tolist() for table in tables), strict=True)
        places, times, sight = seen.tolist(), seconds[best].tolist(), objects[best, seen].tolist()
        return probabilities, {
            self.labels[k]: tuple(
                Evidence(times[i], self.names[places[i]], sight[i], near)
                for i, speaks, near in zip(rows, speak, similar, strict=True)
                if speaks
            )
            for k, rows, speak, similar in columns
        }

    def named(self, objects: Floats) -> list[tuple[tuple[str, float], ...]]:
        """The most probable objects of each key frame."""
        seen = np.flatnonzero(objects.any(axis=0))
        shown = objects[:, seen]
        order = np.argsort(-shown, axis=1, kind="stable")[:, :MOST_OBJECTS]
        values = shown[np.arange(len(shown))[:, None], order].tolist()
        return [
            tuple((self.names[o], value) for o, value in zip(best, row, strict=True) if value > 0)
            for best, row in zip(seen[order].tolist(), values, strict=True)
        ]
