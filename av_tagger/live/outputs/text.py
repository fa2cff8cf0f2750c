"""Lines as JSON, and as plain text for people and for logs."""

from __future__ import annotations

import datetime as dt
import json
from typing import TextIO

from av_tagger.live.lines import LineKind, LiveLine, as_document
from av_tagger.live.run import PlainOutput

WIDTH = 80


class JsonLines(PlainOutput):
    """One object per line, as the schema `live1.json` describes; written at once."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def take(self, line: LiveLine) -> None:
        self.stream.write(json.dumps(as_document(line), allow_nan=False) + "\n")
        self.stream.flush()


class PlainLines(PlainOutput):
    """One line of text per event, and per second if asked for."""

    def __init__(self, stream: TextIO, *, seconds: bool = False) -> None:
        self.stream, self.seconds = stream, seconds

    def take(self, line: LiveLine) -> None:
        if line.kind is LineKind.SECOND and not self.seconds:
            return
        text = as_text(line)
        if text:
            self.stream.write(text + "\n")
            self.stream.flush()


def as_text(line: LiveLine) -> str:
    """`00:03.2  Train horn           0.81  heard 0.90, seen 0.42 (locomotive)`, in 80 columns."""
    begin = f"{clock_text(line)}  "
    match line.kind:
        case LineKind.OPEN:
            return _shortened(f"{begin}{line.label:<26.26} {_number(line.peak)}  {_why(line)}")
        case LineKind.CLOSE:
            lasted = f"{(line.end or line.start) - line.start:.1f} s"
            return f"{begin}{line.label:<26.26} {_number(line.peak)}  ended after {lasted}"
        case LineKind.GAP:
            return begin + _gap(line)
        case LineKind.NOTE | LineKind.KEPT | LineKind.END:
            return begin + line.text
        case LineKind.SECOND:
            best = ", ".join(f"{label} {score:.2f}" for label, score in line.scores[:3])
            return _shortened(f"{begin}{best}")
        case _:
            return ""


def _gap(line: LiveLine) -> str:
    if line.end is None:
        return f"gap: {line.text}; trying again"
    lost = f"gap: nothing was heard for {line.end - line.start:.1f} s"
    return f"{lost} ({line.text})" if line.text else lost


def clock_text(line: LiveLine) -> str:
    """The wall-clock time where there is one, else the time of the stream."""
    if line.wall is not None:
        return dt.datetime.fromtimestamp(line.wall).astimezone().strftime("%H:%M:%S")
    minutes, seconds = divmod(max(0.0, line.start), 60)
    clock = f"{int(minutes) % 60:02d}:{seconds:04.1f}"
    return f"{int(minutes) // 60}:{clock}" if minutes >= 60 else clock


def _shortened(text: str) -> str:
    text = text.rstrip()
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _why(line: LiveLine) -> str:
    parts = [f"heard {line.heard:.2f}"] if line.heard is not None else []
    if line.seen is not None:
        seen = f"seen {line.seen:.2f}"
        parts.append(f"{seen} ({line.evidence[0].object})" if line.evidence else seen)
    return ", ".join(parts)


def _number(value: float | None) -> str:
    return " -- " if value is None else f"{value:.2f}"
