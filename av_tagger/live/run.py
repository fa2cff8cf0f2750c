"""A live run: items of a source into a listener, its lines to the outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from av_tagger.live.alarms import AlarmFilter
from av_tagger.live.buffers import TimedImage
from av_tagger.live.lines import LineKind, LiveLine, at_wall
from av_tagger.live.listener import Listener
from av_tagger.live.sources.base import (
    PicturesPassed,
    Recorded,
    SoundBlock,
    StreamBroken,
    StreamItem,
    StreamLost,
    StreamNote,
    StreamOpened,
    StreamPacket,
    StreamTracks,
)


class LiveOutput(Protocol):
    """Where lines go; what it kept is told when it closes."""

    def take(self, line: LiveLine) -> None: ...

    def record(self, item: Recorded) -> Iterable[LiveLine]:
        """Sound and packets of the stream, for outputs that keep them; lines say what was kept."""
        ...

    def settle(self) -> Iterable[LiveLine]:
        """The stream has ended: lines about what was still to be kept."""
        ...

    def close(self) -> None: ...


class PlainOutput:
    """An output that keeps nothing of the stream and has nothing to close."""

    def record(self, item: Recorded) -> Iterable[LiveLine]:
        del item
        return ()

    def settle(self) -> Iterable[LiveLine]:
        return ()

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class LiveRun:
    """One stream from its start to its end; `walled`: lines carry wall-clock times."""

    listener: Listener
    outputs: Sequence[LiveOutput]
    alarms: AlarmFilter = field(default_factory=AlarmFilter)
    walled: bool = False
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _offset: float | None = None  # wall clock minus stream time
    _base: float = 0.0  # stream time of second 0 of the source, which may have been reopened
    _broken: float | None = None
    events: int = 0
    gaps: int = 0

    def run(self, items: Iterator[StreamItem]) -> None:
        """Until the source ends, or Ctrl-C; open events are closed either way."""
        stopped = ""
        try:
            for item in items:
                self.feed(item)
        except KeyboardInterrupt:
            stopped = "stopped"
        finally:
            if self._broken is None:
                self._emit(self.listener.finish())
            for output in self.outputs:
                self._emit(output.settle())
            self._emit([self._end(stopped or "the source has ended")])
            for output in self.outputs:
                output.close()

    def feed(self, item: StreamItem) -> None:
        match item:
            case SoundBlock(samples, seconds):
                self._clock(seconds)
                self._record(SoundBlock(samples, self._base + seconds))
                self._emit(self.listener.hear(samples, self._base + seconds))
            case TimedImage(seconds, image, luma):
                self._clock(seconds)
                self._emit(self.listener.see(TimedImage(self._base + seconds, image, luma)))
            case PicturesPassed(seconds):
                self._emit(self.listener.passed(self._base + seconds))
            case StreamTracks():
                self._record(item)
            case StreamPacket(_, _, seconds, decoded):
                shifted = replace(item, seconds=self._base + seconds, decoded=self._base + decoded)
                self._record(shifted)
            case StreamOpened(sound, pictures):
                self._open(sound=sound, pictures=pictures)
            case StreamNote(text):
                self._emit([LiveLine(LineKind.NOTE, self.listener.time, text=text)])
            case StreamLost(seconds, text):
                self.gaps += 1
                self._emit(self.listener.gap(seconds, text))
            case StreamBroken(text):
                self._break(text)

    def _record(self, item: Recorded) -> None:
        for output in self.outputs:
            self._emit(output.record(item))

    def _open(self, *, sound: bool, pictures: bool) -> None:
        if self._broken is not None:
            passed = self.monotonic() - self._broken
            self._broken = None
            self._emit([self.listener.skip(passed)])
            self._base, self._offset = self.listener.time, None
        self.listener.expect(sound=sound, pictures=pictures)

    def _break(self, text: str) -> None:
        """Open events end; the gap gets its end when the source is back."""
        if self._broken is None:
            self._broken = self.monotonic()
            self.gaps += 1
            self._emit(self.listener.finish())
        self._emit([LiveLine(LineKind.GAP, self.listener.time, text=text)])

    def _clock(self, seconds: float) -> None:
        if self._offset is None and self.walled:
            self._offset = self.now() - (self._base + seconds)

    def _emit(self, lines: Iterable[LiveLine]) -> None:
        offset = self._offset
        dated = (line if offset is None else at_wall(line, offset) for line in lines)
        for line in self.alarms.filter(dated):
            self.events += line.kind is LineKind.OPEN
            for output in self.outputs:
                output.take(line)

    def _end(self, text: str) -> LiveLine:
        return LiveLine(LineKind.END, self.listener.time, text=text)
