"""Read word vectors from GloVe text, plain or zipped, or safetensors, for needed words only."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from av_tagger import weights
from av_tagger.errors import ZIP_ERRORS, WeightsError, in_line, missing_library, sentence
from av_tagger.settings import parse_json
from av_tagger.video.word_vectors import read_words

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

LONGEST_LINE = 1 << 16  # bytes; 300 numbers have less than 4 KB
_REMEDY = "name another file of GloVe vectors, or get one: av-tag weights fetch words"


def read_vectors(path: Path, needed: Collection[str]) -> KeyedVectors:
    """The vectors of `needed` from GloVe text of any size, or from safetensors of all its words.

    Memory grows with the needed words alone.
    """
    if path.suffix == ".safetensors":
        return keyed(_some(path, read_words(path, needed)))
    wanted = {word.encode() for word in needed}
    found: dict[str, NDArray[np.float32]] = {}
    with _lines(path) as lines:
        width = 0
        for number, line in enumerate(lines, 1):
            width = width or line.count(b" ")
            word = line[: line.find(b" ")]
            if (
                word in wanted and line.count(b" ") == width
            ):  # a few words of the 840B file hold blanks: not ours
                found.setdefault(word.decode(), _numbers(line, width, path, number))
    return keyed(_some(path, found))


def _some(path: Path, found: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    if not found:
        raise WeightsError(sentence(path, "holds none of the words that are needed", _REMEDY))
    return found


def keyed(found: dict[str, NDArray[np.float32]]) -> KeyedVectors:
    """The vectors as gensim knows them."""
    try:
        from gensim.models import KeyedVectors
    except ImportError as error:
        raise missing_library("word vectors need", "gensim", error) from error
    matrix = np.stack(list(found.values()))
    vectors = KeyedVectors(vector_size=matrix.shape[1], dtype=np.float32)
    vectors.add_vectors(list(found), matrix)
    return vectors


def words_folder() -> Path:
    """Where the compact files of kept words are."""
    return weights.cache_folder() / "words"


def cached_vectors(path: Path, needed: Collection[str], folder: Path) -> KeyedVectors:
    """As `read_vectors`, from a compact file in `folder` when these words were taken from this file
    before.
    """
    compact = folder / f"words-{_fingerprint(path, needed)}.safetensors"
    if compact.is_file():
        return load_compact(compact)
    vectors = read_vectors(path, needed)
    folder.mkdir(parents=True, exist_ok=True)
    save_compact(vectors, compact, path.name)
    return vectors


def save_compact(vectors: KeyedVectors, path: Path, source: str) -> None:
    from safetensors.numpy import save_file

    part = path.with_suffix(f".{os.getpid()}.part")
    words = json.dumps(list(vectors.index_to_key), ensure_ascii=False)
    save_file(
        {"vectors": np.asarray(vectors.vectors)}, part, metadata={"words": words, "source": source}
    )
    part.replace(path)


def load_compact(path: Path) -> KeyedVectors:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            words = parse_json(file.metadata()["words"])
            matrix = file.get_tensor("vectors")
        return keyed(dict(zip(words, matrix, strict=True)))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            sentence(
                path, f"is not a file of kept word vectors ({error})", "delete it; it is made anew"
            )
        ) from error


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[bytes]]:
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive, _member(archive) as inside:
                    raw: Any = inside  # buffered: its own lines of limited length are slow
                    yield _short_lines(io.BufferedReader(raw, 1 << 20), path)
            else:
                file.seek(0)
                yield _short_lines(file, path)
    except (*ZIP_ERRORS, OSError) as error:
        reason = f"cannot be read as word vectors ({in_line(str(error), 120)})"
        raise WeightsError(sentence(path, reason, _REMEDY)) from error


def _short_lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """The lines; what has no end of line could fill the memory."""
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            reason = f"has a line of more than {LONGEST_LINE} bytes"
            raise WeightsError(sentence(path, reason, _REMEDY))
        yield line


def _member(archive: zipfile.ZipFile) -> IO[bytes]:
    """The one text in the archive, or the first of several (glove.6B.zip holds four sizes)."""
    texts = sorted(name for name in archive.namelist() if name.endswith(".txt"))
    if not texts:
        raise zipfile.BadZipFile("there is no text file in the archive")
    return archive.open(texts[0])


def _numbers(line: bytes, width: int, path: Path, number: int) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # an infinite number is refused below
            vector = np.array(line.split()[1:], dtype=np.float32)
    except ValueError as error:
        reason = f"line {number} is not a word and its numbers ({in_line(str(error), 120)})"
        raise WeightsError(sentence(path, reason, _REMEDY)) from error
    if len(vector) != width:
        reason = f"line {number} has {len(vector)} numbers, others have {width}"
        raise WeightsError(sentence(path, reason, _REMEDY))
    if not np.isfinite(vector).all():
        raise WeightsError(
            sentence(path, f"line {number} holds numbers that are not finite", _REMEDY)
        )
    return vector


def _fingerprint(path: Path, needed: Collection[str]) -> str:
    stat = path.stat()
    parts: list[Any] = [path.name, stat.st_size, stat.st_mtime_ns, sorted(needed)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
