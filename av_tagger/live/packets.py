"""Encoded packets of a container, kept for a while, and written again without re-encoding."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np

from av_tagger.clip import Samples
from av_tagger.errors import MediaError
from av_tagger.live.sources.base import StreamPacket
from av_tagger.live.templates import TrackTemplates
from av_tagger.media.opening import BROKEN, describe

MOST_BYTES = 64_000_000  # of packets that are remembered
TIME_BASE = Fraction(1, 90_000)
LAG_SECONDS = 2.0  # one track is not waited for longer than this
ENCODED_RATE = 48_000


@dataclass
class PacketBuffer:
    """The last packets of a stream: from a key frame on, and of bounded size."""

    tracks: TrackTemplates
    most_bytes: int = MOST_BYTES
    bytes: int = 0
    _packets: deque[StreamPacket] = field(default_factory=deque)
    _keys: deque[float] = field(default_factory=deque)  # of the pictures
    _ends: dict[int, float] = field(default_factory=dict)  # by track

    def add(self, packet: StreamPacket) -> None:
        self._packets.append(packet)
        self.bytes += len(packet.data)
        self._ends[packet.track] = packet.decoded
        if self._starts_pictures(packet):
            self._keys.append(packet.seconds)
        while self.bytes > self.most_bytes:
            self._drop()

    @property
    def reached(self) -> float:
        """The time up to which the packets of all tracks are there."""
        if not self._ends:
            return -np.inf if self.tracks.kinds else np.inf
        ends = self._ends.values()
        complete = len(ends) == len(self.tracks.kinds)
        return max(min(ends) if complete else -np.inf, max(ends) - LAG_SECONDS)

    def drop_before(self, seconds: float) -> None:
        """Forget what is older, but for the pictures that later ones are predicted from."""
        if not self.tracks.has_pictures:
            while self._packets and self._packets[0].decoded < seconds:
                self._drop()
        while len(self._keys) > 1 and self._keys[1] <= seconds:
            self._drop()

    def clip(self, start: float, end: float) -> list[StreamPacket]:
        """The packets from the last key frame before `start` on, in the order of the stream."""
        if self.tracks.has_pictures:
            keys = [k for k in self._keys if k <= start] or list(self._keys)[:1]
            if not keys:
                return []
            start = keys[-1] if keys[-1] <= start else keys[0]
        begun, found = False, []
        for packet in self._packets:
            pictures = self._are_pictures(packet)
            begun = begun or (pictures and packet.key and packet.seconds >= start - 1e-6)
            wanted = begun if pictures else packet.seconds >= start - 1e-6
            if wanted and packet.decoded < end:
                found.append(packet)
        return found

    def _are_pictures(self, packet: StreamPacket) -> bool:
        return bool(self.tracks.kinds[packet.track] == "video")

    def _starts_pictures(self, packet: StreamPacket) -> bool:
        return packet.key and self._are_pictures(packet)

    def _drop(self) -> None:
        packet = self._packets.popleft()
        self.bytes -= len(packet.data)
        if self._starts_pictures(packet):
            self._keys.popleft()


@dataclass(frozen=True)
class NewSound:
    """Samples that replace the sound of the source, such as those without speech."""

    samples: Samples  # mono
    rate: int
    seconds: float  # when they start


def remuxed(
    tracks: TrackTemplates,
    packets: Sequence[StreamPacket],
    suffix: str,
    sound: NewSound | None = None,
) -> bytes:
    """A file of these packets. With `sound`, only that is encoded; pictures stay as they are."""
    file = io.BytesIO()
    kept = [p for p in packets if sound is None or tracks.kinds[p.track] == "video"]
    begins = min((p.decoded for p in kept), default=0.0 if sound is None else sound.seconds)
    try:
        with av.open(file, "w", format=_format(suffix)) as output:
            streams = {
                n: output.add_stream_from_template(tracks.templates[n], opaque=True)
                for n in sorted({p.track for p in kept})
            }
            made = list(_numbered(kept, streams, begins))
            if sound is not None:
                made = sorted([*made, *_encoded(output, sound, begins)], key=_time)
            for packet in made:
                output.mux(packet)
    except (*BROKEN, OSError) as error:
        raise MediaError(
            "the clip", f"cannot be written as {suffix} ({describe(error)})"
        ) from error
    return file.getvalue()


def _format(suffix: str) -> str:
    named = {".m4a": "ipod", ".mkv": "matroska", ".mka": "matroska"}
    return named.get(suffix, suffix.removeprefix("."))


def _numbered(
    packets: Iterable[StreamPacket], streams: dict[int, Any], begins: float
) -> Iterable[Any]:
    """PyAV's packets; decoding times rise in each track."""
    last: dict[int, int] = {}
    for one in packets:
        packet = av.Packet(one.data)
        decoded = max(_ticks(one.decoded - begins), last.get(one.track, -1) + 1)
        last[one.track] = decoded
        packet.dts, packet.pts = decoded, max(decoded, _ticks(one.seconds - begins))
        packet.duration, packet.time_base = _ticks(one.duration), TIME_BASE
        packet.is_keyframe, packet.stream = one.key, streams[one.track]
        yield packet


def _encoded(output: Any, sound: NewSound, begins: float) -> list[Any]:
    stream = output.add_stream("aac", rate=ENCODED_RATE, layout="mono")
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=ENCODED_RATE, frame_size=1024)
    lead = max(0, round((sound.seconds - begins) * sound.rate))
    samples = np.concatenate([np.zeros(lead, np.float32), sound.samples])
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = sound.rate, 0, Fraction(1, sound.rate)
    packets = [p for part in resampler.resample(frame) for p in stream.encode(part)]
    for part in resampler.resample(None):
        packets += stream.encode(part)
    return [*packets, *stream.encode(None)]


def _ticks(seconds: float) -> int:
    return round(seconds / TIME_BASE)


def _time(packet: Any) -> float:
    return float(packet.dts * packet.time_base)
