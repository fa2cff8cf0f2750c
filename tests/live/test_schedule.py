"""Windows of a stream: rolling ones with answers soon, and those of the recorded file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.live.schedule import FileWindows, RollingWindows, WindowSchedule, WindowSpan
from av_tagger.media.windows import ContainerHints, DecodedSound, Windows
from av_tagger.protocols import DecodeRequest


def spans(schedule: WindowSchedule, end: float, step: float = 0.13) -> list[WindowSpan]:
    found: list[WindowSpan] = []
    reached = 0.0
    while reached < end:
        reached = min(end, reached + step)
        found += schedule.due(reached)
    return found + list(schedule.rest(end))


def test_rolling_windows_end_every_hop_and_start_on_the_grid() -> None:
    found = spans(RollingWindows(10.0, 0.5, 0.1, 0.8), 30.25)
    assert [s.end for s in found[:3]] == [1.0, 1.5, 2.0]
    assert [s.end for s in found[-2:]] == [30.0, 30.25]
    assert all(s.end - s.start <= 10.0 + 1e-9 for s in found)
    assert all(s.end - s.start > 9.2 - 1e-9 for s in found if s.end > 10)
    assert all(abs(s.start / 0.8 - round(s.start / 0.8)) < 1e-9 for s in found)


def test_rolling_windows_decide_every_moment_once() -> None:
    found = spans(RollingWindows(10.0, 0.5, 0.3, 1.0), 12.2)
    decided = [s.decided for s in found]
    assert decided == sorted(decided)
    assert decided[-1] == 12.2
    assert all(s.start <= before for s, before in zip(found[1:], decided, strict=False))


def test_no_window_is_left_at_a_hop() -> None:
    assert [s.end for s in spans(RollingWindows(10.0, 0.5, 0.0, 1.0), 2.0)] == [1.0, 1.5, 2.0]


def test_a_short_stream_is_one_window() -> None:
    for schedule in (RollingWindows(10.0, 0.5, 0.1, 1.0), FileWindows(10.0, 1.0)):
        assert spans(schedule, 0.4) == [WindowSpan(0.0, 0.4, 0.4)]


def test_a_restart_moves_everything() -> None:
    schedule = RollingWindows(10.0, 0.5, 0.1, 1.0)
    list(schedule.due(20.0))
    schedule.restart(33.3)
    assert schedule.next_end() == pytest.approx(34.3)
    assert next(iter(schedule.due(34.3))).start == 33.3


@pytest.mark.parametrize("end", [3.0, 9.0, 10.0, 14.0, 15.0, 15.2, 18.9, 19.5, 24.0, 24.1, 61.7])
@pytest.mark.parametrize("declared", [True, False])
def test_file_windows_are_those_of_the_decoder(end: float, declared: bool) -> None:
    request = DecodeRequest(audio_rate=100, short_side=None)
    hints = ContainerHints(True, False, end if declared else None, sound_ends=end)
    windows = Windows(Clip(Path("x")), request, hints)
    media = []
    for block in range(round(end * 10)):
        media += windows.add(DecodedSound(0.0, block * 10, np.zeros(10, np.float32)))
    media += windows.finish()
    expected = [(m.start_seconds, round(m.end_seconds, 6)) for m in media]
    assert [(s.start, round(s.end, 6)) for s in spans(FileWindows(10.0, 1.0), end)] == expected


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter than the window"):
        RollingWindows(1.0, 2.0, 0.0, 0.5)
