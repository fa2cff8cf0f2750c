"""Embeddings as a file: one row a second of each file, in npz or Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import MissingExtra, StorageError, UsageError, sentence

if TYPE_CHECKING:
    from pathlib import Path

Rows = Mapping[str, NDArray[np.float32]]  # file: (seconds, width)


def check_target(path: Path) -> None:
    if path.suffix not in (".npz", ".parquet"):
        raise UsageError(sentence(path, "embeddings are written as .npz or .parquet", "choose one of the two endings"))


def write_embeddings(rows: Rows, path: Path) -> None:
    """Columns `file`, `second`, `embedding`; the file appears whole or not at all."""
    check_target(path)
    if not rows:
        raise UsageError(sentence(path, "there is nothing to write", "no file could be embedded"))
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (_write_npz if path.suffix == ".npz" else _write_parquet)(rows, part)
        part.replace(path)
    except OSError as error:
        raise StorageError(sentence(path, f"cannot be written ({error.strerror})", "choose another folder")) from error
    finally:
        part.unlink(missing_ok=True)


def read_embeddings(path: Path) -> dict[str, NDArray[np.float32]]:
    """What `write_embeddings` wrote."""
    check_target(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            files, seconds, values = stored["file"], stored["second"], stored["embedding"]
    else:
        table = _pyarrow().read_table(path)
        files, seconds = np.array(table["file"].to_pylist()), table["second"].to_numpy()
        values = np.array(table["embedding"].to_pylist(), dtype=np.float32)
    return {str(name): values[files == name][np.argsort(seconds[files == name])] for name in dict.fromkeys(files.tolist())}


def _columns(rows: Rows) -> tuple[list[str], NDArray[np.int32], NDArray[np.float32]]:
    files = [name for name, values in rows.items() for _ in values]
    seconds = np.concatenate([np.arange(len(values), dtype=np.int32) for values in rows.values()])
    return files, seconds, np.concatenate(list(rows.values()))


def _write_npz(rows: Rows, path: Path) -> None:
    files, seconds, values = _columns(rows)
    np.savez_compressed(path, file=np.array(files), second=seconds, embedding=values)


def _write_parquet(rows: Rows, path: Path) -> None:
    parquet = _pyarrow()
    import pyarrow as pa

    files, seconds, values = _columns(rows)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    parquet.write_table(pa.table({"file": files, "second": seconds, "embedding": vectors}), path)


def _pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("Parquet needs pyarrow; run: pip install 'av-tagger[parquet]', or write .npz") from error
    return parquet
