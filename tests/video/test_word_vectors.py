"""All words of GloVe in one file: made of a NumPy array and a Parquet list, read by word."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from av_tagger.errors import WeightsError
from av_tagger.video.word_vectors import glove_arrays, holds_all_words, read_words

WORDS = ["the", ",", "siren", "señor", "￥", "go-kart"]
VECTORS = np.random.default_rng(1).standard_normal((len(WORDS), 5)).astype(np.float32)


def parquet(words: Sequence[str], column: str = "index") -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({column: words}), buffer)
    return buffer.getvalue()


def npy(array: NDArray[np.generic], *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def members(
    words: Sequence[str] = WORDS, vectors: NDArray[np.generic] = VECTORS
) -> dict[str, bytes]:
    return {"emb.npy": npy(vectors), "words.parquet": parquet(words)}


@pytest.mark.parametrize("order", ["C", "F"])
def test_words_and_their_vectors(tmp_path: Path, order: Literal["C", "F"]) -> None:
    """The published array is stored by columns; safetensors would write its bytes as they lie."""
    path = tmp_path / "glove.safetensors"
    save_file(glove_arrays(members(vectors=np.asarray(VECTORS, order=order))), path)
    assert holds_all_words(path)
    found = read_words(path, {"siren", "señor", "go-kart", "the", "unheard-of"})
    assert set(found) == {"siren", "señor", "go-kart", "the"}
    for word, vector in found.items():
        np.testing.assert_array_equal(vector, VECTORS[WORDS.index(word)])
    assert read_words(path, set()) == {}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (members(WORDS[:-1]), "5 words do not fit vectors"),
        (members(vectors=VECTORS.astype(np.float64)), "float64"),
        (members(vectors=VECTORS[:, 0]), "do not fit vectors"),
        (members([*WORDS[:-1], "two\nlines"]), "line break"),
        (members() | {"words.parquet": b"PAR1 not"}, "list of words cannot be read"),
        (members() | {"words.parquet": parquet(WORDS, "other")}, "list of words cannot be read"),
        (members() | {"words.parquet": parquet([1, 2])}, "other than words"),  # type: ignore[list-item]
        (members() | {"emb.npy": b"half"}, "word vectors cannot be read"),
        (members() | {"emb.npy": pickle.dumps(VECTORS)}, "word vectors cannot be read"),
        (
            members() | {"emb.npy": npy(np.array([{"a": 1}] * 6, dtype=object), allow_pickle=True)},
            "word vectors cannot be read",
        ),
    ],
)
def test_refused(files: dict[str, bytes], reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        glove_arrays(files)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nonsense")
    assert not holds_all_words(path)
    with pytest.raises(WeightsError, match="is not a file of word vectors"):
        read_words(path, {"siren"})
    save_file({"vectors": VECTORS, "words": np.frombuffer(b"one\ntwo", np.uint8)}, path)
    with pytest.raises(WeightsError, match="does not have one vector per word"):
        read_words(path, {"one"})
    save_file({"vectors": VECTORS}, path)
    assert not holds_all_words(path)
