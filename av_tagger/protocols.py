"""The sockets: what each part promises, so that another can take its place. Batch only: n things in, n out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip, Frames, Media, MediaInfo, Waveform
from av_tagger.scores import BranchInfo, Outcome, Scores

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DecodeRequest:
    """What is asked of a decoder: only what the ear and the eye of this run can use."""

    audio_rate: int | None = 20_000  # Hz; None: no sound wanted
    short_side: int | None = 342  # pixels of the shorter side; None: no pictures wanted
    frame_rate: float | None = None  # candidate frames a second; None: every frame
    window_seconds: float = 10.0
    overlap_seconds: float = 1.0
    skip_nonref: bool = False  # leave out frames that no other needs: about half of them at 60 % of the decoding, where the codec has such


@runtime_checkable
class MediaBackend(Protocol):
    """Opens files; the one room that knows codecs."""

    name: str

    def probe(self, path: Path) -> MediaInfo: ...

    def windows(self, clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        """Decode a clip window by window, each part of the file once, in bounded memory."""
        ...


@runtime_checkable
class AudioBranch(Protocol):
    """The ear: waveforms in, a probability per class and a timeline out."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def rate(self) -> int:
        """The sampling rate it listens at, in Hz."""
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
    """The eye: frames in, a probability per class and the evidence for it out."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def short_side(self) -> int:
        """The picture size it needs, in pixels of the shorter side."""
        ...

    @property
    def info(self) -> BranchInfo: ...

    def see(self, clips: Sequence[Frames]) -> list[Scores]: ...


@runtime_checkable
class FrameFeatures(Protocol):
    """Pictures to vectors whose distances say how different two frames look."""

    name: str

    def describe(self, clips: Sequence[Frames]) -> list[Tensor]:
        """One (frames, features) tensor a clip, from micro-batches laid end to end over the clips."""
        ...


@dataclass(frozen=True)
class Representatives:
    """Rows that stand for all others, with a proof of how good the choice is."""

    rows: NDArray[np.int64]  # rising
    weights: NDArray[np.float64]  # row sums of Z over n: the share each row represents
    objective: float
    lower_bound: float

    @property
    def gap(self) -> float:
        """Relative distance between what was found and what is provably the best possible."""
        return max(0.0, self.objective - self.lower_bound) / max(abs(self.objective), 1e-12)


@runtime_checkable
class KeyframeSelector(Protocol):
    """Features of many clips in, a few representative rows for each out."""

    name: str

    def select(self, features: Sequence[Tensor], count: int) -> list[Representatives]: ...


@runtime_checkable
class Recogniser(Protocol):
    """Pictures in, object probabilities out, with its own preprocessing."""

    @property
    def objects(self) -> tuple[str, ...]: ...

    @property
    def info(self) -> BranchInfo: ...

    def recognise(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(images, objects) probabilities."""
        ...


@runtime_checkable
class WordSpace(Protocol):
    """Words as vectors: how near an object's name is to a sound's."""

    name: str

    def similarity(self, objects: Sequence[str], sounds: Sequence[str]) -> NDArray[np.float32]:
        """(objects, sounds) cosine similarities; NaN where a name has no known word."""
        ...


@runtime_checkable
class Fusion(Protocol):
    """Weighs ear against eye, class by class, and knows where each class's threshold lies."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def fuse(self, heard: Sequence[Scores], seen: Sequence[Scores]) -> list[Scores]: ...

    def thresholds(self, heard: Scores, seen: Scores) -> NDArray[np.float64]:
        """(classes,) calibrated for the witnesses that did testify."""
        ...


class Outcomes(Protocol):
    """Results to be gone through as often as needed: a list, or a file of any length of which one result is held at a time.

    Their number is asked for so that nothing passes that can be gone through only once.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Outcome]: ...


@runtime_checkable
class Writer(Protocol):
    """Results as a file of one format, in memory that does not grow with their number."""

    suffix: str

    def write(self, outcomes: Outcomes, path: Path) -> None: ...
