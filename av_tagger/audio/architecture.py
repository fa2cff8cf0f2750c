"""An ear's network as plain data: front end, extractor, pooling (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from av_tagger.settings import check_range, from_table, to_table

ACTIVATION_NAMES = ("sigmoid", "softmax")  # of the head
MOST_VALUES = 1_000_000  # features of a front end per second; the largest here has 12,000


@dataclass(frozen=True)
class FeatureShape:
    """Input of an extractor: (batch, channels, frames, bands) at `rate` frames per second."""

    channels: int
    bands: int
    rate: float

    def __post_init__(self) -> None:
        check_range(self, 1, 64, "channels")
        check_range(self, 1, 100_000, "bands")
        check_range(self, 1e-3, 10_000.0, "rate")


@dataclass(frozen=True)
class LogMelSettings:
    """Log-mel features. Defaults: AV §3.2, 20 kHz, 24 ms frames every 5 ms, 60 bands."""

    rate: int = 20_000  # Hz
    window: int = 480  # samples, 24 ms
    hop: int = 100  # samples, 5 ms; 10 s are 2000 frames
    fft: int = 1024
    mels: int = 60
    low_hz: float = 0.0
    high_hz: float | None = None  # None: half the sampling rate
    scale: Literal["slaney", "htk"] = "slaney"
    norm: Literal["area", "peak"] = "area"  # triangles of equal area (Slaney) or of height one
    power: float = 2.0
    log: Literal["natural", "decibel", "none"] = "natural"
    floor: float = 1e-7  # about the noise of 16-bit samples in a band: digital silence is finite
    floor_mode: Literal["add", "clip"] = "add"
    padding: Literal["centre", "end"] = "centre"  # frame t is centred at t * hop, or starts there
    preemphasis: float = 0.0
    deltas: bool = False  # the first delta as a second channel (SMALL)
    delta_width: int = 9  # frames of the regression, odd
    exact: bool = False  # STFT in float64: half the speed; float32 errs 50 dB below the peak

    def __post_init__(self) -> None:
        check_range(self, 100, 1_000_000, "rate")  # as of media
        check_range(self, 1, 1 << 16, "window", "hop", "fft")
        check_range(self, 1, 512, "mels")
        check_range(self, 0.0, 10.0, "power")
        check_range(self, 0.0, 1e6, "floor")
        check_range(self, -1.0, 1.0, "preemphasis")
        check_range(self, 3, 999, "delta_width")
        if self.rate / self.hop * self.mels > MOST_VALUES:
            raise ValueError(
                f"more than {MOST_VALUES} features a second: {self.rate = }, {self.hop = }, "
                f"{self.mels = }"
            )
        if self.fft < self.window:
            raise ValueError(f"the FFT must cover the window: {self.fft = }, {self.window = }")
        if not 0 <= self.low_hz < self.top_hz <= self.rate / 2:
            raise ValueError(
                "bands must lie between 0 Hz and half the sampling rate: "
                f"{self.low_hz = }, {self.top_hz = }, {self.rate = }"
            )
        if self.delta_width % 2 == 0:
            raise ValueError(f"delta_width must be odd: {self.delta_width}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}: {getattr(self, name)!r}")

    @property
    def top_hz(self) -> float:
        return self.rate / 2 if self.high_hz is None else self.high_hz

    @property
    def shape(self) -> FeatureShape:
        channels = 2 if self.deltas else 1
        return FeatureShape(channels, bands=self.mels, rate=self.rate / self.hop)

    def frames(self, samples: int) -> int:
        """Frames that cover all samples: 200 000 samples are 2000 frames."""
        return max(1, -(-samples // self.hop))


CHOICES = {
    "scale": ("slaney", "htk"),
    "norm": ("area", "peak"),
    "log": ("natural", "decibel", "none"),
    "floor_mode": ("add", "clip"),
    "padding": ("centre", "end"),
}


@dataclass(frozen=True)
class EarArchitecture:
    """All that `build_network` needs, as stored in a checkpoint's header."""

    classes: int
    extractor: str = "crnn"
    extractor_settings: dict[str, Any] = field(default_factory=dict)
    pooling: str = "max"
    pooling_settings: dict[str, Any] = field(default_factory=dict)
    frontend: LogMelSettings | None = field(default_factory=LogMelSettings)  # None: no waveforms
    features: FeatureShape | None = None  # input shape of a network without front end
    activation: str = "sigmoid"  # of the instances; one of ACTIVATION_NAMES
    margin: int = 0  # instances of silence padded around every clip, see `MilNetwork`
    residual_norm: float | None = None  # lambda of FUSE's ResNorm on the features; None: off

    def __post_init__(self) -> None:
        check_range(self, 1, 100_000, "classes")
        check_range(self, 0, 1000, "margin")
        check_range(self, 0.0, 1000.0, "residual_norm")
        if (self.frontend is None) == (self.features is None):
            raise ValueError("a network needs either a front end or the shape of its features")
        if self.activation not in ACTIVATION_NAMES:
            raise ValueError(
                f"the activation is one of {', '.join(ACTIVATION_NAMES)}: {self.activation!r}"
            )

    @property
    def shape(self) -> FeatureShape:
        shape = self.features if self.frontend is None else self.frontend.shape
        assert shape is not None
        return shape

    def to_table(self) -> dict[str, Any]:
        return to_table(self)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str = "architecture") -> EarArchitecture:
        """From plain values; a table with `features` and no `frontend` has no front end."""
        parts = {"frontend": None, **table} if table.get("features") else table
        return from_table(cls, parts, where)
