"""RUN/results.jsonl: the results of a run for reading, made from the journal alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from av_tagger.errors import StorageError
from av_tagger.reports.files import write_text
from av_tagger.runner.job import DONE
from av_tagger.runner.journal import Journal

NAME = "results.jsonl"


class ResultsTable:
    """Appends results as they come; `write` puts all of them in the order of the plan."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.path = journal, journal.folder / NAME
        self.seen = 0
        self.done = self.failed = 0

    def write(self) -> None:
        self.seen = self.journal.last()
        write_text(self.path, (f"{document}\n" for _, document in self.journal.documents()))

    def catch_up(self) -> None:
        """Append results since the last call."""
        while news := self.journal.results_after(self.seen):
            self._append("".join(f"{document}\n" for _, _, document in news).encode())
            self.seen = news[-1][0]
            done = sum(status == DONE for _, status, _ in news)
            self.done += done
            self.failed += len(news) - done

    def _append(self, data: bytes) -> None:
        try:
            with self.path.open("ab", buffering=0) as file:
                length = file.tell()
                try:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[file.write(rest) :]
                except OSError:
                    os.truncate(self.path, length)  # leave no half line on a full disk
                    raise
        except OSError as error:
            remedy = "results are safe in the journal; solve this and run the same command again"
            raise StorageError(
                f"{self.path}: cannot be written ({error.strerror or error}); {remedy}"
            ) from error


def listed_documents(journal: Journal) -> Iterator[tuple[str, str]]:
    """(name in the list, document) of the clips from official lists."""
    return ((listed, document) for listed, document in journal.documents() if listed)


def shards_of(folder: Path) -> list[Path]:
    """Journals of runs with --shard in this folder."""
    try:
        return sorted(folder.glob("shard-*-of-*/journal.sqlite"))
    except OSError as error:
        reason = f"cannot be searched for shards ({error.strerror or error})"
        raise StorageError(
            f"{folder}: {reason}; solve this and run the same command again"
        ) from error
