"""The data socket: bags that training and validation draw from, be they waveforms, embeddings or anything else with targets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.data.balance import Indices
from av_tagger.learning.data.manifests import ExampleSet, Skipped, Targets
from av_tagger.learning.data.store import FULL_SCALE, Store

Kind = Literal["waveform", "embeddings"]
Inputs = NDArray[Any]  # (bags, samples) float32, or (bags, instances, features) uint8
Lengths = NDArray[np.int64]  # (bags,) what of it is not padding


@runtime_checkable
class Bags(Protocol):
    """n bags with targets; batch first, and the same answer to the same question in any process."""

    @property
    def kind(self) -> Kind: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def targets(self) -> Targets:
        """(n, classes) in [0, 1], NaN where nobody knows."""
        ...

    @property
    def lengths(self) -> Lengths:
        """(n,) of the whole bags."""
        ...

    def __len__(self) -> int: ...

    def fetch(
        self, bags: Indices, draws: Sequence[np.random.Generator] | None
    ) -> tuple[Inputs, Lengths]:
        """Padded inputs; with draws the varied view that training gets, without them the whole bag."""
        ...

    @property
    def sha256(self) -> str:
        """Of all that is learnt from: inputs, targets, labels."""
        ...


@dataclass(frozen=True)
class WaveformBags:
    """Clips of a waveform store; training sees a random stretch of `crop_seconds` of the longer ones."""

    store: Store
    clips: Indices  # which of the store's clips
    targets: Targets
    labels: tuple[str, ...]
    crop_seconds: float = 10.0
    skipped: tuple[Skipped, ...] = ()
    kind: Kind = "waveform"

    def __post_init__(self) -> None:
        _check_targets(self.targets, len(self.clips), self.labels)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def lengths(self) -> Lengths:
        return self.store.samples[self.clips]

    def fetch(
        self, bags: Indices, draws: Sequence[np.random.Generator] | None
    ) -> tuple[Inputs, Lengths]:
        waves = [self.wave(bag, draws[i] if draws else None) for i, bag in enumerate(bags)]
        return padded(waves, np.float32)

    def wave(self, bag: int, draw: np.random.Generator | None) -> NDArray[np.float32]:
        clip = int(self.clips[bag])
        spare = int(self.store.samples[clip]) - round(self.crop_seconds * self.store.rate)
        if draw is None or spare <= 0:
            pcm = self.store.read(clip)
        else:
            pcm = self.store.read(
                clip, int(draw.integers(spare + 1)), round(self.crop_seconds * self.store.rate)
            )
        return np.divide(pcm, FULL_SCALE, dtype=np.float32)

    @property
    def sha256(self) -> str:
        return _digest(self.store.sha256, self.labels, self.clips, self.targets)


@dataclass(frozen=True)
class EmbeddingBags:
    """Precomputed embeddings, laid end to end: one row an instance, usually mapped from the disk."""

    rows: NDArray[Any]  # (all instances, features), uint8 in AudioSet's release
    first: NDArray[np.int64]  # (bags + 1,) where each bag starts
    targets: Targets
    labels: tuple[str, ...]
    source_sha256: str = ""
    kind: Kind = "embeddings"
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        _check_targets(self.targets, len(self.first) - 1, self.labels)

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def lengths(self) -> Lengths:
        return np.diff(self.first)

    def fetch(
        self,
        bags: Indices,
        draws: Sequence[np.random.Generator] | None,  # noqa: ARG002
    ) -> tuple[Inputs, Lengths]:
        lengths = self.first[bags + 1] - self.first[bags]
        longest = int(lengths.max(initial=0))
        slots = np.minimum(
            np.arange(longest), lengths[:, None] - 1
        )  # (b, longest): padding repeats the last row ...
        inputs = self.rows[
            self.first[bags][:, None] + np.maximum(slots, 0)
        ]  # (b, longest, features): one gather, no loop
        inputs[np.arange(longest) >= lengths[:, None]] = 0  # ... and is then blanked
        return inputs, lengths

    @property
    def sha256(self) -> str:
        return _digest(self.source_sha256, self.labels, self.first, self.targets)


def waveform_bags(examples: ExampleSet, store: Store, crop_seconds: float = 10.0) -> WaveformBags:
    """The examples whose sound could be stored; the others are named in `skipped`."""
    usable = np.flatnonzero(store.samples)
    if not len(usable):
        reasons = "; ".join(f"{s.name}: {s.reason}" for s in (examples.skipped + store.skipped)[:3])
        raise UsageError(
            f"none of the clips can be learnt from ({reasons or 'the data name no clip'})"
        )
    targets = examples.targets()[usable]
    return WaveformBags(
        store,
        usable,
        targets,
        examples.classes.labels,
        crop_seconds,
        examples.skipped + store.skipped,
    )


def single_label(answers: Sequence[int], classes: ClassList) -> Targets:
    """Targets of scenes: exactly one class a clip."""
    return np.eye(len(classes), dtype=np.float32)[np.asarray(answers, np.int64)]


def padded(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> tuple[Inputs, Lengths]:
    """Arrays of different lengths as one, zeros behind."""
    lengths = np.array([len(a) for a in arrays], np.int64)
    out = np.zeros((len(arrays), int(lengths.max(initial=0)), *arrays[0].shape[1:]), dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out, lengths


def _check_targets(targets: Targets, bags: int, labels: Sequence[str]) -> None:
    if targets.shape != (bags, len(labels)):
        raise ValueError(
            f"one target a bag and class: {targets.shape = }, {bags = }, {len(labels) = }"
        )
    if not ((targets >= 0) & (targets <= 1) | np.isnan(targets)).all():
        raise ValueError("targets lie between 0 and 1, or are NaN where nobody knows")


def _digest(source: str, labels: Sequence[str], *arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256("\n".join([source, *labels]).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
