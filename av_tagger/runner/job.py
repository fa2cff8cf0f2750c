"""Plain, picklable data of a run: items to tag, jobs to do, records of results."""

from __future__ import annotations

from dataclasses import dataclass, replace

from av_tagger.clip import Clip
from av_tagger.reports.schema import as_line
from av_tagger.scores import Failed, Outcome

DONE, FAILED = "done", "failed"
SUSPECT = "suspect"  # not a result: to be tried once more, alone
CRASH = "crash"  # kind of failure that may have its reason outside of the file


@dataclass(frozen=True)
class Item:
    """A clip to tag, and its name in an official list."""

    clip: Clip
    listed: str = ""  # empty: from no list
    problem: str = ""  # why there is no file to open


@dataclass(frozen=True)
class Job:
    """An item of the plan that is not done yet."""

    position: int  # in the plan
    clip: Clip
    was_there: bool = True  # when the plan was made
    attempts: int = 0  # how often a process died while it held this job


@dataclass(frozen=True)
class Record:
    """The result of a job, as the journal stores it."""

    position: int
    status: str
    kind: str  # of failure
    heard: str
    seen: str
    seconds: float
    document: str
    traceback: str = ""  # of a bug of this program


def record(job: Job, outcome: Outcome, seconds: float, *, detail: bool = False) -> Record:
    """The document has no run time, which clips of a batch share: results must be reproducible."""
    if isinstance(outcome, Failed):
        return Record(job.position, FAILED, outcome.kind, "", "", seconds, as_line(outcome))
    line = as_line(outcome, detail=detail, timed=False)
    return Record(
        job.position, DONE, "", str(outcome.ear.status), str(outcome.eye.status), seconds, line
    )


def suspect(job: Job) -> Record:
    """A job whose decoder was killed: the reason may be another file, or another program."""
    return Record(job.position, SUSPECT, CRASH, "", "", 0.0, "")


def failure(job: Job, kind: str, message: str, traceback: str = "") -> Record:
    return replace(record(job, Failed(job.clip, kind, message), 0.0), traceback=traceback)
