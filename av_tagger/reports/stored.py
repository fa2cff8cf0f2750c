"""The results of a run in their file: iterated any number of times, one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from av_tagger.errors import StorageError
from av_tagger.reports.schema import read_outcomes
from av_tagger.scores import Outcome

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredOutcomes:
    """The outcomes in a file of JSON lines."""

    path: Path

    def __iter__(self) -> Iterator[Outcome]:
        return read_outcomes(self.path)

    def __len__(self) -> int:
        """The number of line ends; an incomplete last line has none."""
        try:
            with self.path.open("rb") as file:
                chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
                return sum(chunk.count(b"\n") for chunk in chunks)
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be read ({error.strerror}); check the run's folder"
            ) from error
