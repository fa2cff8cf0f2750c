"""AudioSet's release: segment lists, and its TFRecord embeddings packed into a store once."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.errors import StorageError, TableError, UsageError, sentence
from av_tagger.labels import ClassList, audioset
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.embedding_store import (
    CARD,
    EmbeddingStore,
    LabelledSegment,
    Packer,
    open_store,
)
from av_tagger.learning.data.tfrecord import SequenceExample, read_sequences
from av_tagger.settings import fingerprint

FEATURE = "audio_embedding"  # the feature list of the release: 128 bytes per second
Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class ReleasedFeatures:
    """Reads sources of AudioSet's release; TFRecord files are packed into `folder` once."""

    folder: Path
    features: Path | None = None  # features of segments lists; None: beside the list
    progress: Progress | None = None

    def bags(self, source: Path, classes: ClassList) -> EmbeddingBags:
        """Bags of a packed store, a folder of TFRecord files, or a segments list (CSV)."""
        if (source / CARD).is_file():
            return open_store(source).bags(classes)
        if source.suffix != ".csv":
            return self._packed(source).bags(classes)
        features = self.features or source.parent
        packed = (features / CARD).is_file()
        store = open_store(features) if packed else self._packed(features)
        return store.bags(classes, read_segments(source))

    def _packed(self, features: Path) -> EmbeddingStore:
        single = features.suffix == ".tfrecord"
        files = [features] if single else sorted(features.rglob("*.tfrecord"))
        if not files:
            remedy = "give a folder of AudioSet's features, or a packed store"
            raise UsageError(sentence(features, "holds no *.tfrecord file", remedy))
        stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        folder = self.folder / f"embeddings-{fingerprint(stats)}"
        if (folder / CARD).is_file():
            return open_store(folder)
        return pack_tfrecords(files, folder, None, self.progress)


def holds_features(path: Path) -> bool:
    """Whether a path is a TFRecord file, a packed store, or a folder with TFRecord files."""
    return (
        path.suffix == ".tfrecord"
        or (path / CARD).is_file()
        or (path.is_dir() and next(path.rglob("*.tfrecord"), None) is not None)
    )


def pack_tfrecords(
    files: Sequence[Path],
    folder: Path,
    classes: ClassList | None = None,
    progress: Progress | None = None,
) -> EmbeddingStore:
    """Pack TFRecord files; their label numbers index AudioSet's class list, or `classes`."""
    if not files:
        raise UsageError(
            "there is no TFRecord file to pack; give a folder that holds *.tfrecord files"
        )
    known = classes or audioset()
    with Packer(folder, known.ids) as packer:
        for number, file in enumerate(files):
            for example in read_sequences(file):
                _pack(packer, file, example, len(known))
            if progress:
                progress(number + 1, len(files))
        if not packer.names:
            raise StorageError(sentence(files[0], "holds no example", "fetch the files again"))
    return open_store(folder)


def read_segments(path: Path) -> list[LabelledSegment]:
    """A segments list: `YTID, start_seconds, end_seconds, "id,id"`; lines with # are comments."""
    found = [
        _segment(path, number, row)
        for number, row in _rows(path)
        if row and not row[0].startswith("#")
    ]
    if not found:
        raise UsageError(sentence(path, "lists no segment", "give a segments list of AudioSet"))
    return found


def joined(parts: Sequence[EmbeddingBags]) -> EmbeddingBags:
    """Several sets of bags as one; a single set stays memory-mapped."""
    if len(parts) == 1:
        return parts[0]
    widths = sorted({p.rows.shape[1] for p in parts})
    if len(widths) != 1:
        raise UsageError(f"the sources hold embeddings of different widths: {widths}")
    lengths = np.concatenate([p.lengths for p in parts])
    return EmbeddingBags(
        np.concatenate([p.rows for p in parts]),
        np.concatenate([[0], lengths.cumsum()]),
        np.concatenate([p.targets for p in parts]),
        parts[0].labels,
        fingerprint([p.source_sha256 for p in parts]),
    )


def _segment(path: Path, number: int, row: Sequence[str]) -> LabelledSegment:
    try:
        video, start, end, *cells = (cell.strip() for cell in row)
        ids = tuple(i.strip() for cell in cells for i in cell.split(",") if i.strip())
        return LabelledSegment(video, float(start), float(end), ids)
    except ValueError as error:
        columns = "YTID, start_seconds, end_seconds, positive_labels"
        raise TableError(path, number, f"cannot be read ({error})", columns) from error


def _pack(packer: Packer, file: Path, example: SequenceExample, classes: int) -> None:
    name = _video_id(example.context, file)
    vectors = [feature.bytes[0] for feature in example.lists.get(FEATURE, []) if feature.bytes]
    if not vectors:
        remedy = "give AudioSet's released features"
        raise StorageError(sentence(file, f"{name} has no {FEATURE}", remedy))
    if len({len(v) for v in vectors}) != 1:
        reason = f"the embeddings of {name} have different widths"
        raise StorageError(sentence(file, reason, "fetch the file again"))
    labels = example.context["labels"].integers if "labels" in example.context else ()
    if any(not 0 <= label < classes for label in labels):
        reason = f"{name} has a label outside 0 ... {classes - 1}: {max(labels)}"
        raise StorageError(sentence(file, reason, "give the class list that it was made for"))
    packer.add(name, np.frombuffer(b"".join(vectors), np.uint8).reshape(len(vectors), -1), labels)


def _video_id(context: Mapping[str, Any], file: Path) -> str:
    found = context.get("video_id")
    if found is None or not found.bytes:
        remedy = "give AudioSet's released features"
        raise StorageError(sentence(file, "holds an example without a video_id", remedy))
    return str(found.bytes[0].decode("utf-8", "replace"))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from enumerate(csv.reader(file, skipinitialspace=True), 1)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(sentence(path, f"cannot be read ({error})", "give a CSV file")) from error
