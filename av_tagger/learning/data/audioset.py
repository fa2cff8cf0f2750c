"""AudioSet's released embeddings: its label lists, and a packed store that its TFRecord files are read into once."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, TableError, UsageError, sentence
from av_tagger.labels import ClassList, SoundClass, audioset
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.balance import generator
from av_tagger.learning.data.tfrecord import Sequence as Example
from av_tagger.learning.data.tfrecord import read_sequences
from av_tagger.settings import fingerprint

if TYPE_CHECKING:
    from av_tagger.learning.data.prepare import Sources
    from av_tagger.learning.recipe import Recipe
    from av_tagger.learning.run import Data

FEATURE = "audio_embedding"  # the released files' list of one vector of 128 bytes a second
ROWS, INDEX, CARD = "rows.bin", "index.npz", "store.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Segment:
    """A line of a segments list: a stretch of a video, and the AudioSet ids of what is heard in it."""

    video: str
    start_seconds: float
    end_seconds: float
    ids: tuple[str, ...]


@dataclass(frozen=True)
class EmbeddingStore:
    """Embeddings of many bags end to end, mapped from the disk, with the names and labels that came with them."""

    folder: Path
    rows: NDArray[Any]  # (instances, width)
    first: NDArray[np.int64]  # (bags + 1,)
    names: NDArray[np.str_]  # (bags,): the video, or the clip
    labels: NDArray[np.int64]  # (all labels,) places in `classes`
    labels_first: NDArray[np.int64]  # (bags + 1,)
    classes: tuple[str, ...]  # ids, or labels where there are none
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.first) - 1

    def bags(self, classes: ClassList, segments: Sequence[Segment] | None = None) -> EmbeddingBags:
        """Bags with targets of these classes: all with the store's own labels, or those of a list with the list's."""
        wanted = {
            name: k for k, c in enumerate(classes) for name in (c.id, c.label, *c.also) if name
        }
        if segments is None:
            chosen = np.arange(len(self))
            labels: Iterable[Iterable[str]] = (
                (self.classes[i] for i in self._labels_of(bag)) for bag in range(len(self))
            )
        else:
            chosen, kept = self._find(segments)
            labels = (s.ids for s in kept)
        targets: NDArray[Any] = np.zeros(
            (len(chosen), len(classes)), np.uint8
        )  # a quarter of what float32 would take
        for row, names in zip(targets, labels, strict=True):
            row[[wanted[name] for name in names if name in wanted]] = 1
        return EmbeddingBags(*self._rows_of(chosen), targets, classes.labels, self.sha256)

    def _labels_of(self, bag: int) -> NDArray[np.int64]:
        return self.labels[self.labels_first[bag] : self.labels_first[bag + 1]]

    def _find(self, segments: Sequence[Segment]) -> tuple[NDArray[np.int64], list[Segment]]:
        """AudioSet has at most one segment of a video; those whose features are missing are left out."""
        place = {str(name): i for i, name in enumerate(self.names)}
        found = sorted((place[s.video], n) for n, s in enumerate(segments) if s.video in place)
        if not found:
            raise UsageError(
                sentence(
                    self.folder,
                    "holds none of the clips of the list",
                    "give the features that belong to the list",
                )
            )
        return np.array([bag for bag, _ in found], np.int64), [segments[n] for _, n in found]

    def _rows_of(self, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The map itself where all bags are wanted, in order; else the wanted rows, copied."""
        if len(chosen) == len(self):
            return self.rows, self.first
        lengths = np.diff(self.first)[chosen]
        first = np.concatenate([[0], lengths.cumsum()])
        index = np.repeat(self.first[chosen] - first[:-1], lengths) + np.arange(first[-1])
        return self.rows[index], first


@dataclass
class Packer:
    """Writes a store bag by bag; nothing is kept in memory but names and labels."""

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
                f"embeddings of one store are alike: {name} has {rows.shape[1]} x {rows.dtype}, not {self.width} x {self.dtype}"
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
        """The store appears whole or not at all."""
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


def pack_tfrecords(
    files: Sequence[Path],
    folder: Path,
    classes: ClassList | None = None,
    progress: Progress | None = None,
) -> EmbeddingStore:
    """Read TFRecord files into a store; their label numbers are places in AudioSet's list, or in `classes`."""
    if not files:
        raise UsageError(
            "there is no TFRecord file to pack; name a folder that holds *.tfrecord files"
        )
    known = classes or audioset()
    with Packer(folder, known.ids) as packer:
        for number, file in enumerate(files):
            for example in read_sequences(file):
                _pack(packer, file, example, len(known))
            if progress:
                progress(number + 1, len(files))
        if not packer.names:
            raise StorageError(
                sentence(files[0], "and its like hold no example", "fetch them again")
            )
    return open_store(folder)


def open_store(folder: Path) -> EmbeddingStore:
    """A packed store; rows stay on the disk until they are read."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        with np.load(folder / INDEX, allow_pickle=False) as index:
            first, names, labels, labels_first = (
                index[key] for key in ("first", "names", "labels", "labels_first")
            )
        rows = np.memmap(folder / ROWS, card["dtype"], "r").reshape(-1, card["width"])
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            sentence(
                folder,
                f"is no whole store of embeddings ({error})",
                "remove it, and it is packed anew",
            )
        ) from error
    if len(rows) != first[-1]:
        raise StorageError(
            sentence(
                folder,
                f"holds {len(rows)} embeddings where its index has {first[-1]}",
                "remove it, and it is packed anew",
            )
        )
    return EmbeddingStore(
        folder, rows, first, names, labels, labels_first, tuple(card["classes"]), card["sha256"]
    )


def read_segments(path: Path) -> list[Segment]:
    """A segments list of AudioSet: `YTID, start_seconds, end_seconds, "id,id"` after lines that begin with #."""
    found = []
    for number, row in _rows(path):
        if not row or row[0].startswith("#"):
            continue
        try:
            video, start, end, *ids = (cell.strip() for cell in row)
            found.append(
                Segment(
                    video,
                    float(start),
                    float(end),
                    tuple(i.strip() for cell in ids for i in cell.split(",") if i.strip()),
                )
            )
        except ValueError as error:
            raise TableError(
                path,
                number,
                f"cannot be read ({error})",
                "YTID, start_seconds, end_seconds, positive_labels",
            ) from error
    if not found:
        raise UsageError(sentence(path, "names no segment", "give a segments list of AudioSet"))
    return found


def read_class_labels(path: Path) -> ClassList:
    """`class_labels_indices.csv`: index, mid, display_name; the index is the number that TFRecord files use."""
    rows = [(number, row) for number, row in _rows(path) if row and row[0].strip() != "index"]
    for place, (number, row) in enumerate(rows):
        if len(row) != 3 or row[0].strip() != str(place):
            raise TableError(
                path, number, f"is not class {place}", "index, mid, display_name, counting from 0"
            )
    return ClassList(tuple(SoundClass(name.strip(), mid.strip()) for _, (_, mid, name) in rows))


def is_released(sources: Sources) -> bool:
    """Whether a source is of AudioSet's release: TFRecord files, a packed store, or a segments list with such features."""
    return sources.embeddings is None and any(
        _holds_features(path) for path in (*sources.training, *filter(None, [sources.media]))
    )


def released_data(
    sources: Sources, classes: ClassList, recipe: Recipe, progress: Progress | None = None
) -> Data:
    """A source is a folder of TFRecord files, a packed store, or a segments list whose features lie below `media`."""
    from av_tagger.learning.run import Data

    training = [source_bags(source, sources, classes, progress) for source in sources.training]
    if sources.validation:
        validation = [
            source_bags(source, sources, classes, progress) for source in sources.validation
        ]
        return Data(joined(training), joined(validation), None, classes.ids, sources.origin)
    everything = joined(training)
    order = generator(recipe.seed, 30).permutation(len(everything))
    held = np.sort(order[: max(1, round(sources.hold_out * len(everything)))])
    rest = np.setdiff1d(np.arange(len(everything)), held)
    return Data(
        part_of(everything, rest), part_of(everything, held), None, classes.ids, sources.origin
    )


def source_bags(
    source: Path, sources: Sources, classes: ClassList, progress: Progress | None
) -> EmbeddingBags:
    """A store is used as it is; TFRecord files are packed beside decoded sound, once."""
    if (source / CARD).is_file():
        return open_store(source).bags(classes)
    if source.suffix == ".csv":
        features = sources.media or source.parent
        store = (
            open_store(features)
            if (features / CARD).is_file()
            else _packed(features, sources, progress)
        )
        return store.bags(classes, read_segments(source))
    return _packed(source, sources, progress).bags(classes)


def joined(parts: Sequence[EmbeddingBags]) -> EmbeddingBags:
    """Several sets of bags as one; a single one stays mapped from the disk."""
    if len(parts) == 1:
        return parts[0]
    if len({p.rows.shape[1] for p in parts}) != 1:
        raise UsageError(
            f"the sources hold embeddings of different widths: {sorted({p.rows.shape[1] for p in parts})}"
        )
    lengths = np.concatenate([p.lengths for p in parts])
    source = fingerprint([p.source_sha256 for p in parts])
    rows, targets = (
        np.concatenate([p.rows for p in parts]),
        np.concatenate([p.targets for p in parts]),
    )
    return EmbeddingBags(
        rows, np.concatenate([[0], lengths.cumsum()]), targets, parts[0].labels, source
    )


def part_of(bags: EmbeddingBags, chosen: NDArray[np.int64]) -> EmbeddingBags:
    """Some of the bags; their rows are copied."""
    lengths = bags.lengths[chosen]
    first = np.concatenate([[0], lengths.cumsum()])
    index = np.repeat(bags.first[chosen] - first[:-1], lengths) + np.arange(first[-1])
    return EmbeddingBags(
        bags.rows[index], first, bags.targets[chosen], bags.labels, bags.source_sha256
    )


def _holds_features(path: Path) -> bool:
    return (
        path.suffix == ".tfrecord"
        or (path / CARD).is_file()
        or (path.is_dir() and next(path.rglob("*.tfrecord"), None) is not None)
    )


def _packed(features: Path, sources: Sources, progress: Progress | None) -> EmbeddingStore:
    from av_tagger.learning.data.prepare import store_folder

    files = [features] if features.suffix == ".tfrecord" else sorted(features.rglob("*.tfrecord"))
    if not files:
        raise UsageError(
            sentence(
                features,
                "holds no *.tfrecord file",
                "name a folder of AudioSet's features, or a packed store",
            )
        )
    stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    folder = (sources.store or store_folder()) / f"embeddings-{fingerprint(stats)}"
    return (
        open_store(folder)
        if (folder / CARD).is_file()
        else pack_tfrecords(files, folder, None, progress)
    )


def _pack(packer: Packer, file: Path, example: Example, classes: int) -> None:
    name = _text(example.context, file)
    vectors = [feature.bytes[0] for feature in example.lists.get(FEATURE, []) if feature.bytes]
    if not vectors:
        raise StorageError(
            sentence(file, f"{name} has no {FEATURE}", "give AudioSet's released features")
        )
    if len({len(v) for v in vectors}) != 1:
        raise StorageError(
            sentence(
                file, f"the embeddings of {name} have different widths", "fetch the file again"
            )
        )
    labels = example.context["labels"].integers if "labels" in example.context else ()
    if any(not 0 <= label < classes for label in labels):
        raise StorageError(
            sentence(
                file,
                f"{name} has a label outside 0 ... {classes - 1}: {max(labels)}",
                "give the class list that it was made for",
            )
        )
    packer.add(name, np.frombuffer(b"".join(vectors), np.uint8).reshape(len(vectors), -1), labels)


def _text(context: Mapping[str, Any], file: Path) -> str:
    found = context.get("video_id")
    if found is None or not found.bytes:
        raise StorageError(
            sentence(
                file, "holds an example without a video_id", "give AudioSet's released features"
            )
        )
    return str(found.bytes[0].decode("utf-8", "replace"))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from enumerate(csv.reader(file, skipinitialspace=True), 1)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(sentence(path, f"cannot be read ({error})", "give a CSV file")) from error
