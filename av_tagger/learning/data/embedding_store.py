"""A store of embeddings: rows of many bags in one memory-mapped file, with names and labels."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.labels import ClassList
from av_tagger.learning.data.bags import EmbeddingBags, rows_of

ROWS, INDEX, CARD = "rows.bin", "index.npz", "store.json"


@dataclass(frozen=True)
class LabelledSegment:
    """A line of a segments list: a stretch of a video, and the AudioSet ids of its sounds."""

    video: str
    start_seconds: float
    end_seconds: float
    ids: tuple[str, ...]


@dataclass(frozen=True)
class EmbeddingStore:
    """Embeddings of many bags, concatenated and memory-mapped."""

    folder: Path
    rows: NDArray[Any]  # (instances, width)
    first: NDArray[np.int64]  # (bags + 1,)
    names: NDArray[np.str_]  # (bags,): the video, or the clip
    labels: NDArray[np.int64]  # (all labels,) positions in `classes`
    labels_first: NDArray[np.int64]  # (bags + 1,)
    classes: tuple[str, ...]  # ids, or labels where there are none
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.first) - 1

    def bags(
        self, classes: ClassList, segments: Sequence[LabelledSegment] | None = None
    ) -> EmbeddingBags:
        """All bags with the labels of the store, or those of a segments list with its labels."""
        chosen, rows, first = np.arange(len(self)), self.rows, self.first
        names: Iterable[Iterable[str]] = (self._names_of(bag) for bag in range(len(self)))
        if segments is not None:
            chosen, kept = self._find(segments)
            names = (s.ids for s in kept)
        if len(chosen) < len(self):
            index, first = rows_of(self.first, chosen)
            rows = self.rows[index]
        targets: NDArray[Any] = np.zeros((len(chosen), len(classes)), np.uint8)  # 1/4 of float32
        column = _columns(classes)
        for row, known in zip(targets, names, strict=True):
            row[[column[name] for name in known if name in column]] = 1
        return EmbeddingBags(rows, first, targets, classes.labels, self.sha256)

    def _names_of(self, bag: int) -> list[str]:
        own = self.labels[self.labels_first[bag] : self.labels_first[bag + 1]]
        return [self.classes[k] for k in own]

    def _find(
        self, segments: Sequence[LabelledSegment]
    ) -> tuple[NDArray[np.int64], list[LabelledSegment]]:
        """The bags of a list, in the order of the store; segments without features are skipped.

        AudioSet has at most one segment per video.
        """
        place = {str(name): i for i, name in enumerate(self.names)}
        found = sorted((place[s.video], n) for n, s in enumerate(segments) if s.video in place)
        if not found:
            remedy = "give the features that belong to the list"
            raise UsageError(sentence(self.folder, "holds none of the clips of the list", remedy))
        return np.array([bag for bag, _ in found], np.int64), [segments[n] for _, n in found]


def _columns(classes: ClassList) -> dict[str, int]:
    """Position of each class by id, label and the ids that count for it."""
    return {n: k for k, c in enumerate(classes) for n in (c.id, c.label, *c.also) if n}


@dataclass
class Packer:
    """Writes a store bag by bag; only names and labels are kept in memory."""

    folder: Path
    classes: tuple[str, ...]
    width: int = 0
    dtype: str = ""
    first: list[int] = field(default_factory=lambda: [0])
    names: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    labels_first: list[int] = field(default_factory=lambda: [0])
    _digest: Any = field(default_factory=hashlib.sha256)

    def add(self, name: str, rows: NDArray[Any], labels: Iterable[int]) -> None:
        if not self.names:
            self.width, self.dtype = rows.shape[1], str(rows.dtype)
        if rows.shape[1] != self.width or str(rows.dtype) != self.dtype:
            raise ValueError(
                f"a store holds embeddings of one shape: {name} has {rows.shape[1]} x {rows.dtype},"
                f" not {self.width} x {self.dtype}"
            )
        self._out.write(np.ascontiguousarray(rows).tobytes())
        self._digest.update(rows.tobytes())
        self.names.append(name)
        self.labels += list(labels)
        self.first.append(self.first[-1] + len(rows))
        self.labels_first.append(len(self.labels))

    def __enter__(self) -> Self:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._part = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.folder.name}."))
        self._out = (self._part / ROWS).open("wb")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Move the finished store into place; after an error leave nothing behind."""
        self._out.close()
        try:
            if kind is None:
                self._write_index()
                shutil.rmtree(self.folder, ignore_errors=True)
                self._part.chmod(0o755)
                self._part.replace(self.folder)
        finally:
            shutil.rmtree(self._part, ignore_errors=True)

    def _write_index(self) -> None:
        names = np.array(self.names, np.str_)
        lists = {"first": self.first, "labels": self.labels, "labels_first": self.labels_first}
        arrays: dict[str, Any] = {key: np.array(value, np.int64) for key, value in lists.items()}
        with (self._part / INDEX).open("wb") as out:
            np.savez(out, names=names, **arrays)
        for text in (self.names, self.labels, self.labels_first, self.classes):
            self._digest.update(json.dumps(text).encode())
        card = {
            "width": self.width,
            "dtype": self.dtype,
            "classes": self.classes,
            "sha256": self._digest.hexdigest(),
        }
        (self._part / CARD).write_text(json.dumps(card) + "\n", encoding="utf-8")


def open_store(folder: Path) -> EmbeddingStore:
    """Open a packed store; rows are memory-mapped."""
    remedy = "remove it, and it will be packed again"
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        with np.load(folder / INDEX, allow_pickle=False) as index:
            keys = ("first", "names", "labels", "labels_first")
            first, names, labels, labels_first = (index[key] for key in keys)
        rows = np.memmap(folder / ROWS, card["dtype"], "r").reshape(-1, card["width"])
    except (OSError, ValueError, KeyError) as error:
        reason = f"is not a complete store of embeddings ({error})"
        raise StorageError(sentence(folder, reason, remedy)) from error
    if len(rows) != first[-1]:
        reason = f"holds {len(rows)} embeddings where its index has {first[-1]}"
        raise StorageError(sentence(folder, reason, remedy))
    return EmbeddingStore(
        folder, rows, first, names, labels, labels_first, tuple(card["classes"]), card["sha256"]
    )
