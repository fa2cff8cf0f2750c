"""Raw PCM from a pipe: samples without a container."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Samples
from av_tagger.errors import UsageError
from av_tagger.live.sources.base import SoundBlock, StreamItem, StreamOpened
from av_tagger.protocols import DecodeRequest

FORMATS = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4", "u8": "u1"}
BLOCK_BYTES = 8192


@dataclass
class PcmSource:
    """Interleaved samples of a given rate, format and number of channels."""

    stream: BinaryIO
    rate: int
    format: str = "s16le"
    channels: int = 1
    name: str = "standard input"
    live: bool = False

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        from av_tagger.media.sound import Resampler

        if request.audio_rate is None:
            raise UsageError("raw PCM is sound only; leave out --only eye")
        resampler = Resampler(self.rate, request.audio_rate)
        yield StreamOpened(sound=True, pictures=False)
        sent = 0
        for block in self._blocks():
            samples = resampler.push(block)
            if len(samples):
                yield SoundBlock(samples, sent / request.audio_rate)
                sent += len(samples)
        samples = resampler.flush()
        if len(samples):
            yield SoundBlock(samples, sent / request.audio_rate)

    def _blocks(self) -> Iterator[Samples]:
        """Mono samples; bytes of an incomplete sample wait for the rest."""
        dtype = np.dtype(FORMATS[self.format])
        size, rest = dtype.itemsize * self.channels, b""
        while data := _read(self.stream):
            data = rest + data
            whole = len(data) // size * size
            data, rest = data[:whole], data[whole:]
            if data:
                yield mono(np.frombuffer(data, dtype).reshape(-1, self.channels))


def mono(values: NDArray[Any]) -> Samples:
    """(samples, channels) of integers or floats to mono float32 within [-1, 1]."""
    mixed = values.astype(np.float32).mean(axis=1, dtype=np.float32)
    if values.dtype.kind == "u":
        mixed = mixed - np.float32(128)
    if values.dtype.kind in "iu":
        mixed = mixed / np.float32(2 ** (8 * values.dtype.itemsize - 1))
    return np.asarray(np.nan_to_num(mixed, nan=0.0, posinf=1.0, neginf=-1.0), np.float32)


def _read(stream: Any) -> bytes:
    """What is there, without waiting for a full block."""
    read = getattr(stream, "read1", stream.read)
    return bytes(read(BLOCK_BYTES))
