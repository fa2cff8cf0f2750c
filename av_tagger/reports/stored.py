"""The results of a run in their file: iterated any number of times, one in memory at a time."""

from __future__ import annotations

import json
from collections import Counter
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


TAGS_FIELD = '"tags": '  # as `schema.as_line` writes it; inside a text its quotes are escaped


@dataclass(frozen=True)
class TagCounts:
    """How often each tag was given, and how many results have none."""

    tagged: int
    without: int
    by_label: Counter[str]


def count_tags(path: Path) -> TagCounts:
    """Counts over a file of JSON lines. Only the tags of each line are parsed, so it is fast."""
    counts: Counter[str] = Counter()
    tagged = without = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for labels in filter(lambda found: found is not None, map(_labels, lines)):
                counts.update(set(labels or ()))
                tagged, without = tagged + bool(labels), without + (not labels)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); check the run's folder") from error
    return TagCounts(tagged, without, counts)


def _labels(line: str) -> list[str] | None:
    """The labels of a line's tags; None for a file that failed."""
    start = line.find(TAGS_FIELD)
    if start < 0:
        return None
    tags, _ = json.JSONDecoder().raw_decode(line, start + len(TAGS_FIELD))
    return [tag["label"] for tag in tags]
