"""Keeps the clip around each event, if asked to, in a folder of limited size."""

from __future__ import annotations

import datetime as dt
import io
import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from av_tagger.clip import Samples, Waveform
from av_tagger.errors import MediaError
from av_tagger.live.buffers import SampleBuffer
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.packets import NewSound, PacketBuffer, remuxed
from av_tagger.live.sources.base import Recorded, SoundBlock, StreamPacket, StreamTracks

SPEECH = ("Speech", "Male speech, man speaking", "Female speech, woman speaking", "Conversation")
LONGEST_SECONDS = 300.0  # of one kept clip
LATE_SECONDS = 15.0  # an event is told this long after it began: a window, and its look-ahead
NAMES = re.compile(r"(\d{8}-\d{6}|\d{8}\.\d)-[a-z0-9-]*\.(wav|mp4|mkv|m4a|mp3|mka)")


@dataclass(frozen=True)
class KeepSettings:
    """What is kept, and how much of it at most; the oldest clips go first."""

    folder: Path
    before: float = 5.0  # seconds
    after: float = 5.0
    limit_bytes: int = 1 << 30
    mute_speech: bool = False


@dataclass
class KeptClips:
    """An output that writes the clip around each event.

    Of a source with packets these are kept as they came, sound and pictures; of others the sound
    as the ear hears it, as WAV.
    """

    settings: KeepSettings
    rate: int
    _sound: SampleBuffer | None = None
    _packets: PacketBuffer | None = None
    _open: dict[int, LiveLine] = field(default_factory=dict)
    _due: list[tuple[LiveLine, float, float]] = field(default_factory=list)
    _speech: list[tuple[float, float]] = field(default_factory=list)
    _talking: float | None = None

    def take(self, line: LiveLine) -> None:
        if line.label in SPEECH:
            self._note_speech(line)
        if line.number is None:
            return
        if line.kind is LineKind.OPEN:
            self._open[line.number] = line
        elif line.kind is LineKind.CLOSE and self._open.pop(line.number, None) is not None:
            start = max(0.0, line.start - self.settings.before)
            end = (line.end or line.start) + self.settings.after
            self._due.append((line, start, min(end, start + LONGEST_SECONDS)))

    def record(self, item: Recorded) -> Iterator[LiveLine]:
        """Remember sound and packets; write the clips whose end has come."""
        match item:
            case StreamTracks(tracks):
                yield from self._write_due()
                self._packets = PacketBuffer(tracks)
            case StreamPacket() if self._packets is not None:
                self._packets.add(item)
                self._packets.drop_before(self._oldest(item.decoded))
                yield from self._write_due(self._reached())
            case SoundBlock(samples, seconds):
                if self._sound is None or abs(self._sound.end - seconds) > 0.05:
                    if self._packets is None:
                        yield from self._write_due()
                    self._sound = SampleBuffer(self.rate, seconds)
                self._sound.add(samples)
                self._sound.drop_before(self._oldest(self._sound.end))
                yield from self._write_due(self._reached())

    def settle(self) -> Iterator[LiveLine]:
        yield from self._write_due()

    def close(self) -> None:
        """All files are closed already."""

    def _reached(self) -> float:
        """The time up to which all that would be kept is there."""
        sound = -np.inf if self._sound is None else self._sound.end
        if self._packets is None:
            return float(sound)
        ends = [self._packets.reached] + ([sound] if self._sound is not None else [])
        return float(min(ends))

    def _oldest(self, now: float) -> float:
        """What is older is not needed any more."""
        starts = [start for _, start, _ in self._due]
        starts += [line.start - self.settings.before for line in self._open.values()]
        recent = now - self.settings.before - LATE_SECONDS
        return max(now - LONGEST_SECONDS, min([*starts, recent]))

    def _write_due(self, reached: float = float("inf")) -> Iterator[LiveLine]:
        ready = [due for due in self._due if due[2] <= reached]
        self._due = [due for due in self._due if due[2] > reached]
        for line, start, end in ready:
            yield from self._write(line, start, end)

    def _write(self, line: LiveLine, start: float, end: float) -> Iterator[LiveLine]:
        """The line that says what was kept, or why not."""
        try:
            found = self._remuxed(start, end)
        except MediaError as error:
            yield LiveLine(LineKind.NOTE, start, text=f"{error}; its sound is kept as WAV")
            found = None
        found = found or self._wav(start, end)
        if found is None:
            yield LiveLine(LineKind.NOTE, start, text=f"{line.label}: nothing was left to keep")
            return
        start, suffix, data = found
        path = self._free(_name(line), suffix)
        try:
            self.settings.folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self._shrink(path)
        except OSError as error:
            path.unlink(missing_ok=True)
            text = f"{path}: cannot be kept ({error.strerror}); the run goes on"
            yield LiveLine(LineKind.NOTE, start, text=text)
            return
        yield LiveLine(LineKind.KEPT, start, end, line.label, number=line.number, text=str(path))

    def _remuxed(self, start: float, end: float) -> tuple[float, str, bytes] | None:
        """Start, suffix and contents of a clip of packets; None if there are none."""
        packets = [] if self._packets is None else self._packets.clip(start, end)
        if not packets or self._packets is None:
            return None
        tracks, sound = self._packets.tracks, None
        begins = min(p.seconds for p in packets)
        if self.settings.mute_speech:
            muted = self._waveform(begins, end)
            if not tracks.has_pictures or muted is None:
                return None  # sound alone: as WAV
            sound = NewSound(muted.samples, self.rate, muted.start_seconds)
        suffix = tracks.suffix() if sound is None else ".mkv"
        return begins, suffix, remuxed(tracks, packets, suffix, sound)

    def _wav(self, start: float, end: float) -> tuple[float, str, bytes] | None:
        sound = self._waveform(start, end)
        if sound is None:
            return None
        return sound.start_seconds, ".wav", wav_of(sound.samples, self.rate)

    def _waveform(self, start: float, end: float) -> Waveform | None:
        """The sound as it may be kept."""
        sound = None if self._sound is None else self._sound.waveform(start, end)
        if sound is None or not self.settings.mute_speech:
            return sound
        muted = self._muted(sound.samples, sound.start_seconds)
        return Waveform(muted, sound.rate, sound.start_seconds)

    def _note_speech(self, line: LiveLine) -> None:
        if line.kind is LineKind.OPEN and self._talking is None:
            self._talking = line.start
        elif line.kind is LineKind.CLOSE:
            self._speech.append((line.start, line.end or line.start))
            self._speech = self._speech[-1000:]
            self._talking = None

    def _muted(self, samples: Samples, start: float) -> Samples:
        talking = [] if self._talking is None else [(self._talking, float("inf"))]
        samples, length = samples.copy(), len(samples)
        for begin, end in [*self._speech, *talking]:
            first = int(np.clip((begin - 0.5 - start) * self.rate, 0, length))
            last = int(np.clip((end + 0.5 - start) * self.rate, 0, length))
            samples[first:last] = 0
        return samples

    def _free(self, name: str, suffix: str) -> Path:
        """A path that is not taken."""
        path, number = self.settings.folder / f"{name}{suffix}", 1
        while path.exists():
            number += 1
            path = path.with_name(f"{name}-{number}{suffix}")
        return path

    def _shrink(self, newest: Path) -> None:
        """Delete the oldest clips beyond the size limit, never the newest, and no other files."""
        clips = [p for p in self.settings.folder.iterdir() if NAMES.fullmatch(p.name)]
        clips.sort(key=lambda p: (p.stat().st_mtime_ns, p.name))  # file systems round times
        total = sum(p.stat().st_size for p in clips)
        for path in clips:
            if total <= self.settings.limit_bytes:
                return
            if path != newest:
                total -= path.stat().st_size
                path.unlink()


def wav_of(samples: Samples, rate: int) -> bytes:
    """16-bit PCM, mono."""
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return memory.getvalue()


def _name(line: LiveLine) -> str:
    label = re.sub(r"[^A-Za-z0-9]+", "-", line.label).strip("-").lower()
    if line.wall is None:
        return f"{line.start:010.1f}-{label}"
    when = dt.datetime.fromtimestamp(line.wall).astimezone().strftime("%Y%m%d-%H%M%S")
    return f"{when}-{label}"
