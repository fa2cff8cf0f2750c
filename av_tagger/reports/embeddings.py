"""Embedding files (npz or Parquet): one row per second and file, and the ear that made them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError, missing_library, sentence

if TYPE_CHECKING:
    from pathlib import Path

Rows = Mapping[str, NDArray[np.float32]]  # file: (seconds, width)

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
    return _read(path)[3]


def _read(path: Path) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.float32], str]:
    check_target(path)
    remedy = "make one with av-tag embed"
    if not path.is_file():
        raise UsageError(sentence(path, "no such file", remedy))
    try:
        return _read_npz(path) if path.suffix == ".npz" else _read_parquet(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
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
