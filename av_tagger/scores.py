"""What goes out: scores of a witness, the evidence for them, and the tags of a clip (numpy only)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip

Probabilities = NDArray[np.float64]


class Status(StrEnum):
    """How well a witness could do its work."""

    OK = "ok"
    DEGRADED = "degraded"
    NO_TRACK = "no track"
    NO_WEIGHTS = "no weights"
    OFF = "off"


@dataclass(frozen=True)
class Evidence:
    """Why the eye believes in a class: what was recognised, when, and how near its name is to the class's."""

    seconds: float
    object: str
    probability: float
    similarity: float


@dataclass(frozen=True)
class KeyFrame:
    """A picture that stands for a part of the clip."""

    seconds: float
    weight: float  # share of the clip's frames that it represents
    objects: tuple[tuple[str, float], ...] = ()  # most probable first
    picture: bytes | None = field(
        default=None, repr=False, compare=False
    )  # a small JPEG, for people


@dataclass(frozen=True)
class Activity:
    """Frame probabilities: the timeline that people see."""

    values: NDArray[np.float32]  # (frames, classes)
    rate: float  # frames a second
    start_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"activity is frames x classes: {self.values.shape = }")


@dataclass(frozen=True)
class Scores:
    """One witness on one clip: a probability per class, NaN where it has no opinion at all."""

    labels: tuple[str, ...]
    probabilities: Probabilities  # (classes,)
    status: Status = Status.OK
    activity: Activity | None = None
    evidence: dict[str, tuple[Evidence, ...]] = field(
        default_factory=dict
    )  # by label, strongest first
    keyframes: tuple[KeyFrame, ...] = ()

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.labels),):
            raise ValueError(
                f"one probability a class: {self.probabilities.shape = }, {len(self.labels) = }"
            )

    @classmethod
    def silent(cls, labels: tuple[str, ...], status: Status) -> Scores:
        """The scores of a witness that could not testify."""
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
    """A sound class that the clip contains, and why."""

    label: str
    probability: float
    threshold: float
    heard: float | None
    seen: float | None
    events: tuple[Event, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class ClassScore:
    """What each witness said of a class, and what the two came to."""

    fused: float
    heard: float | None
    seen: float | None
    threshold: float


@dataclass(frozen=True)
class BranchInfo:
    """Which ear or eye testified, with which weights, and how well it could."""

    status: Status
    model: str
    weights: str | None = None


@dataclass(frozen=True)
class RunInfo:
    """Under which conditions a result came to be."""

    version: str
    device: str
    fingerprint: str
    seconds: float


@dataclass(frozen=True)
class Tagged:
    """The answer for one clip."""

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


@dataclass(frozen=True)
class Failed:
    """A clip that could not be tagged; it costs itself only."""

    clip: Clip
    kind: str
    message: str


Outcome = Tagged | Failed
