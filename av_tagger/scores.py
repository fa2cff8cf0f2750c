"""What goes out: scores of a branch, the evidence for them, the tags of a clip (numpy only)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip

Probabilities = NDArray[np.float64]

HEARD_NOT_SEEN, SEEN_SILENT = "heard, not seen", "seen, silent"  # marks
SMALLEST = 1e-7  # probability whose log odds are still told apart


class Status(StrEnum):
    """State of the ear or the eye on a clip."""

    OK = "ok"
    DEGRADED = "degraded"
    NO_TRACK = "no track"
    NO_WEIGHTS = "no weights"
    OFF = "off"


Box = tuple[float, float, float, float]  # left, top, right, bottom: shares of the picture


@dataclass(frozen=True)
class Heat:
    """Where in a key frame an object is seen: class activation on a coarse grid."""

    grid: tuple[tuple[float, ...], ...]  # rows from top to bottom; 1 at the highest
    area: Box  # the part of the picture that the recogniser saw and the grid covers
    box: Box  # around the highest activation


@dataclass(frozen=True)
class Evidence:
    """Why the eye has a class: the object, when it was seen, how similar its name is."""

    seconds: float  # of the key frame in which it is seen best
    object: str
    probability: float  # of the object in that key frame, as in `KeyFrame.objects`
    similarity: float  # how strongly its name stands for the class
    where: Heat | None = field(default=None, repr=False)  # in that key frame, on request


@dataclass(frozen=True)
class KeyFrame:
    """A frame that represents a part of the clip."""

    seconds: float
    weight: float  # the share of the frames that it represents
    objects: tuple[tuple[str, float], ...] = ()  # most probable first
    picture: bytes | None = field(default=None, repr=False, compare=False)  # a small JPEG


@dataclass(frozen=True)
class Activity:
    """Frame probabilities: the timeline."""

    values: NDArray[np.float32]  # (frames, classes)
    rate: float  # frames per second
    start_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"activity must be (frames, classes): {self.values.shape = }")


@dataclass(frozen=True)
class Scores:
    """Scores of one branch for one clip: a probability per class, NaN if it has none."""

    labels: tuple[str, ...]
    probabilities: Probabilities  # (classes,)
    status: Status = Status.OK
    activity: Activity | None = None
    evidence: dict[str, tuple[Evidence, ...]] = field(default_factory=dict)  # by label, best first
    keyframes: tuple[KeyFrame, ...] = ()
    cuts: tuple[float, ...] = ()  # seconds at which the eye saw a new shot begin

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.labels),):
            raise ValueError(
                f"one probability per class: {self.probabilities.shape = }, {len(self.labels) = }"
            )

    @classmethod
    def silent(cls, labels: tuple[str, ...], status: Status) -> Scores:
        """NaN for all classes: the branch could not score the clip."""
        return cls(labels, np.full(len(labels), np.nan), status)

    @property
    def has_opinion(self) -> bool:
        return bool(np.isfinite(self.probabilities).any())


@dataclass(frozen=True)
class Event:
    """When a sound happens, in seconds of the file."""

    start: float
    end: float
    peak: float  # the highest frame probability between the two


@dataclass(frozen=True)
class Tag:
    """A class that the clip contains, and why."""

    label: str
    probability: float
    threshold: float
    heard: float | None
    seen: float | None
    events: tuple[Event, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    mark: str = ""  # where ear and eye disagree; see `fusion.marks`


@dataclass(frozen=True)
class ClassScore:
    """Scores of ear and eye for a class, the fused score and its threshold."""

    fused: float
    heard: float | None
    seen: float | None
    threshold: float
    mark: str = ""  # where ear and eye disagree
    ear_threshold: float | None = None  # of `heard` alone, where that is another than `threshold`

    @property
    def known(self) -> bool:
        """Whether ear or eye gave the class a score."""
        return self.heard is not None or self.seen is not None

    @property
    def ear_limit(self) -> float:
        """The threshold of `heard` alone."""
        return self.threshold if self.ear_threshold is None else self.ear_threshold

    @property
    def margin(self) -> float:
        """How far above its threshold, in log odds: comparable between classes."""
        return log_odds(self.fused) - log_odds(self.threshold)


def log_odds(probability: float) -> float:
    """Finite also for 0, 1 and a threshold that no probability reaches (infinite)."""
    p = min(max(probability, SMALLEST), 1 - SMALLEST)
    return math.log(p / (1 - p))


@dataclass(frozen=True)
class BranchInfo:
    """Which ear or eye was used, with which weights, and its status."""

    status: Status
    model: str
    weights: str | None = None

    @property
    def name(self) -> str:
        """Model and weights in one line; `off` for a branch that was not used."""
        if self.status is Status.OFF:
            return str(Status.OFF)
        return f"{self.model} ({self.weights})" if self.weights else self.model


@dataclass(frozen=True)
class RunInfo:
    """The conditions under which a result was made."""

    version: str
    device: str
    fingerprint: str
    seconds: float


@dataclass(frozen=True)
class Shot:
    """A part of a film between two cuts, and what is in it."""

    start: float
    end: float
    tags: tuple[tuple[str, float], ...] = ()  # label and peak in the shot, highest first


@dataclass(frozen=True)
class Tagged:
    """The result for one clip."""

    clip: Clip
    duration_seconds: float
    tags: tuple[Tag, ...]  # most probable first
    scores: dict[str, ClassScore]
    keyframes: tuple[KeyFrame, ...]
    ear: BranchInfo
    eye: BranchInfo
    run: RunInfo
    activity: Activity | None = field(default=None, repr=False)  # columns in the order of `scores`
    notes: tuple[str, ...] = ()
    shots: tuple[Shot, ...] = ()  # with `--by shot`


@dataclass(frozen=True)
class Failed:
    """A clip that could not be tagged, and why."""

    clip: Clip
    kind: str
    message: str


Outcome = Tagged | Failed
