"""Clips as embeddings of a published ear: from a file of `av-tag embed`, or computed and cached."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from av_tagger.audio import ears
from av_tagger.clip import Clip
from av_tagger.embedder import Embedder, embedder_name, load_embedder
from av_tagger.errors import MediaError, UsageError, WeightsError
from av_tagger.learning.data.bags import EmbeddingBags, file_numbers, no_usable_clip
from av_tagger.learning.data.clip_cache import ClipCache, Rows, offline
from av_tagger.learning.data.examples import ExampleSet, SkippedEntry
from av_tagger.learning.data.store import Progress
from av_tagger.reports.embeddings import made_by, read_embeddings

VERSION = 1  # of how embeddings are computed


class Embeddings(Protocol):
    """A source of embeddings: one row per second of a clip."""

    @property
    def ear(self) -> str:
        """The ear that computed them; empty: unknown."""
        ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def rows(self, clip: Clip) -> Rows: ...


class Stored:
    """Embeddings of a file, found by the path of a clip, or by its name where that is unique."""

    def __init__(self, path: Path) -> None:
        self.path, self.ear = path, made_by(path)
        found = read_embeddings(path)
        names = Counter(Path(name).name for name in found)
        self._by_path: Mapping[Path, Rows] = {Path(n).resolve(): v for n, v in found.items()}
        self._by_name: Mapping[str, Rows] = {
            Path(n).name: v for n, v in found.items() if names[Path(n).name] == 1
        }

    @property
    def notes(self) -> tuple[str, ...]:
        if self.ear:
            return ()
        problem = f"{self.path} does not name the ear of its embeddings"
        return (f"{problem}: the run can be evaluated, but cannot tag sound",)

    def rows(self, clip: Clip) -> Rows:
        found = self._by_path.get(clip.path.resolve(), self._by_name.get(clip.path.name))
        if found is None:
            raise MediaError(clip.path, f"has no embeddings in {self.path}", "embed it as well")
        end = None if clip.end_seconds is None else math.ceil(clip.end_seconds)
        return found[math.floor(clip.start_seconds) : end]


@dataclass(frozen=True)
class EmbeddingCache:
    """Embeddings computed by an ear and cached per clip."""

    ear: str
    folder: Path
    notes: tuple[str, ...] = ()

    @cached_property
    def _content(self) -> tuple[str, ...]:
        """A run can be trained again under the same name."""
        source = ears.resolve(self.ear, offline=offline())
        return tuple(source.identity) if source.kind == "trained" else ()

    @cached_property
    def _embedder(self) -> Embedder:
        try:
            return load_embedder(self.ear, offline=offline())
        except WeightsError as error:
            others = "or use the embeddings of another ear: --set embedder=auto"
            raise WeightsError(f"{error}; {others}") from error

    def rows(self, clip: Clip) -> Rows:
        cache = ClipCache(self.folder, (VERSION, self.ear, *self._content))
        return cache.get(clip, self._embed)

    def _embed(self, clip: Clip) -> Rows:
        return self._embedder.embed_one(clip)


def embeddings_of(path: Path | None, ear: str, folder: Path) -> Embeddings:
    """Embeddings of a file if one is given, else computed by the ear of the recipe."""
    if path is not None:
        return Stored(path)
    if not ear:
        raise UsageError(
            "this recipe trains on the embeddings of another run: train small/embedding-cnn and"
            " give its folder (--set embedder=RUN), or choose an ear: --set embedder=auto"
        )
    return EmbeddingCache(embedder_name(ear, offline=offline()), folder)


def embedding_bags(
    examples: ExampleSet, found: Embeddings, progress: Progress | None = None
) -> EmbeddingBags:
    """The examples that have embeddings; the others are listed in `skipped`."""
    rows: list[Rows] = []
    usable: list[int] = []
    skipped = list(examples.skipped)
    for i, example in enumerate(examples.examples):
        try:
            rows.append(_checked(example.clip, found))
            usable.append(i)
        except MediaError as error:
            kind = "broken" if example.clip.path.is_file() else "missing"
            skipped.append(SkippedEntry(example.clip.name, kind, error.reason))
        if progress:
            progress(i + 1, len(examples))
    if not rows:
        raise no_usable_clip(skipped)
    return _concatenated(rows, usable, examples, tuple(skipped))


def _concatenated(
    rows: list[Rows], usable: list[int], examples: ExampleSet, skipped: tuple[SkippedEntry, ...]
) -> EmbeddingBags:
    widths = ", ".join(map(str, sorted({values.shape[1] for values in rows})))
    if "," in widths:
        raise UsageError(f"the embeddings have different widths ({widths}): use one ear for all")
    together = np.concatenate(rows)
    return EmbeddingBags(
        together,
        np.cumsum([0, *map(len, rows)], dtype=np.int64),
        examples.targets()[usable],
        examples.classes.labels,
        hashlib.sha256(together.tobytes()).hexdigest(),
        skipped=skipped,
        files=file_numbers(examples, usable),
    )


def _checked(clip: Clip, found: Embeddings) -> Rows:
    rows = found.rows(clip)
    if not len(rows):
        raise MediaError(clip.path, "has no embedding in the seconds that the table gives")
    if not np.isfinite(rows).all():
        raise MediaError(clip.path, "has embeddings that are not finite numbers")
    return rows
