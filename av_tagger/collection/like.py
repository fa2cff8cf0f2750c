"""`--like`: embeddings of runs, an ear for the sound that is given, and the nearest as hits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.clip import Clip
from av_tagger.collection.search import Found, FoundEvent, Hit, hits_of_files
from av_tagger.collection.sources import embeddings_of
from av_tagger.errors import UsageError, sentence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from av_tagger.collection.index import Index
    from av_tagger.collection.vectors import Neighbour, VectorIndex

SECONDS_PER_HIT = 20  # rows asked for per hit: neighbours often lie in one file


@dataclass
class EmbeddingFiles:
    """The embeddings that belong to runs, or one file that was named."""

    runs: Sequence[str]
    named: Path | None = None

    def paths(self) -> list[Path]:
        found = [self.named] if self.named is not None else embeddings_of(self.runs)
        if not found:
            run = self.runs[0]
            remedy = f"make them: av-tag embed FILES -o {run}/embeddings.parquet"
            raise UsageError(sentence(run, "has no embeddings for --like", remedy))
        return found

    def indexes(self) -> list[VectorIndex]:
        """The arrays of all files; those of different ears cannot be compared."""
        from av_tagger.collection.vectors import index_of

        found = [index_of(path) for path in self.paths()]
        ears = {index.ear for index in found}
        if len(ears) > 1:
            raise UsageError(
                f"the embeddings are by different ears ({', '.join(sorted(ears))}); "
                "choose one file with --embeddings"
            )
        return found

    def embed(self, like: Path, device: str, *, offline: bool) -> NDArray[np.float32]:
        """(seconds, width) of the asked sound, by the ear that made the stored embeddings."""
        from av_tagger.embedder import load_embedder

        ear = self.indexes()[0].ear
        if not ear:
            path = self.paths()[0]
            reason = "does not say which ear made it"
            raise UsageError(sentence(path, reason, "make it again with av-tag embed"))
        return load_embedder(ear, device, offline=offline).embed_one(Clip.of(like))


def prepare(path: Path) -> int:
    """Make the arrays of a file of embeddings; how many rows there are."""
    from av_tagger.collection.vectors import index_of

    return len(index_of(path))


def find_like(
    indexes: Sequence[Index],
    files: EmbeddingFiles,
    rows: NDArray[np.float32],
    allowed: Collection[str] | None,
    limit: int,
) -> Found:
    """The files that hold the nearest seconds, nearest first; `allowed` limits them."""
    from av_tagger.collection.vectors import mean_direction

    query, count = mean_direction(rows), limit * SECONDS_PER_HIT
    near = [n for v in files.indexes() for n in v.nearest(query, count, allowed)]
    near.sort(key=lambda n: -n.similarity)
    best: dict[str, list[Neighbour]] = {}
    for one in near:
        best.setdefault(one.file, []).append(one)
    chosen = dict(list(best.items())[:limit])
    known = hits_of_files(indexes, chosen)
    return Found(len(best), tuple(_hit(f, found, known.get(f)) for f, found in chosen.items()))


def _hit(file: str, found: Sequence[Neighbour], known: Hit | None) -> Hit:
    """The seconds of a file as events; neighbouring ones are joined."""
    events: list[FoundEvent] = []
    for one in sorted(found, key=lambda n: n.second):
        start, peak = float(one.second), one.similarity
        if events and events[-1].end == start:
            last = events.pop()
            start, peak = last.start, max(peak, last.peak)
        events.append(FoundEvent("like this", start, one.second + 1.0, peak))
    score = max(one.similarity for one in found)
    tags = () if known is None else known.tags
    moment = None if known is None else known.moment
    source = "" if known is None else known.source
    return Hit(source, file, 0.0, None, None, moment, score, tags, tuple(events))
