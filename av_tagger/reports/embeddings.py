"""Embedding files (npz or Parquet): one row per second and file, and the ear that made them."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError, missing_library, sentence

if TYPE_CHECKING:
    from pathlib import Path

Rows = Mapping[str, NDArray[np.float32]]  # file: (seconds, width)
Block = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]  # files, seconds, values

EAR = "av_tagger.ear"  # key of Parquet's metadata
COLUMNS = ("file", "second", "embedding")


def check_target(path: Path) -> None:
    """An error unless the suffix is .npz or .parquet."""
    if path.suffix not in (".npz", ".parquet"):
        raise UsageError(sentence(path, "embeddings are written as .npz or .parquet"))


def write_embeddings(rows: Rows, path: Path, ear: str = "") -> None:
    """Columns `file`, `second`, `embedding`; the file is written completely or not at all."""
    check_target(path)
    if not rows:
        raise UsageError(sentence(path, "nothing to write: no file could be embedded"))
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (_write_npz if path.suffix == ".npz" else _write_parquet)(rows, part, ear)
        part.replace(path)
    except OSError as error:
        raise StorageError(
            sentence(path, f"cannot be written ({error.strerror})", "choose another folder")
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def read_embeddings(path: Path) -> dict[str, NDArray[np.float32]]:
    """(seconds, width) embeddings by file, as `write_embeddings` takes them."""
    files, seconds, values, _ = _read(path)
    names, first, codes = np.unique(files, return_index=True, return_inverse=True)
    order = np.lexsort((seconds, codes))
    parts = np.split(values[order], np.searchsorted(codes[order], np.arange(1, len(names))))
    return {str(names[k]): parts[k] for k in np.argsort(first)}


def made_by(path: Path) -> str:
    """The ear that made the embeddings, as `--ear` takes it; empty if unknown."""
    check_target(path)
    with _readable(path):
        return (_ear_of_npz if path.suffix == ".npz" else _ear_of_parquet)(path)


def stream_embeddings(path: Path, most: int = 4096) -> Iterator[Block]:
    """Files, seconds and values of at most so many rows at a time, in the order of the file."""
    check_target(path)
    with _readable(path):
        yield from (_blocks_npz if path.suffix == ".npz" else _blocks_parquet)(path, most)


def _blocks_npz(path: Path, most: int) -> Iterator[Block]:
    """The arrays of the archive side by side, without unpacking any of them as a whole."""
    with zipfile.ZipFile(path) as archive, ExitStack() as stack:
        members = [stack.enter_context(archive.open(f"{name}.npy")) for name in COLUMNS]
        heads = [_head_of(member) for member in members]
        if len({shape[0] for shape, _ in heads}) != 1:
            raise ValueError("its arrays have different lengths")
        for start in range(0, heads[0][0][0], most):
            rows = min(most, heads[0][0][0] - start)
            files, seconds, values = (
                _take(member, (rows, *shape[1:]), dtype)
                for member, (shape, dtype) in zip(members, heads, strict=True)
            )
            yield files, seconds, values


def _head_of(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0
    shape, fortran, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
        member
    )
    if fortran or dtype.hasobject or not shape:
        raise ValueError("an array in it is not stored row by row")
    return shape, dtype


def _take(member: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    size = math.prod(shape) * dtype.itemsize
    data = member.read(size)
    if len(data) != size:
        raise ValueError("an array in it is cut short")
    return np.frombuffer(data, dtype).reshape(shape)


def _blocks_parquet(path: Path, most: int) -> Iterator[Block]:
    for batch in _pyarrow().ParquetFile(path).iter_batches(most, columns=list(COLUMNS)):
        files, seconds, vectors = (batch.column(name) for name in COLUMNS)
        values = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        names = np.array(files.to_pylist())
        yield names, seconds.to_numpy(zero_copy_only=False), values.reshape(len(vectors), -1)


def _ear_of_npz(path: Path) -> str:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        _check_columns(stored)
        return str(stored["ear"]) if "ear" in stored else ""


def _check_columns(known: Container[str]) -> None:
    for name in COLUMNS:
        if name not in known:
            raise KeyError(name)


def _ear_of_parquet(path: Path) -> str:
    schema = _pyarrow().read_schema(path)
    _check_columns(schema.names)
    metadata = schema.metadata or {}
    return str(metadata.get(EAR.encode(), b"").decode())


def _read(path: Path) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.float32], str]:
    check_target(path)
    with _readable(path):
        return _read_npz(path) if path.suffix == ".npz" else _read_parquet(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What is wrong with a file of embeddings, as one sentence."""
    remedy = "make one with av-tag embed"
    if not path.is_file():
        raise UsageError(sentence(path, "no such file", remedy))
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            sentence(path, f"has no columns {', '.join(COLUMNS)} ({error})", remedy)
        ) from error


def _read_npz(path: Path) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.float32], str]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        files, seconds, values = (stored[name] for name in COLUMNS)
        return files, seconds, values, str(stored["ear"]) if "ear" in stored else ""


def _read_parquet(
    path: Path,
) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.float32], str]:
    table = _pyarrow().read_table(path)
    files, seconds, vectors = (table[name].combine_chunks() for name in COLUMNS)
    values = (
        vectors.flatten()
        .to_numpy(zero_copy_only=False)
        .astype(np.float32)
        .reshape(len(vectors), -1)
    )
    ear = (table.schema.metadata or {}).get(EAR.encode(), b"").decode()
    return np.array(files.to_pylist()), seconds.to_numpy(), values, ear


def _columns(rows: Rows) -> tuple[list[str], NDArray[np.int32], NDArray[np.float32]]:
    files = [name for name, values in rows.items() for _ in values]
    seconds = np.concatenate([np.arange(len(values), dtype=np.int32) for values in rows.values()])
    return files, seconds, np.concatenate(list(rows.values()))


def _write_npz(rows: Rows, path: Path, ear: str) -> None:
    files, seconds, values = _columns(rows)
    arrays = dict(zip(COLUMNS, (np.array(files), seconds, values), strict=True)) | {
        "ear": np.array(ear)
    }
    # numpy.savez cannot store an array named `file`.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _write_parquet(rows: Rows, path: Path, ear: str) -> None:
    parquet = _pyarrow()
    import pyarrow as pa

    files, seconds, values = _columns(rows)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    table = pa.table({"file": files, "second": seconds, "embedding": vectors})
    parquet.write_table(table.replace_schema_metadata({EAR: ear}), path)


def _pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise missing_library("Parquet files need", "pyarrow", error) from error
    return parquet
