"""Streams of instances: samples in, the rows of each instance as soon as its sound is complete."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.branch import MilEar
from av_tagger.audio.ensemble import RememberingEmbedder
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.on_embeddings import EmbeddedEar
from av_tagger.audio.waveforms import Numbers
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError

BLOCK_SECONDS = 30.0  # of sound per forward pass
ROUNDING = 1e-6  # of instance times


class InstanceStream(Protocol):
    """Samples in, rows of the instances that they complete out; memory does not grow."""

    @property
    def rate(self) -> float:
        """Instances per second."""
        ...

    @property
    def delay_seconds(self) -> float:
        """Sound needed after the end of an instance."""
        ...

    def push(self, samples: Numbers) -> Numbers: ...

    def finish(self) -> Numbers:
        """The instances that the end of the sound completes."""
        ...


class SoundInstances:
    """Instances of a network on sound: each from its own frames, with context of the front end."""

    def __init__(self, ear: MilEar, *, embeddings: bool = False) -> None:
        network, header = ear.network, ear.header
        if network.extractor.reach is None or header.architecture.residual_norm is not None:
            raise UsageError(
                f"{header.name}: its instances depend on the whole clip, so that it has no running"
                " prediction; use small/mil-cnn, or small/mil-dnn-embed on small/embedding-cnn"
            )
        assert network.frontend is not None
        front, self._ear, self._embeddings = network.frontend.settings, ear, embeddings
        self._hop, self._stride = front.hop, network.extractor.stride
        self._size = self._stride * self._hop  # samples per instance
        self._reach = network.extractor.reach
        self._context = -(-front.window // front.hop)  # frames
        self._context += front.delta_width // 2 if front.deltas else 0
        self._before = -(-self._context // self._stride) + self._reach  # instances kept
        self._most = max(1, int(BLOCK_SECONDS * front.rate / self._size))
        self._buffer = np.zeros(0, np.float32)
        self._base = self._next = 0  # the instance at the start of the buffer; the next to score

    @property
    def rate(self) -> float:
        return self._ear.rate / self._size

    @property
    def delay_seconds(self) -> float:
        return (self._context * self._hop + self._reach * self._size) / self._ear.rate

    def push(self, samples: Numbers) -> Numbers:
        self._buffer = np.concatenate([self._buffer, samples])
        there = len(self._buffer) - self._context * self._hop
        return self._rows(self._base + there // self._size - self._reach, last=False)

    def finish(self) -> Numbers:
        frames = -(-len(self._buffer) // self._hop)
        return self._rows(self._base + -(-frames // self._stride), last=True)

    def _rows(self, end: int, *, last: bool) -> Numbers:
        """Rows of the instances up to `end`."""
        width = self._ear.width if self._embeddings else len(self._ear.labels)
        found = [np.zeros((0, width), np.float32)]
        while self._next < end:
            upto = min(end, self._next + self._most)
            found.append(self._block(upto, last=last and upto == end))
        return np.concatenate(found)

    def _block(self, end: int, *, last: bool) -> Numbers:
        first = max(0, self._next - self._reach)
        begin = (first - self._base) * self._stride
        stop = None if last else (end + self._reach - self._base) * self._stride
        enough = None if stop is None else (stop + self._context) * self._hop
        scores, embeddings = self._ear.instances(self._buffer[:enough], slice(begin, stop))
        rows = (embeddings if self._embeddings else scores)[self._next - first :]
        rows, self._next = rows[: end - self._next], end
        base = max(0, end - self._before)
        self._buffer = self._buffer[(base - self._base) * self._size :]
        self._base = base
        return rows


class SecondsOfSound:
    """Embeddings of another network, one row per second: the mean of what starts in it."""

    rate = 1.0

    def __init__(self, ear: MilEar) -> None:
        self._instances = SoundInstances(ear, embeddings=True)
        if self._instances.rate < 1 - ROUNDING:
            raise UsageError(f"{ear.name}: has less than one instance per second")
        self._rows = np.zeros((0, ear.width), np.float32)  # of seconds that are not complete
        self._first = self._second = 0  # instance of the first row; the next second

    @property
    def delay_seconds(self) -> float:
        return self._instances.delay_seconds

    def push(self, samples: Numbers) -> Numbers:
        self._rows = np.concatenate([self._rows, self._instances.push(samples)])
        known = self._first + len(self._rows)  # the next instance starts at known / rate
        return self._means(int(known / self._instances.rate + ROUNDING))

    def finish(self) -> Numbers:
        self._rows = np.concatenate([self._rows, self._instances.finish()])
        known = self._first + len(self._rows)
        return self._means(int(max(0, known - 1) / self._instances.rate + ROUNDING) + bool(known))

    def _means(self, end: int) -> Numbers:
        """One row for each second before `end`."""
        found = [np.zeros((0, self._rows.shape[1]), np.float32)]
        for second in range(self._second, end):
            count = self._starting_before(second + 1) - self._first
            found.append(self._rows[:count].mean(axis=0, keepdims=True))
            self._rows, self._first = self._rows[count:], self._first + count
            self._second = second + 1
        return np.concatenate(found)

    def _starting_before(self, second: int) -> int:
        """Instances that start before this second."""
        exact = second * self._instances.rate
        known = self._first + len(self._rows)
        return min(known, int(np.ceil(exact - ROUNDING)))


class PatchesOfSound:
    """Embeddings of a published network with one independent patch per second (VGGish)."""

    rate, delay_seconds = 1.0, 0.0

    def __init__(self, ear: KnownEar) -> None:
        family = ear.family
        if family.frames.hop != 1.0 or family.least_samples > family.rate:
            raise UsageError(
                f"{ear.name}: its frames overlap, so that a network on it has no running"
                " prediction; use VGGish or a run of small/embedding-cnn"
            )
        self._ear, self._buffer = ear, np.zeros(0, np.float32)
        self._last = np.zeros((0, ear.width), np.float32)

    def push(self, samples: Numbers) -> Numbers:
        self._buffer = np.concatenate([self._buffer, samples])
        whole = len(self._buffer) // self._ear.rate
        return self._embedded(whole * self._ear.rate)

    def finish(self) -> Numbers:
        """Less than half a second has no patch of its own, and gets the row before it."""
        left = len(self._buffer)
        if left and 2 * left < self._ear.rate and len(self._last):
            return self._last
        return self._embedded(left)

    def _embedded(self, samples: int) -> Numbers:
        if not samples:
            return np.zeros((0, self._ear.width), np.float32)
        part, self._buffer = self._buffer[:samples], self._buffer[samples:]
        (rows,) = self._ear.embed([Waveform(part, self._ear.rate)])
        self._last = rows[-1:]
        return rows


class EmbeddedInstances:
    """A dense network on embeddings: one instance per second."""

    rate = 1.0

    def __init__(self, ear: EmbeddedEar, shared: dict[str, SharedStream]) -> None:
        if ear.network.extractor.reach != 0:
            raise UsageError(
                f"{ear.header.name}: its instances depend on the whole clip, so that it has no"
                " running prediction; use a dense network such as small/mil-dnn-embed"
            )
        self._ear = ear
        if ear.embedder.name not in shared:
            shared[ear.embedder.name] = SharedStream(_seconds_of(ear))
        self._seconds = shared[ear.embedder.name]

    @property
    def delay_seconds(self) -> float:
        return self._seconds.delay_seconds

    def push(self, samples: Numbers) -> Numbers:
        return self._scored(self._seconds.push(samples))

    def finish(self) -> Numbers:
        return self._scored(self._seconds.finish())

    def _scored(self, rows: NDArray[np.float32]) -> Numbers:
        if not len(rows):
            return np.zeros((0, len(self._ear.labels)), np.float32)
        return self._ear.instances(rows)


def _seconds_of(ear: EmbeddedEar) -> InstanceStream:
    own = ear.embedder
    base = own.ear if isinstance(own, RememberingEmbedder) else own
    if isinstance(base, MilEar):
        return SecondsOfSound(base)
    if isinstance(base, KnownEar):
        return PatchesOfSound(base)
    raise UsageError(f"{ear.header.name}: its embeddings have no running form")


class SharedStream:
    """One stream of embeddings for several networks: every piece goes through it once."""

    def __init__(self, stream: InstanceStream) -> None:
        self._stream = stream
        self._piece: Numbers | None = None
        self._rows = self._last = np.zeros((0, 0), np.float32)
        self._done = False

    @property
    def rate(self) -> float:
        return self._stream.rate

    @property
    def delay_seconds(self) -> float:
        return self._stream.delay_seconds

    def push(self, samples: Numbers) -> Numbers:
        if samples is not self._piece:
            self._piece, self._rows = samples, self._stream.push(samples)
        return self._rows

    def finish(self) -> Numbers:
        if not self._done:
            self._done, self._last = True, self._stream.finish()
        return self._last
