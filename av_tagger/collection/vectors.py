"""Nearest embeddings among millions: a folder of arrays that are read in place, with numpy.

Every row is one second of a file. Rows are stored twice: short (their coordinates along the axes of
largest variance, int8) and whole (float16). A search multiplies all short rows, block by block, and
ranks the best of them by the exact cosine of their whole rows.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.reports.embeddings import Block, made_by, stream_embeddings

Floats = NDArray[np.float32]

VERSION = 1
SHORT = 96  # coordinates of a short row
SAMPLE = 20_000  # rows that the axes are computed from
CANDIDATES = 1000  # short rows whose exact cosine is computed
BLOCK = 4096  # rows in memory at once
FOLDER_SUFFIX = ".like"
AGAIN = "delete the folder; it is made again"


@dataclass(frozen=True)
class Neighbour:
    """A second of a file, and its cosine with what was asked for."""

    file: str
    second: int
    similarity: float


class VectorIndex:
    """The arrays of one file of embeddings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _arrays(folder):
            facts = json.loads((folder / "facts.json").read_text("utf-8"))
            self.ear, self.scale = str(facts["ear"]), float(facts["scale"])
            self.files: list[str] = json.loads((folder / "files.json").read_text("ascii"))
            self.axes, self.rows, self.short = (
                np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in ("axes", "rows", "short")
            )
            if len({len(self.rows), len(self.short), _rows_in(folder)}) != 1:
                raise ValueError("arrays of different lengths")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return int(self.axes.shape[0])

    def whole(self, numbers: NDArray[Any]) -> Floats:
        """Some rows as they are stored: of length 1, to half precision."""
        with _arrays(self.folder):
            return _read_rows(self.folder / "whole.npy", numbers, self.width)

    def nearest(self, query: Floats, count: int, files: Collection[str] | None = None) -> Found:
        """The rows with the largest cosine, best first; of `files` alone where they are given."""
        query = _unit(np.asarray(query, np.float32)[None])[0]
        if query.shape != (self.width,):
            raise UsageError(
                f"an embedding of {len(query)} numbers cannot be compared with the {self.width} "
                f"of {self.folder.name}; use the ear that made them"
            )
        near = self._short_scores(query @ np.asarray(self.axes))
        if files is not None:
            allowed = np.fromiter((name in files for name in self.files), bool, len(self.files))
            near[~allowed[np.asarray(self.rows[:, 0])]] = -np.inf
        most = min(max(CANDIDATES, 2 * count), len(near))
        best = np.sort(np.argpartition(-near, most - 1)[:most]) if most else np.empty(0, np.int64)
        best = best[np.isfinite(near[best])]
        exact = _unit(self.whole(best)) @ query
        order = np.argsort(-exact, kind="stable")[:count]
        return [
            Neighbour(self.files[f], int(s), float(c))
            for (f, s), c in zip(self.rows[best[order]].tolist(), exact[order], strict=True)
        ]

    def _short_scores(self, query: Floats) -> Floats:
        """An estimate of all cosines, without their common factor."""
        found = np.empty(len(self), np.float32)
        part = np.empty((min(BLOCK, max(1, len(self))), self.short.shape[1]), np.float32)
        for start in range(0, len(self), BLOCK):
            block = self.short[start : start + BLOCK]
            part[: len(block)] = block
            np.dot(part[: len(block)], query, out=found[start : start + len(block)])
        return found


Found = list[Neighbour]


def index_of(embeddings: Path, folder: Path | None = None) -> VectorIndex:
    """The arrays of a file of embeddings; made again where the file has changed."""
    folder = folder or embeddings.with_name(embeddings.name + FOLDER_SUFFIX)
    status = embeddings.stat() if embeddings.is_file() else None
    state = "" if status is None else f"{status.st_size} {status.st_mtime_ns}"
    if _state_of(folder) != state or not state:
        build(stream_embeddings(embeddings), folder, made_by(embeddings), state)
    return VectorIndex(folder)


def build(blocks: Iterable[Block], folder: Path, ear: str, state: str = "") -> None:
    """Write the arrays: into a folder beside, which then takes the place of the old one."""
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        files, rows, width = _write_whole(blocks, part)
        scale = _write_short(part, len(rows), width)
        np.save(part / "rows.npy", rows)
        facts = {"version": VERSION, "ear": ear, "scale": scale, "state": state}
        (part / "facts.json").write_text(json.dumps(facts), "utf-8")
        (part / "files.json").write_text(json.dumps(files), "ascii")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        reason = f"the vectors cannot be written ({error.strerror or error})"
        raise StorageError(sentence(folder, reason, "free some space")) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_whole(blocks: Iterable[Block], folder: Path) -> tuple[list[str], NDArray[Any], int]:
    """`whole.npy` piece by piece; names of files, and file and second of every row."""
    numbers: dict[str, int] = {}
    rows: list[NDArray[np.int32]] = []
    width = 0
    with (folder / "whole.raw").open("wb") as raw:
        for files, seconds, values in blocks:
            width = values.shape[1]
            names = [numbers.setdefault(str(name), len(numbers)) for name in files.tolist()]
            rows.append(np.stack([np.array(names, np.int32), seconds.astype(np.int32)], axis=1))
            unit = np.nan_to_num(_unit(np.asarray(values, np.float32)))
            raw.write(np.ascontiguousarray(unit, np.float16).tobytes())
    every = np.concatenate(rows) if rows else np.empty((0, 2), np.int32)
    _with_head(folder, "whole", (len(every), width))
    return list(numbers), every, width


def _with_head(folder: Path, name: str, shape: tuple[int, int]) -> None:
    """Put the head of an .npy file before raw float16 rows; its length is known only now."""
    raw, target = folder / f"{name}.raw", folder / f"{name}.npy"
    head = {"descr": "<f2", "fortran_order": False, "shape": shape}
    with target.open("wb") as out, raw.open("rb") as file:
        np.lib.format.write_array_header_1_0(out, head)
        shutil.copyfileobj(file, out, 1 << 20)
    raw.unlink()


def _write_short(folder: Path, count: int, width: int) -> float:
    """`axes.npy` and `short.npy`; returns what an int8 step stands for."""
    some = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])
    sample = _read_rows(folder / "whole.npy", some, width)
    # Without the mean taken off: cosines are products of the rows as they are.
    _, vectors = np.linalg.eigh(sample.T @ sample)
    axes = np.ascontiguousarray(vectors[:, ::-1][:, :SHORT], np.float32)
    scale = float(np.abs(sample @ axes).max() or 1.0) / 127
    shape = (count, axes.shape[1])
    short = np.lib.format.open_memmap(folder / "short.npy", "w+", np.int8, shape)
    for start, block in whole_blocks(folder):
        coordinates = np.round(block @ axes / scale)
        short[start : start + len(block)] = np.clip(coordinates, -127, 127)
    short.flush()
    np.save(folder / "axes.npy", axes)
    return scale


def _rows_in(folder: Path) -> int:
    with (folder / "whole.npy").open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        return int(shape[0])


def _read_rows(path: Path, numbers: NDArray[Any], width: int) -> Floats:
    """Some rows, read one by one: of a mapped file the pages around each would count as memory."""
    found = np.empty((len(numbers), width), np.float32)
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        head = file.tell()
        for place, number in enumerate(numbers.tolist()):
            file.seek(head + 2 * number * width)
            found[place] = np.frombuffer(file.read(2 * width), "<f2")
    return found


def whole_blocks(folder: Path) -> Iterator[tuple[int, Floats]]:
    """First number and rows of one block of `whole.npy` after the other, read and not mapped."""
    with (folder / "whole.npy").open("rb") as file:
        np.lib.format.read_magic(file)
        (count, width), _, _ = np.lib.format.read_array_header_1_0(file)
        for start in range(0, count, BLOCK):
            rows = min(BLOCK, count - start)
            block = np.frombuffer(file.read(2 * rows * width), "<f2").reshape(rows, width)
            yield start, block.astype(np.float32)


def _unit(rows: Floats) -> Floats:
    """Rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.maximum(lengths, 1e-12)
    return unit


def _state_of(folder: Path) -> str:
    try:
        facts = json.loads((folder / "facts.json").read_text("utf-8"))
        return str(facts["state"]) if facts["version"] == VERSION else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@contextmanager
def _arrays(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StorageError(sentence(folder, f"cannot be read ({error})", AGAIN)) from error


Embed = Callable[[Path], Floats]  # the rows of embeddings of a file


def mean_direction(rows: Floats) -> Floats:
    """One query from the seconds of a clip."""
    mean: Floats = _unit(np.asarray(rows, np.float32)).mean(axis=0)
    return mean
