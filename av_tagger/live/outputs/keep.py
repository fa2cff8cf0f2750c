"""Keeps the sound around each event, if asked to: WAV files in a folder of limited size."""

from __future__ import annotations

import datetime as dt
import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from av_tagger.clip import Samples
from av_tagger.live.buffers import SampleBuffer
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.sources.base import SoundBlock

SPEECH = ("Speech", "Male speech, man speaking", "Female speech, woman speaking", "Conversation")
LONGEST_SECONDS = 300.0  # of one kept clip


@dataclass(frozen=True)
class KeepSettings:
    """What is kept, and how much of it at most; the oldest clips go first."""

    folder: Path
    before: float = 5.0  # seconds
    after: float = 5.0
    limit_bytes: int = 1 << 30
    mute_speech: bool = False


@dataclass
class KeptSound:
    """An output that writes the sound around each event, as the ear hears it (mono)."""

    settings: KeepSettings
    rate: int
    _sound: SampleBuffer | None = None
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

    def hear(self, block: SoundBlock) -> Iterator[LiveLine]:
        """Remember the sound; write the clips whose end has been heard."""
        if self._sound is None or abs(self._sound.end - block.seconds) > 0.05:
            yield from self._write_due()
            self._sound = SampleBuffer(self.rate, block.seconds)
        self._sound.add(block.samples)
        yield from self._write_due(self._sound.end)
        starts = [start for _, start, _ in self._due]
        starts += [line.start - self.settings.before for line in self._open.values()]
        oldest = self._sound.end - LONGEST_SECONDS
        recent = self._sound.end - self.settings.before - 15.0  # a window, and its look-ahead
        self._sound.drop_before(max(oldest, min([*starts, recent])))

    def close(self) -> None:
        for _ in self._write_due():
            """Said nowhere: the stream has ended."""

    def _write_due(self, heard: float = float("inf")) -> Iterator[LiveLine]:
        ready = [due for due in self._due if due[2] <= heard]
        self._due = [due for due in self._due if due[2] > heard]
        for line, start, end in ready:
            yield self._write(line, start, end)

    def _write(self, line: LiveLine, start: float, end: float) -> LiveLine:
        """The line that says what was kept, or why not."""
        sound = None if self._sound is None else self._sound.waveform(start, end)
        if sound is None:
            return LiveLine(LineKind.NOTE, start, text=f"{line.label}: no sound was left to keep")
        samples = sound.samples
        if self.settings.mute_speech:
            samples = self._muted(samples, sound.start_seconds)
        path = self.settings.folder / _name(line)
        try:
            self.settings.folder.mkdir(parents=True, exist_ok=True)
            write_wav(path, samples, self.rate)
            self._shrink(path)
        except OSError as error:
            path.unlink(missing_ok=True)
            text = f"{path}: cannot be kept ({error.strerror}); the run goes on"
            return LiveLine(LineKind.NOTE, start, text=text)
        return LiveLine(LineKind.KEPT, start, end, line.label, number=line.number, text=str(path))

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

    def _shrink(self, newest: Path) -> None:
        """Delete the oldest clips beyond the size limit, never the newest."""
        files = sorted(self.settings.folder.glob("*.wav"), key=lambda p: p.stat().st_mtime_ns)
        total = sum(p.stat().st_size for p in files)
        for path in files:
            if total <= self.settings.limit_bytes:
                return
            if path != newest:
                total -= path.stat().st_size
                path.unlink()


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """16-bit PCM, mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def _name(line: LiveLine) -> str:
    label = re.sub(r"[^A-Za-z0-9]+", "-", line.label).strip("-").lower()
    if line.wall is None:
        return f"{line.start:010.1f}-{label}.wav"
    when = dt.datetime.fromtimestamp(line.wall).astimezone().strftime("%Y%m%d-%H%M%S")
    return f"{when}-{label}.wav"
