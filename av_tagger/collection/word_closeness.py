"""Word vectors for queries: how near a phrase is to the names of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av_tagger.collection.names import Closeness


def word_closeness() -> Closeness | None:
    """Cosines by the word vectors of this machine; None where there are none."""
    from av_tagger.errors import MissingExtra
    from av_tagger.video.fetch import find_words

    path = find_words()
    if path is None:
        return None

    def close(phrase: str, others: list[str]) -> list[float]:
        import numpy as np

        from av_tagger.video.naming import needed_words
        from av_tagger.video.vectors import read_vectors
        from av_tagger.video.words import Reader

        try:
            reader = Reader(read_vectors(path, needed_words([phrase, *others])))
        except MissingExtra:
            return [-1.0] * len(others)
        cosines = reader.read(others) @ reader.read([phrase])[0]
        return [float(c) for c in np.nan_to_num(cosines, nan=-1.0)]

    return close
