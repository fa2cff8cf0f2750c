"""Biases for all AudioSet classes: from what an ear says of clips that lack a class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from av_tagger.ontology import above, below, fold

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

QUANTILE = 0.95  # of the clips that lack a class stay without its tag,
BOUNDS = (-1.4, 0.0)  # within these floored logits: probabilities 0.2 and 0.5

# What the sources of the sound manifests call their clips, as patterns, and the AudioSet class.
NAMES: tuple[tuple[str, str], ...] = (
    (r"human_voice|clean speech|spoken|conversation", "Speech"),
    (r"\bmusic\b|arcade_music|cinematic", "Music"),
    (r"\bdogs?\b", "Dog"),
    (r"\bcats?\d*(_\d)?\b", "Cat"),
    (r"\bcows?\d*(_\d)?\b", "Cattle, bovinae"),
    (r"\bhorses?\d*(_\d)?\b", "Horse"),
    (r"\bpigs?\d*(_\d)?\b", "Pig"),
    (r"\bsheep\d*(_\d)?\b", "Sheep"),
    (r"\blions?\d*(_\d)?\b", "Roaring cats (lions, tigers)"),
    (r"rooster", "Chicken, rooster"),
    (r"\bbirds?\d*(_\d)?\b", "Bird"),
    (r"\bowl\b", "Owl"),
    (r"cricket", "Insect"),
    (r"sneeze", "Sneeze"),
    (r"baby_cry|baby cry|infant_crying", "Baby cry, infant cry"),
    (r"snoring", "Snoring"),
    (r"laugh", "Laughter"),
    (r"applause", "Applause"),
    (r"crowd", "Crowd"),
    (r"helicopter", "Helicopter"),
    (r"airplane|\bplane\d*\b", "Aircraft"),
    (r"chainsaw", "Chainsaw"),
    (r"jackhammer", "Jackhammer"),
    (r"fire crackling", "Fire"),
    (r"\brain(_\d|\d)?\b", "Rain"),
    (r"sea waves|ocean", "Ocean"),
    (r"thunder", "Thunderstorm"),
    (r"^wind\b", "Wind"),
    (r"\bclock\d*\b", "Clock"),
    (r"church_bell", "Bell"),
    (r"gunshots?", "Gunshot, gunfire"),
    (r"guitar", "Guitar"),
    (r"piano", "Piano"),
    (r"violin", "Violin, fiddle"),
    (r"trumpet", "Trumpet"),
    (r"flute", "Flute"),
    (r"typing", "Typing"),
)
# Classes that clips of these words may hold without saying so: they are no negatives of them.
MAYBE: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"human_voice|crowd|applause|street", ("Speech", "Shout", "Singing", "Laughter", "Crowd")),
    (r"engine|alert_signal|powered|street|train|bus|truck|horn", ("Vehicle", "Engine", "Alarm")),
    (r"impact|machinery|saw", ("Tools", "Engine", "Mechanisms", "Door", "Wood", "Glass")),
)


@dataclass(frozen=True, eq=False)
class NamedClips:
    """Clips whose one main sound has a name, and which classes each of them surely lacks."""

    wanted: tuple[str, ...]  # (clips,) AudioSet label; empty: none that is known
    lacks: Bools  # (clips, labels)


def class_of(source_label: str) -> str:
    """The AudioSet class that a source's own word for a clip means; empty where unknown."""
    text = source_label.casefold()
    return next((label for pattern, label in NAMES if re.search(pattern, text)), "")


def named_clips(source_labels: Sequence[str], labels: Sequence[str]) -> NamedClips:
    wanted = tuple(class_of(text) for text in source_labels)
    lacks = [_lacks(text, labels) for text in source_labels]
    return NamedClips(wanted, np.array(lacks, bool).reshape(len(wanted), len(labels)))


def biases(z: Floats, clips: NamedClips) -> Floats:
    """(labels,) the value of z from which a class counts: a high quantile of clips that lack it."""
    low, high = BOUNDS
    cuts = [
        np.quantile(z[lacks, k], QUANTILE) if lacks.any() else low
        for k, lacks in enumerate(clips.lacks.T)
    ]
    return np.asarray(np.clip(np.array(cuts), low, high), np.float64)


@dataclass(frozen=True)
class Told:
    """How the tags of named clips fit their names."""

    found: float  # share of the clips whose class, or a narrower one, is among the tags
    others: float  # tags per clip that have nothing to do with the name
    f1: float  # micro-F1 over these


def told(tagged: Bools, clips: NamedClips, labels: Sequence[str]) -> Told:
    """Tags are folded as in the output; related broader classes count neither way."""
    hits = others = count = 0
    for row, wanted in zip(tagged, clips.wanted, strict=True):
        if wanted not in labels:
            continue
        count += 1
        shown = fold([label for label, yes in zip(labels, row, strict=True) if yes])
        hits += bool(shown & _same(wanted))
        others += len(shown - _related(wanted))
    f1 = 2 * hits / max(1, hits + others + count)
    return Told(hits / max(1, count), others / max(1, count), f1)


def _lacks(source_label: str, labels: Iterable[str]) -> list[bool]:
    """False for the clip's own class, its relatives, and whatever it may hold besides."""
    text = source_label.casefold()
    may = {label for pattern, many in MAYBE if re.search(pattern, text) for label in many}
    named = [label for pattern, label in NAMES if re.search(pattern, text)]
    out = set().union(*map(_related, (*named, *may))) if named or may else set()
    return [label not in out for label in labels]


def _same(label: str) -> frozenset[str]:
    return frozenset({label}) | below(label)


def _related(label: str) -> frozenset[str]:
    return _same(label) | above(label)
