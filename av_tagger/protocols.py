"""Protocols of the exchangeable parts. Batches only: n things in, n results out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip, Frames, Media, MediaInfo, Waveform
from av_tagger.scores import BranchInfo, Heat, Outcome, Scores

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DecodeRequest:
    """What a decoder should deliver: only what the ear and the eye of a run can use."""

    audio_rate: int | None = 20_000  # Hz; None: no audio
    short_side: int | None = 342  # pixels of the shorter side; None: no frames
    frame_rate: float | None = None  # frames per second; None: every frame
    window_seconds: float = 10.0
    overlap_seconds: float = 1.0
    skip_nonref: bool = False  # skip non-reference frames: half of them, 60 % of the decoding time
    numbered: bool = False  # instead of pictures their numbers, for a decoder elsewhere


@runtime_checkable
class MediaBackend(Protocol):
    """Opens media files."""

    name: str

    def probe(self, path: Path) -> MediaInfo: ...

    def windows(self, clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        """Decode a clip window by window, each part of the file once, in bounded memory."""
        ...


@runtime_checkable
class AudioBranch(Protocol):
    """The ear: waveforms in, probabilities per class and a timeline out."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def rate(self) -> int:
        """The sampling rate of its input, in Hz."""
        ...

    @property
    def info(self) -> BranchInfo: ...

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]: ...


@runtime_checkable
class EmbeddingBranch(Protocol):
    """An ear that gives what it computes before its decision."""

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> Any:
        """The torch device of its network."""
        ...

    @property
    def rate(self) -> int: ...

    @property
    def width(self) -> int:
        """Numbers per second."""
        ...

    def embed(self, waveforms: Sequence[Waveform]) -> list[NDArray[np.float32]]:
        """(seconds, width) for each waveform."""
        ...


@runtime_checkable
class VideoBranch(Protocol):
    """The eye: frames in, probabilities per class and the evidence for them out."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def short_side(self) -> int:
        """Size of the frames it needs, in pixels of the shorter side."""
        ...

    @property
    def info(self) -> BranchInfo: ...

    def see(self, clips: Sequence[Frames]) -> list[Scores]: ...


@dataclass(frozen=True)
class EyeDetails:
    """What an eye reports beside scores, evidence and times of key frames; all of it takes time."""

    pictures: bool = True  # of key frames
    objects: bool = True  # names of what is in each key frame
    cuts: bool = True  # between shots


@runtime_checkable
class DetailedBranch(VideoBranch, Protocol):
    """An eye that can leave out details that its caller does not use."""

    def reporting(self, details: EyeDetails) -> VideoBranch: ...


@runtime_checkable
class FrameFeatures(Protocol):
    """Frames to vectors; the distance of two vectors says how different the frames look."""

    name: str

    def describe(self, clips: Sequence[Frames]) -> list[Tensor]:
        """One (frames, features) tensor per clip; micro-batches run across clips."""
        ...


@dataclass(frozen=True)
class Representatives:
    """Rows that represent all others, with a bound on how good the choice is."""

    rows: NDArray[np.int64]  # in ascending order
    weights: NDArray[np.float64]  # row sums of Z / n: the share that each row represents
    objective: float
    lower_bound: float

    @property
    def gap(self) -> float:
        """Relative distance between the objective and its lower bound."""
        return max(0.0, self.objective - self.lower_bound) / max(abs(self.objective), 1e-12)


@runtime_checkable
class KeyframeSelector(Protocol):
    """Features of many clips in, a few representative rows per clip out."""

    name: str

    def select(self, features: Sequence[Tensor], count: int) -> list[Representatives]: ...


@runtime_checkable
class Recogniser(Protocol):
    """Pictures in, object probabilities out; has its own preprocessing."""

    @property
    def objects(self) -> tuple[str, ...]: ...

    @property
    def info(self) -> BranchInfo: ...

    def recognise(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(images, objects) probabilities."""
        ...


@runtime_checkable
class FrameRecogniser(Recogniser, Protocol):
    """A recogniser that can take key frames as they were decoded, such as one on a GPU."""

    @property
    def reads_frames(self) -> bool:
        """Whether it prefers them to RGB pictures."""
        ...

    def recognise_frames(
        self, films: Sequence[Frames], rows: Sequence[NDArray[np.int64]]
    ) -> NDArray[np.float32]:
        """(rows of all films, objects) probabilities."""
        ...


@runtime_checkable
class LocatingRecogniser(Recogniser, Protocol):
    """A recogniser that knows where in a picture it sees an object."""

    def where(self, image: NDArray[np.uint8], objects: Sequence[int]) -> list[Heat | None]:
        """One per object; None where the network has no map of it."""
        ...


@runtime_checkable
class WordSpace(Protocol):
    """Similarity of the names of objects to the names of sounds."""

    name: str

    def similarity(self, objects: Sequence[str], sounds: Sequence[str]) -> NDArray[np.float32]:
        """(objects, sounds) cosine similarities; NaN for a name without known words."""
        ...


@runtime_checkable
class Fusion(Protocol):
    """Fuses the scores of ear and eye per class, and has the thresholds."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def fuse(self, heard: Sequence[Scores], seen: Sequence[Scores]) -> list[Scores]: ...

    def thresholds(self, heard: Scores, seen: Scores) -> NDArray[np.float64]:
        """(classes,) for the branches that have scores."""
        ...


class Outcomes(Protocol):
    """Results that can be iterated several times: a list, or a file that is read one by one.

    `__len__` keeps out generators, which can be iterated only once.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Outcome]: ...


@runtime_checkable
class Writer(Protocol):
    """Writes results in one format, in memory that does not grow with their number."""

    suffix: str

    def write(self, outcomes: Outcomes, path: Path) -> None: ...
