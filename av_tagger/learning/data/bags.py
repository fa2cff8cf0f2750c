"""Bags: the interface that training reads data through, for waveforms and for embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import UsageError
from av_tagger.learning.data.balance import Indices
from av_tagger.learning.data.examples import ExampleSet, SkippedEntry, Targets
from av_tagger.learning.data.store import FULL_SCALE, Store

Kind = Literal["waveform", "embeddings"]
Inputs = NDArray[Any]  # (bags, samples) float32, or (bags, instances, features)
Lengths = NDArray[np.int64]  # (bags,) without padding


@runtime_checkable
class Bags(Protocol):
    """n bags with targets; deterministic, so that every process gets the same data."""

    @property
    def kind(self) -> Kind: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def targets(self) -> Targets:
        """(n, classes) in [0, 1], NaN where unknown."""
        ...

    @property
    def lengths(self) -> Lengths:
        """(n,) of the whole bags."""
        ...

    def __len__(self) -> int: ...

    def fetch(
        self, bags: Indices, draws: Sequence[np.random.Generator] | None
    ) -> tuple[Inputs, Lengths]:
        """Padded inputs and their lengths: random crops if `draws` is given, else whole bags."""
        ...

    @property
    def sha256(self) -> str:
        """Of inputs, targets and labels."""
        ...


@dataclass(frozen=True)
class WaveformBags:
    """Clips of a waveform store; training crops longer ones to `crop_seconds` at random."""

    store: Store
    clips: Indices  # positions in the store
    targets: Targets
    labels: tuple[str, ...]
    crop_seconds: float = 10.0
    skipped: tuple[SkippedEntry, ...] = ()
    kind: Kind = "waveform"
    files: Indices | None = None  # (n,) number of the file of each bag; None: one file per bag

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

    def subset(self, chosen: Indices) -> WaveformBags:
        """Some of the bags, in the same store."""
        files = None if self.files is None else self.files[chosen]
        return replace(self, clips=self.clips[chosen], targets=self.targets[chosen], files=files)

    def wave(self, bag: int, draw: np.random.Generator | None) -> NDArray[np.float32]:
        """(samples,) in [-1, 1]: a random crop if `draw` is given, else the whole clip."""
        clip, crop = int(self.clips[bag]), round(self.crop_seconds * self.store.rate)
        spare = int(self.store.samples[clip]) - crop
        if draw is None or spare <= 0:
            pcm = self.store.read(clip)
        else:
            pcm = self.store.read(clip, int(draw.integers(spare + 1)), crop)
        return np.divide(pcm, FULL_SCALE, dtype=np.float32)

    @property
    def sha256(self) -> str:
        return _digest(self.store.sha256, self.labels, self.clips, self.targets)


@dataclass(frozen=True)
class EmbeddingBags:
    """Precomputed embeddings, concatenated: one row per instance, usually memory-mapped."""

    rows: NDArray[Any]  # (all instances, features), uint8 in AudioSet's release
    first: NDArray[np.int64]  # (bags + 1,) first row of each bag
    targets: Targets
    labels: tuple[str, ...]
    source_sha256: str = ""
    kind: Kind = "embeddings"
    skipped: tuple[SkippedEntry, ...] = ()
    files: Indices | None = None  # (n,) number of the file of each bag; None: one file per bag

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
        """One gather without a loop: padding repeats the last row and is then set to zero."""
        lengths = self.first[bags + 1] - self.first[bags]
        longest = int(lengths.max(initial=0))
        slots = np.minimum(np.arange(longest), lengths[:, None] - 1)  # (b, longest)
        inputs = self.rows[self.first[bags][:, None] + np.maximum(slots, 0)]
        inputs[np.arange(longest) >= lengths[:, None]] = 0
        return inputs, lengths

    @property
    def sha256(self) -> str:
        return _digest(self.source_sha256, self.labels, self.first, self.targets)

    def subset(self, chosen: Indices) -> EmbeddingBags:
        """Some of the bags; their rows are copied."""
        index, first = rows_of(self.first, chosen)
        return EmbeddingBags(
            self.rows[index],
            first,
            self.targets[chosen],
            self.labels,
            self.source_sha256,
            files=None if self.files is None else self.files[chosen],
        )


def rows_of(first: NDArray[np.int64], chosen: Indices) -> tuple[Indices, NDArray[np.int64]]:
    """The rows of some bags, and the first row of each among them."""
    lengths = np.diff(first)[chosen]
    new = np.concatenate([[0], lengths.cumsum()])
    return np.repeat(first[chosen] - new[:-1], lengths) + np.arange(new[-1]), new


def waveform_bags(examples: ExampleSet, store: Store, crop_seconds: float = 10.0) -> WaveformBags:
    """The examples whose sound could be stored; the others are listed in `skipped`."""
    usable = np.flatnonzero(store.samples)
    skipped = examples.skipped + store.skipped
    if not len(usable):
        raise no_usable_clip(skipped)
    targets = examples.targets()[usable]
    return WaveformBags(
        store,
        usable,
        targets,
        examples.classes.labels,
        crop_seconds,
        skipped,
        files=file_numbers(examples, usable.tolist()),
    )


def file_numbers(examples: ExampleSet, chosen: Sequence[int]) -> Indices:
    """The number of the file that each of some examples is cut from."""
    paths = [str(examples.examples[i].clip.path) for i in chosen]
    return np.unique(paths, return_inverse=True)[1].astype(np.int64)


def no_usable_clip(skipped: Sequence[SkippedEntry]) -> UsageError:
    reasons = "; ".join(f"{s.name}: {s.reason}" for s in skipped[:3])
    return UsageError(f"no clip can be used for training ({reasons or 'the data list no clip'})")


def padded(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> tuple[Inputs, Lengths]:
    """Arrays of different lengths as one, zero-padded at the end."""
    lengths = np.array([len(a) for a in arrays], np.int64)
    out = np.zeros((len(arrays), int(lengths.max(initial=0)), *arrays[0].shape[1:]), dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out, lengths


def _check_targets(targets: Targets, bags: int, labels: Sequence[str]) -> None:
    if targets.shape != (bags, len(labels)):
        raise ValueError(f"targets are (bags, classes): {targets.shape = }, {bags = }")
    if not ((targets >= 0) & (targets <= 1) | np.isnan(targets)).all():
        raise ValueError("targets lie between 0 and 1, or are NaN where unknown")


def _digest(source: str, labels: Sequence[str], *arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256("\n".join([source, *labels]).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
