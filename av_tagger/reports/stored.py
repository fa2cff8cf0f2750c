"""The results of a run as they lie in their file: gone through as often as needed, one of them in memory at a time."""

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
    """A file of JSON lines that is whole, as a run leaves it."""

    path: Path

    def __iter__(self) -> Iterator[Outcome]:
        return read_outcomes(self.path)

    def __len__(self) -> int:
        """Line ends are counted, since nothing need be understood for that; a line that is still being written has none."""
        try:
            with self.path.open("rb") as file:
                return sum(
                    chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK_BYTES), b"")
                )
        except OSError as error:
            raise StorageError(
                f"{self.path}: the results cannot be read ({error.strerror}); check the run's folder"
            ) from error
