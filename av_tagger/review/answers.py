"""Answers on disk: JSON lines, each synced before it counts, read again at the next start."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from av_tagger.errors import StorageError, UsageError, sentence
from av_tagger.systems import lock_now

ANSWERS = ("yes", "no", "other", "skip")
SAMPLES = ("uncertain", "random")
NAME = "answers.jsonl"


@dataclass(frozen=True)
class ReviewAnswer:
    """One answer about one part of a unit."""

    key: str
    part: int
    answer: str
    other: str = ""  # the class that it is instead
    sample: str = "uncertain"  # how the unit was drawn
    reviewer: str = ""
    number: int = 0  # of the line, from 1
    time: float = 0.0  # Unix time
    label: str = ""  # for people who read the file
    file: str = ""

    def __post_init__(self) -> None:
        texts = (self.key, self.other, self.reviewer, self.label, self.file)
        if not all(isinstance(text, str) for text in texts) or type(self.part) is not int:
            raise TypeError("key, other, reviewer, label and file are text, part is a number")
        if self.answer not in ANSWERS or self.sample not in SAMPLES:
            raise ValueError(f"{self.answer = }, {self.sample = }")
        if (self.answer == "other") != bool(self.other):
            raise ValueError(f"another class needs its name: {self.other = }")


@dataclass
class AnswerLog:
    """The file of answers; one process at a time writes it."""

    path: Path
    answers: dict[int, ReviewAnswer] = field(default_factory=dict)  # in order, undone ones left out
    lines: int = 0
    damaged: int = 0
    _file: BinaryIO | None = None
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def read(cls, folder: Path) -> AnswerLog:
        """What the file says; nothing is written."""
        log = cls(folder / NAME)
        try:
            if log.path.is_file():
                log._replay(log.path.read_bytes())
        except OSError as error:
            raise _cannot(log.path, "read", error) from error
        return log

    @classmethod
    def open(cls, folder: Path) -> AnswerLog:
        """For writing. A line that was cut off, by a crash or a full disk, is removed."""
        log = cls(folder / NAME)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            log._file = os.fdopen(os.open(log.path, flags, 0o644), "r+b", buffering=0)
            if not lock_now(log._file):
                log.close()
                reason = "another av-tag review writes these answers"
                raise UsageError(sentence(log.path, reason, "end it, or give another folder -o"))
            log._file.seek(log._replay(log._file.read()))
            log._file.truncate()
        except OSError as error:
            raise _cannot(log.path, "written", error) from error
        return log

    def add(self, answer: ReviewAnswer) -> ReviewAnswer:
        """Append and sync; the answer with its number and time."""
        known = {f.name: getattr(answer, f.name) for f in fields(answer)}
        with self._lock:
            numbered = ReviewAnswer(**(known | {"number": self.lines + 1, "time": time.time()}))
            self._write(asdict(numbered))
            self.answers[numbered.number] = numbered
        return numbered

    def undo(self) -> ReviewAnswer | None:
        """Take back the last answer that was not taken back yet."""
        with self._lock:
            if not self.answers:
                return None
            number = next(reversed(self.answers))
            self._write({"undo": number, "time": time.time()})
            return self.answers.pop(number)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            raise UsageError("the review has ended; start it again")
        data = (json.dumps(line, allow_nan=False) + "\n").encode("ascii")
        where = self._file.tell()
        try:
            _append(self._file, data)
        except OSError as error:
            self._file.seek(where)
            self._file.truncate()
            raise _cannot(self.path, "written", error) from error
        self.lines += 1

    def _replay(self, data: bytes) -> int:
        """Take all complete lines; the length that they have."""
        complete = data.rfind(b"\n") + 1
        for line in _documents(data[:complete]):
            self.lines += 1
            if "undo" in line:
                self.answers.pop(line["undo"], None)
                continue
            try:
                known = {f.name: line[f.name] for f in fields(ReviewAnswer) if f.name in line}
                answer = ReviewAnswer(**(known | {"number": self.lines}))
            except (ValueError, TypeError):
                self.damaged += 1
                continue
            self.answers[answer.number] = answer
        return complete


def _documents(data: bytes) -> Iterator[dict[str, Any]]:
    """A damaged line is an empty object: the numbers of the others stay."""
    for line in data.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = {}
        yield found if isinstance(found, dict) else {}


def _append(file: BinaryIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def _cannot(path: Path, what: str, error: OSError) -> StorageError:
    remedy = "check the folder, free some space, or give another folder with -o"
    return StorageError(sentence(path, f"cannot be {what} ({error.strerror or error})", remedy))
