"""Evidence with its place: where in its key frame each object that speaks for a class is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Images
from av_tagger.protocols import LocatingRecogniser
from av_tagger.scores import Evidence, Heat

Floats = NDArray[np.float64]
Told = dict[str, tuple[Evidence, ...]]
Seen = tuple[int, str]  # a key frame, and the object in it


def located(
    evidence: Told,
    recogniser: LocatingRecogniser,
    names: Sequence[str],
    objects: Floats,
    seconds: Floats,
    pictures: Images,
) -> Told:
    """The same evidence, with heat; one pass of the network per key frame that has any.

    `objects` (key frames, objects): probabilities; `seconds` and `pictures`: of the key frames.
    """
    rows = {float(time): row for row, time in enumerate(seconds.tolist())}
    wanted: dict[int, dict[str, int]] = {}
    for one in (e for group in evidence.values() for e in group):
        row = rows[one.seconds]
        wanted.setdefault(row, {})[one.object] = _index(one.object, names, objects[row])
    heat: dict[Seen, Heat | None] = {}
    for row, found in wanted.items():
        maps = recogniser.where(pictures[row], list(found.values()))
        heat |= {(row, name): one for name, one in zip(found, maps, strict=True)}
    return _with_heat(evidence, rows, heat)


def _index(name: str, names: Sequence[str], probabilities: Floats) -> int:
    """Two objects can share a name: the one that is seen."""
    same = [i for i, other in enumerate(names) if other == name]
    return max(same, key=lambda i: float(probabilities[i]))


def _with_heat(evidence: Told, rows: Mapping[float, int], heat: Mapping[Seen, Heat | None]) -> Told:
    return {
        label: tuple(replace(e, where=heat[rows[e.seconds], e.object]) for e in group)
        for label, group in evidence.items()
    }
