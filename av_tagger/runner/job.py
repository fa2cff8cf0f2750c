"""What travels through a run: items that were asked for, jobs to do, records of what came out (plain data, picklable)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_tagger.clip import Clip
from av_tagger.reports.schema import as_line
from av_tagger.scores import Failed, Outcome

DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class Item:
    """A clip that was asked for, and the name under which an official list knows it."""

    clip: Clip
    listed: str = ""
    trouble: str = ""  # why there is nothing to open, in words


@dataclass(frozen=True)
class Job:
    """An item of the plan that is still to be done."""

    position: int
    clip: Clip
    was_there: bool = True  # when the plan was made
    attempts: int = 0  # how often a process died over it


@dataclass(frozen=True)
class Record:
    """What came of a job, as the journal keeps it."""

    position: int
    status: str
    kind: str  # of failure
    heard: str
    seen: str
    seconds: float
    document: str


def record(job: Job, outcome: Outcome, seconds: float, *, detail: bool = False) -> Record:
    """The document leaves out how long the clip took: in a batch a clip shares its time, and a table should not depend on luck."""
    if isinstance(outcome, Failed):
        return Record(job.position, FAILED, outcome.kind, "", "", seconds, as_line(outcome))
    timeless = replace(outcome, run=replace(outcome.run, seconds=np.nan))
    line = as_line(timeless, detail=detail)
    return Record(
        job.position, DONE, "", str(outcome.ear.status), str(outcome.eye.status), seconds, line
    )


def failure(job: Job, kind: str, message: str) -> Record:
    return record(job, Failed(job.clip, kind, message), 0.0)
