"""Clips as embeddings of an ear that knows many sounds: read from a file of `av-tag embed`, or made here once and kept."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, StorageError, UsageError, sentence
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.manifests import ExampleSet, Skipped
from av_tagger.learning.data.store import Progress
from av_tagger.plan import Embedder, embedder_name, load_embedder
from av_tagger.reports.embeddings import made_by, read_embeddings

Rows = NDArray[np.float32]  # (seconds, width)


class Embeddings(Protocol):
    """Where a clip's rows come from."""

    @property
    def ear(self) -> str:
        """Which ear made them; empty: nobody knows."""
        ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def rows(self, clip: Clip) -> Rows: ...


class Stored:
    """Rows of a file, found by a clip's path, or by its name where only one file has it."""

    def __init__(self, path: Path) -> None:
        self.path, self.ear = path, made_by(path)
        found = read_embeddings(path)
        self._by_path: Mapping[Path, Rows] = {
            Path(name).resolve(): values for name, values in found.items()
        }
        names = Counter(Path(name).name for name in found)
        self._by_name: Mapping[str, Rows] = {
            Path(n).name: values for n, values in found.items() if names[Path(n).name] == 1
        }

    @property
    def notes(self) -> tuple[str, ...]:
        return (
            ()
            if self.ear
            else (
                f"{self.path} does not say which ear made it: the run can be measured, but cannot tag sound",
            )
        )

    def rows(self, clip: Clip) -> Rows:
        found = self._by_path.get(clip.path.resolve(), self._by_name.get(clip.path.name))
        if found is None:
            raise MediaError(clip.path, f"has no rows in {self.path}", "embed it, too")
        end = None if clip.end_seconds is None else math.ceil(clip.end_seconds)
        return found[math.floor(clip.start_seconds) : end]


@dataclass(frozen=True)
class EmbeddingCache:
    """Rows made by an ear, each clip's in a file of its own, so that it is heard once for all runs."""

    ear: str
    folder: Path
    notes: tuple[str, ...] = ()

    @cached_property
    def _embedder(self) -> Embedder:
        return load_embedder(self.ear, offline=offline())

    def rows(self, clip: Clip) -> Rows:
        file = self.folder / f"{_identity(clip, self.ear)}.npy"
        try:
            kept: Rows = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there yet, or cut short
            kept = self._embedder.embed_one(clip)
            self._keep(file, kept)
        return kept

    @staticmethod
    def _keep(file: Path, rows: Rows) -> None:
        part = file.with_suffix(f".{os.getpid()}.npy")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(part, rows)
            part.replace(file)
        except OSError as error:
            raise StorageError(
                sentence(
                    file.parent,
                    f"embeddings cannot be kept there ({error.strerror})",
                    "free some space",
                )
            ) from error


def embeddings_of(path: Path | None, ear: str, folder: Path) -> Embeddings:
    """Of a file where one is given, else made by the ear that the recipe names."""
    if path is not None:
        return Stored(path)
    if not ear:
        raise UsageError(
            "this recipe learns from embeddings: give a file of them (--embeddings), or name an ear: --set embedder=auto"
        )
    return EmbeddingCache(embedder_name(ear, offline=offline()), folder)


def embedding_bags(
    examples: ExampleSet, found: Embeddings, progress: Progress | None = None
) -> EmbeddingBags:
    """The examples whose rows could be had; the others are named in `skipped`."""
    rows: list[Rows] = []
    usable: list[int] = []
    skipped = list(examples.skipped)
    for i, example in enumerate(examples.examples):
        try:
            rows.append(_checked(example.clip, found))
            usable.append(i)
        except MediaError as error:
            skipped.append(
                Skipped(
                    example.clip.name,
                    "broken" if example.clip.path.is_file() else "missing",
                    error.reason,
                )
            )
        if progress:
            progress(i + 1, len(examples))
    return _laid_out(rows, usable, examples, tuple(skipped))


def _laid_out(
    rows: list[Rows], usable: list[int], examples: ExampleSet, skipped: tuple[Skipped, ...]
) -> EmbeddingBags:
    if not rows:
        reasons = "; ".join(f"{s.name}: {s.reason}" for s in skipped[:3])
        raise UsageError(
            f"none of the clips can be learnt from ({reasons or 'the data name no clip'})"
        )
    widths = {values.shape[1] for values in rows}
    if len(widths) > 1:
        raise UsageError(
            f"the embeddings are of different widths ({', '.join(map(str, sorted(widths)))}): make them with one ear"
        )
    together = np.concatenate(rows)
    first = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    digest = hashlib.sha256(together.tobytes()).hexdigest()
    return EmbeddingBags(
        together,
        first,
        examples.targets()[usable],
        examples.classes.labels,
        digest,
        skipped=skipped,
    )


def _checked(clip: Clip, found: Embeddings) -> Rows:
    rows = found.rows(clip)
    if not len(rows):
        raise MediaError(clip.path, "has no embedding in the seconds that the table names")
    if not np.isfinite(rows).all():
        raise MediaError(clip.path, "has embeddings that are not finite numbers")
    return rows


def _identity(clip: Clip, ear: str) -> str:
    stat = clip.path.stat()
    facts = (
        VERSION,
        ear,
        str(clip.path.absolute()),
        clip.start_seconds,
        clip.end_seconds,
        stat.st_size,
        stat.st_mtime_ns,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def offline() -> bool:
    return bool(os.environ.get("AV_TAGGER_OFFLINE"))


VERSION = 1  # of how rows are made
