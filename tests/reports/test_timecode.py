"""Timecodes counted number by number, skipped numbers, and the rate of a file."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from av_tagger import media
from av_tagger.errors import MediaError, UsageError
from av_tagger.reports.timecode import parse_rate, rate_of
from tests.reports.conftest import street

DROPPED = {"29.97df": (30, 2), "59.94df": (60, 4)}


def numbers(nominal: int, dropped: int, minutes: int) -> Iterator[str]:
    """All timecodes of the first minutes in order, as SMPTE 12M words the rule."""
    for minute in range(minutes):
        for second in range(60):
            for frame in range(nominal):
                if second == 0 and frame < dropped and minute not in (0, 10, 20, 30):
                    continue
                yield f"00:{minute:02d}:{second:02d};{frame:02d}"


@pytest.mark.parametrize("name", DROPPED)
def test_every_frame_of_22_minutes_has_its_number(name: str) -> None:
    """So minutes 10 and 20 keep all numbers; each number leads back to its frame."""
    rate = parse_rate(name)
    expected = list(numbers(*DROPPED[name], 22))
    assert [rate.timecode(frame) for frame in range(len(expected))] == expected
    assert all(rate.frame_of(text) == n for n, text in enumerate(expected) if n % 7 == 0)


@pytest.mark.parametrize(
    ("name", "text", "frame"),
    [
        ("29.97df", "00:10:00;00", 17_982),
        ("29.97df", "00:10:00;01", 17_983),
        ("29.97df", "00:20:00;00", 35_964),
        ("29.97df", "00:19:59;29", 35_963),
        ("59.94df", "00:20:00;00", 71_928),
        ("29.97df", "23:59:59;29", 2_589_407),
    ],
)
def test_every_tenth_minute_keeps_its_numbers(name: str, text: str, frame: int) -> None:
    rate = parse_rate(name)
    assert (rate.timecode(frame), rate.frame_of(text)) == (text, frame)


@pytest.mark.parametrize(
    ("name", "text", "instead"),
    [
        ("29.97df", "00:01:00;00", "00:01:00;02"),
        ("29.97df", "01:11:00:01", "01:11:00;02"),
        ("59.94df", "00:19:00;03", "00:19:00;04"),
    ],
)
def test_a_number_that_is_skipped_is_no_timecode(name: str, text: str, instead: str) -> None:
    rate = parse_rate(name)
    with pytest.raises(UsageError, match=f"{text}' is no timecode: .* use {instead}"):
        rate.frame_of(text)
    assert rate.timecode(rate.frame_of(instead)) == instead
    plain = parse_rate(name.removesuffix("df"))
    assert plain.timecode(plain.frame_of(text)) == text.replace(";", ":"), "non-drop has it"


def test_an_hour_of_film_at_23_976_is_short_of_an_hour_of_timecode() -> None:
    rate = parse_rate("23.976")
    frame = rate.frames(3600.0)
    assert (frame, rate.timecode(frame)) == (86_314, "00:59:56:10")
    assert rate.frame_of("01:00:00:00") == 86_400
    assert float(rate.seconds(86_400)) == pytest.approx(3603.6, abs=1e-9)
    assert rate.frames(float(rate.seconds(86_400))) == 86_400


def test_drop_frame_is_within_three_frames_of_the_clock_all_day() -> None:
    rate = parse_rate("29.97df")
    for minute in range(0, 24 * 60, 10):
        assert rate.frame_of(f"{minute // 60:02d}:{minute % 60:02d}:00;00") == pytest.approx(
            rate.frames(minute * 60.0), abs=3
        )
    day = rate.frame_of("23:59:59;29") + 1
    assert rate.timecode(day) == "00:00:00;00"
    assert rate.timecode(day + 1800) == "00:01:00;02"


@pytest.mark.parametrize(
    ("measured", "name"),
    [
        (23.976024, "23.976"),
        (24.0, "24"),
        (29.97, "29.97"),
        (30.0, "30"),
        (59.94006, "59.94"),
        (12.5, "23.976"),
        (240.0, "60"),
        (0.0, "25"),
        (None, "25"),
    ],
)
def test_the_nearest_rate_is_taken(
    measured: float | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = SimpleNamespace(video=SimpleNamespace(rate=measured))
    monkeypatch.setattr(media, "probe", lambda _: track)
    assert rate_of(street()) == parse_rate(name)


@pytest.mark.parametrize("error", [MediaError("a.mp4", "is broken"), OSError(), ValueError()])
def test_a_file_that_cannot_be_read_has_25(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(_: object) -> None:
        raise error

    monkeypatch.setattr(media, "probe", probe)
    assert rate_of(street()) == parse_rate("25")
