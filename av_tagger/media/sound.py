"""Decoded audio of any layout, format and rate to mono float32 at one rate, exactly as long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Samples

FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}
MOST_PLANES = 7  # PyAV crashes on frames with more planes
NOTHING: Samples = np.zeros(0, np.float32)
TAIL_SECONDS = 0.1  # of zeros flush the resampler; longer than its filters


def to_mono(frame: av.AudioFrame) -> Samples:
    """The mean of all channels: equal channels keep their level (a power sum is 3 dB louder)."""
    if frame.format.is_planar and frame.layout.nb_channels > MOST_PLANES:
        frame = _packed(frame)
    kind = frame.format.name.removesuffix("p")
    channels = _channels(frame)
    # A copy: the decoder reuses its memory. Not `mean`: in float64 it is four times as slow.
    mono: NDArray[Any] = np.array(channels[0], np.float32 if kind == "flt" else np.float64)
    for channel in channels[1:]:
        mono += channel
    mono /= len(channels)
    mono = np.asarray(mono, np.float32)
    if kind == "u8":
        mono -= np.float32(128)
    if kind in FULL_SCALE:
        mono /= np.float32(FULL_SCALE[kind])
    if not np.isfinite(mono).all():
        mono = np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)
    return mono


def _channels(frame: av.AudioFrame) -> Sequence[NDArray[Any]]:
    """Views of the channels of a packed or planar frame."""
    if frame.format.name == "fltp":  # most decoders; `to_ndarray` would copy
        return [np.frombuffer(plane, np.float32, frame.samples) for plane in frame.planes]
    values: NDArray[Any] = frame.to_ndarray()
    return list(
        values if frame.format.is_planar else values.reshape(-1, max(1, frame.layout.nb_channels)).T
    )


def _packed(frame: av.AudioFrame) -> av.AudioFrame:
    packed = av.AudioResampler("flt", frame.layout, frame.sample_rate).resample(frame)
    if len(packed) != 1:
        raise ValueError(f"a frame of {frame.layout.nb_channels} channels cannot be read")
    return packed[0]


class Mixer:
    """Gathers frames for half a second, then mixes them at once: calls cost more than samples."""

    def __init__(self, gather_seconds: float = 0.5) -> None:
        self.gather_seconds = gather_seconds
        self.fifo: av.AudioFifo | None = None
        self.form: tuple[str, str, int] = ("", "", 0)  # of the frames in it

    def add(self, frame: av.AudioFrame) -> Samples:
        """Mono samples once enough are gathered, or when the format changes; else none."""
        frame.pts = None  # AudioFifo refuses frames with gaps; times are kept in the track
        if self.fifo is None:
            return self._begin(frame)
        if _form_of(frame) != self.form:  # AudioFifo would read them like the first, or crash
            done = self.rest()
            return np.concatenate([done, self._begin(frame)])
        self.fifo.write(frame)
        enough = self.gather_seconds * frame.sample_rate
        return self.rest() if self.fifo.samples >= enough else NOTHING

    def _begin(self, frame: av.AudioFrame) -> Samples:
        self.fifo, self.form = av.AudioFifo(), _form_of(frame)
        self.fifo.write(frame)
        return NOTHING

    def rest(self) -> Samples:
        """Mono samples of all frames that are still held."""
        frame = None if self.fifo is None or not self.fifo.samples else self.fifo.read(0, True)
        return NOTHING if frame is None else to_mono(frame)


def _form_of(frame: av.AudioFrame) -> tuple[str, str, int]:
    """Format, channels and sampling rate."""
    return frame.format.name, frame.layout.name, frame.sample_rate


class Resampler:
    """FFmpeg's resampler for mono float32; the output length is exactly samples x ratio."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self.source_rate, self.rate = source_rate, rate
        self.taken = self.given = 0
        self.resampler = None if source_rate == rate else av.AudioResampler("flt", "mono", rate)

    def push(self, samples: Samples) -> Samples:
        """Resampled audio for these samples and the tail of earlier ones."""
        self.taken += len(samples)
        out = samples if self.resampler is None else self._convert(samples)
        self.given += len(out)
        return out

    def flush(self) -> Samples:
        """The rest: the total is then round(samples in x ratio), at least one."""
        if self.resampler is None or not self.taken:
            return NOTHING
        missing = max(1, round(self.taken * self.rate / self.source_rate)) - self.given
        tail = self._convert(np.zeros(int(self.source_rate * TAIL_SECONDS) + 64, np.float32))
        out = tail[: max(0, missing)]
        self.given += len(out)
        return out

    def _convert(self, samples: Samples) -> Samples:
        assert self.resampler is not None
        if not len(samples):
            return NOTHING
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate = self.source_rate
        parts: list[Samples] = [f.to_ndarray()[0] for f in self.resampler.resample(frame)]  # copies
        return np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else NOTHING
