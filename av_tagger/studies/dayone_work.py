"""The study's work folder: which material there is, and what was already heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.studies.dayone_features import (
    Networks,
    Numbers,
    WindowFeatures,
    compute,
    joined,
    read,
    save,
)
from av_tagger.studies.dayone_sounds import LabelledClip, SoundExample, examples
from av_tagger.studies.starter_examples import Recording
from av_tagger.synth.dsp import Sound

FIRST_SEED = 610_000_000  # never used for the starter or for tests
PART = 500  # examples per file of the cache


@dataclass(frozen=True)
class Material:
    """Where the sounds lie, and where the results go."""

    shared: Path
    work: Path

    @property
    def sounds(self) -> Path:
        return self.shared / "sounds" / "train.csv"

    @property
    def videos(self) -> Path:
        return self.shared / "av" / "dev.csv"

    @property
    def efficientat(self) -> Path | None:
        path = self.shared / "weights" / "mn04_as_mAP_432.pt"
        return path if path.is_file() else None


@dataclass(frozen=True, eq=False)
class HeardSet:
    """Clips with their labels, and what the networks say of them."""

    features: WindowFeatures
    targets: Numbers  # (clips, classes): 1, 0, NaN unknown
    folds: NDArray[np.int64]  # (clips,)
    altered: NDArray[np.bool_]  # (clips,) real recordings altered or mixed


def hear_real(name: str, clips: list[LabelledClip], networks: Networks, work: Path) -> HeardSet:
    path = work / f"{name}.npz"
    if not path.is_file():
        save(path, compute(networks, (c.windows() for c in clips), print))
    return HeardSet(
        read(path),
        np.stack([c.targets for c in clips]),
        np.array([c.fold for c in clips]),
        np.zeros(len(clips), bool),
    )


def hear_examples(
    recordings: list[Recording], count: int, networks: Networks, work: Path
) -> HeardSet:
    """Seeded examples; what was heard is kept in files of PART examples."""
    parts = []
    for first in range(FIRST_SEED, FIRST_SEED + count, PART):
        some = min(PART, FIRST_SEED + count - first)
        path = work / f"examples.{first}.{some}.npz"
        if not path.is_file():
            _make(path, examples(recordings, first, some), networks)
        parts.append(_read_examples(path))
    return HeardSet(
        joined([p.features for p in parts]),
        *(np.concatenate([getattr(p, k) for p in parts]) for k in ("targets", "folds", "altered")),
    )


def _make(path: Path, made: Iterator[SoundExample], networks: Networks) -> None:
    kept: list[SoundExample] = []
    features = compute(networks, _remembering(made, kept), print)
    labels = path.with_suffix(".labels.npz")
    np.savez(
        labels,
        targets=np.stack([e.targets for e in kept]),
        folds=np.array([e.fold for e in kept]),
        altered=np.array([e.altered for e in kept]),
    )
    save(path, features)
    print(f"{path.name}: {len(kept)} examples", flush=True)


def _remembering(made: Iterator[SoundExample], kept: list[SoundExample]) -> Iterator[list[Sound]]:
    """Each example as one window; its labels are kept, its sound is not."""
    for e in made:
        kept.append(SoundExample(e.samples[:0], e.targets, e.fold, e.altered))
        yield [e.samples]


def _read_examples(path: Path) -> HeardSet:
    with np.load(path.with_suffix(".labels.npz")) as table:
        return HeardSet(read(path), table["targets"], table["folds"], table["altered"])
