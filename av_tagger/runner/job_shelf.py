"""The next jobs of a run, from which decoders choose: engines of a card take the large files."""

from __future__ import annotations

from collections.abc import Iterator

from av_tagger.runner.job import Job

NumberedJob = tuple[int, Job]


class JobShelf:
    """Holds a few jobs ahead; with one, jobs come in their order. Its users hold a lock."""

    def __init__(self, jobs: Iterator[Job], ahead: int = 1) -> None:
        self._source, self._ahead = enumerate(jobs), ahead
        self._held: list[tuple[int, NumberedJob]] = []  # bytes of the file, job

    def next(self, *, large: bool = False) -> NumberedJob | None:
        """The oldest job; or of those that are held the one with the largest file."""
        while len(self._held) < self._ahead and (found := next(self._source, None)) is not None:
            self._held.append((_size(found[1]) if self._ahead > 1 else 0, found))
        if not self._held:
            return None
        place = 0
        if large:
            place = max(range(len(self._held)), key=lambda i: self._held[i][0])
        return self._held.pop(place)[1]


def _size(job: Job) -> int:
    try:
        return job.clip.path.stat().st_size
    except OSError:  # its decoder says what is wrong
        return 0
