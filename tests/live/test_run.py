"""A live run: items in, lines out; disconnections, the wall clock, Ctrl-C, the schema of lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from av_tagger.live.buffers import TimedImage
from av_tagger.live.lines import LineKind, LiveLine, as_document
from av_tagger.live.listener import Listener, LiveSettings
from av_tagger.live.run import LiveRun, PlainOutput
from av_tagger.live.sources.base import (
    PicturesPassed,
    SoundBlock,
    StreamBroken,
    StreamItem,
    StreamLost,
    StreamNote,
    StreamOpened,
)
from av_tagger.scores import Evidence
from tests import fakes
from tests.live.test_listener import sound, tagger

SCHEMA = json.loads((files("av_tagger") / "resources" / "live1.json").read_text("utf-8"))


class Collected(PlainOutput):
    def __init__(self) -> None:
        self.lines: list[LiveLine] = []
        self.closed = 0

    def take(self, line: LiveLine) -> None:
        self.lines.append(line)

    def close(self) -> None:
        self.closed += 1


class Ticking:
    """A clock that the items move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def blocks(samples: np.ndarray, clock: Ticking | None = None) -> Iterator[StreamItem]:
    yield StreamOpened(sound=True, pictures=False)
    for first in range(0, len(samples), 10):
        if clock is not None:
            clock.seconds += 0.1
        yield SoundBlock(samples[first : first + 10], first / fakes.RATE)


def run(
    items: Iterator[StreamItem], clock: Ticking | None = None, settings: LiveSettings | None = None
) -> tuple[LiveRun, Collected]:
    out = Collected()
    now = clock or Ticking()
    live = LiveRun(
        Listener(tagger(), settings), [out], walled=clock is not None, now=now, monotonic=now
    )
    live.run(items)
    return live, out


def shortly(lines: list[LiveLine]) -> list[tuple[LineKind, float, float | None]]:
    return [(x.kind, round(x.start, 3), None if x.end is None else round(x.end, 3)) for x in lines]


def test_from_start_to_end() -> None:
    live, out = run(blocks(sound((5.0, 7.0), seconds=10)))
    assert shortly(out.lines) == [
        (LineKind.OPEN, 5.0, None),
        (LineKind.CLOSE, 5.0, 7.0),
        (LineKind.END, 10.0, None),
    ]
    assert (out.closed, live.events, live.gaps) == (1, 1, 0)


def test_open_events_are_closed_at_the_end() -> None:
    _, out = run(blocks(sound((5.0, 10.0), seconds=10)))
    assert shortly(out.lines)[1] == (LineKind.CLOSE, 5.0, 10.0)


def test_lines_carry_the_wall_clock() -> None:
    _, out = run(blocks(sound((5.0, 7.0), seconds=10), clock := Ticking()), clock)
    assert out.lines[0].wall == pytest.approx(1000.1 + 5.0)
    assert as_document(out.lines[0])["wall"] == pytest.approx(1005.1)


def test_ctrl_c_closes_open_events() -> None:
    def interrupted() -> Iterator[StreamItem]:
        yield from blocks(sound((5.0, 10.0), seconds=8.0))
        raise KeyboardInterrupt

    _, out = run(interrupted())
    assert shortly(out.lines) == [
        (LineKind.OPEN, 5.0, None),
        (LineKind.CLOSE, 5.0, 8.0),
        (LineKind.END, 8.0, None),
    ]
    assert out.lines[-1].text == "stopped"
    assert out.closed == 1


def test_an_error_closes_what_is_open_and_is_raised() -> None:
    def failing() -> Iterator[StreamItem]:
        yield from blocks(sound((5.0, 10.0), seconds=8.0))
        raise ZeroDivisionError

    out = Collected()
    with pytest.raises(ZeroDivisionError):
        LiveRun(Listener(tagger()), [out]).run(failing())
    assert [x.kind for x in out.lines][:2] == [LineKind.OPEN, LineKind.CLOSE]


def test_twenty_disconnections_lose_no_event_and_no_time() -> None:
    clock = Ticking()
    part = sound((4.0, 6.0), seconds=10.0)

    def broken() -> Iterator[StreamItem]:
        for n in range(21):
            yield from blocks(part, clock)
            if n < 20:
                yield StreamBroken("camera: is away")
                clock.seconds += 2.5
                yield StreamBroken("camera: is still away")
                clock.seconds += 2.5

    live, out = run(broken(), clock)
    opened = [x for x in out.lines if x.kind is LineKind.OPEN]
    assert [round(x.start, 3) for x in opened] == [15.0 * n + 4 for n in range(21)]
    assert (live.events, live.gaps) == (21, 20)
    gaps = [x for x in out.lines if x.kind is LineKind.GAP]
    assert len(gaps) == 3 * 20
    assert [round((x.end or 0) - x.start, 3) for x in gaps if x.end is not None] == [5.0] * 20
    assert out.lines[-1].start == pytest.approx(21 * 10 + 20 * 5)
    walls = [x.wall - x.start for x in opened if x.wall is not None]
    assert max(walls) - min(walls) <= 0.1 + 1e-6, "stream time drifts from the wall clock"


def test_notes_and_pictures_are_handed_on() -> None:
    def items() -> Iterator[StreamItem]:
        yield StreamOpened(sound=True, pictures=True)
        yield StreamNote("the video track is damaged")
        yield TimedImage(0.0, np.zeros((4, 4, 3), np.uint8))
        yield PicturesPassed(0.5)
        yield SoundBlock(sound(seconds=3.0), 0.0)

    _, out = run(items())
    assert [x.kind for x in out.lines] == [LineKind.NOTE, LineKind.END]


def test_every_line_is_as_the_schema_says() -> None:
    def items() -> Iterator[StreamItem]:
        yield from blocks(sound((2.0, 8.0), seconds=10.0))
        yield StreamBroken("camera: is away")
        yield from blocks(sound((2.0, 8.0), seconds=10.0))

    _, out = run(items(), Ticking(), LiveSettings(seconds=True, update_seconds=1.0))
    out.lines.append(
        LiveLine(
            LineKind.OPEN,
            1.0,
            label="Train",
            peak=1.0,
            number=3,
            seen=float("nan"),
            evidence=(Evidence(0.5, "locomotive", 0.8, 0.7),),
        )
    )
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for line in out.lines:
        validator.validate(as_document(line))
    assert {x.kind for x in out.lines} >= {LineKind.SECOND, LineKind.GAP, LineKind.CLOSE}
    assert "seen" not in as_document(out.lines[-1])
    wrong = {"event": "close", "label": "Train", "start": 1.0, "peak": 0.5, "number": 1}
    assert not validator.is_valid(wrong)


def test_sound_that_a_source_lost_is_a_gap_line() -> None:
    def items() -> Iterator[StreamItem]:
        yield from blocks(sound((5.0, 8.0), seconds=8.0))
        yield StreamLost(2.0, "mic: is too slow")
        yield SoundBlock(sound((3.0, 5.0), seconds=7.0), 10.0)

    live, out = run(items())
    assert shortly(out.lines) == [
        (LineKind.OPEN, 5.0, None),
        (LineKind.CLOSE, 5.0, 8.0),
        (LineKind.GAP, 8.0, 10.0),
        (LineKind.OPEN, 13.0, None),
        (LineKind.CLOSE, 13.0, 15.0),
        (LineKind.END, 17.0, None),
    ]
    assert (out.lines[2].text, live.gaps) == ("mic: is too slow", 1)


def test_a_clock_of_the_machine_that_jumps_moves_no_event() -> None:
    clock = Ticking()

    def items() -> Iterator[StreamItem]:
        for n, item in enumerate(blocks(sound((5.0, 7.0), seconds=10), clock)):
            if n == 30:
                clock.seconds -= 3600.0  # set back by an hour
            yield item

    _, out = run(items(), clock)
    assert shortly(out.lines)[:2] == [(LineKind.OPEN, 5.0, None), (LineKind.CLOSE, 5.0, 7.0)]
    assert [x.wall - x.start for x in out.lines if x.wall is not None] == [
        pytest.approx(1000.1, abs=1e-6)
    ] * 3
