"""Events in file order become overlapping windows, whatever the container declared."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, ColourMatrix, Images, Media
from av_tagger.media.windows import (
    LONGEST,
    MAX_LEAD_SECONDS,
    ContainerHints,
    DecodedSound,
    Event,
    LazyPicture,
    Note,
    Picture,
    Skipped,
    Windows,
    lazy_picture_of,
    plain_memory,
)
from av_tagger.protocols import DecodeRequest

RATE, FPS = 100, 10
REQUEST = DecodeRequest(audio_rate=RATE, window_seconds=1.0, overlap_seconds=0.25)


def picture(seconds: float, value: int | None = None, damaged: bool = False) -> Picture:
    """Its value tells which one it is."""
    image = np.full((2, 2, 3), round(seconds * FPS) if value is None else value, np.uint8)
    return Picture(seconds, lazy_picture_of(image), damaged)


def sound(index: int, count: int, origin: float = 0.0) -> DecodedSound:
    """Sample n has the value n."""
    return DecodedSound(origin, index, np.arange(index, index + count, dtype=np.float32))


def tracks(seconds: float, audio: bool = True, video: bool = True) -> Iterator[Event]:
    """Both tracks side by side, a tenth of a second at a time."""
    for n in range(round(seconds * FPS)):
        if video:
            yield picture(n / FPS)
        if audio:
            yield sound(n * RATE // FPS, RATE // FPS)


def cut(
    events: Iterable[Event],
    hints: ContainerHints | None = None,
    clip: Clip | None = None,
    request: DecodeRequest = REQUEST,
) -> list[Media]:
    windows = Windows(clip or Clip(Path("a.mp4")), request, hints or ContainerHints(True, True))
    found = [media for event in events for media in windows.add(event)]
    return [*found, *windows.finish()]


def values(media: Media) -> list[int]:
    return [] if media.frames is None else media.frames.images[:, 0, 0, 0].tolist()


def spans(found: Iterable[Media]) -> list[tuple[float, float]]:
    return [(round(m.start_seconds, 3), round(m.end_seconds, 3)) for m in found]


def samples(media: Media) -> np.ndarray:
    assert media.waveform is not None
    return media.waveform.samples


def test_windows_overlap_and_cover_the_file() -> None:
    found = cut(tracks(2.9), ContainerHints(True, True, 2.9, FPS, 2.9, 2.9))
    assert spans(found) == [(0.0, 1.0), (0.75, 1.75), (1.5, 2.9)]
    assert values(found[0]) == list(range(10))
    assert values(found[1]) == list(range(8, 18))
    assert values(found[2]) == list(range(15, 29))
    for media in found:
        first, count = round(media.start_seconds * RATE), len(samples(media))
        np.testing.assert_array_equal(samples(media), np.arange(first, first + count))
        assert count == round((media.end_seconds - media.start_seconds) * RATE)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0, 1.4, 1.5])
@pytest.mark.parametrize("declared", [True, False])
def test_a_short_file_is_one_window(seconds: float, declared: bool) -> None:
    """Up to 1.5 window lengths, also without a declared duration."""
    hints = ContainerHints(True, True, seconds if declared else None, FPS)
    (media,) = cut(tracks(seconds), hints)
    assert spans([media]) == [(0.0, seconds)]
    assert len(values(media)) == round(seconds * FPS)


@pytest.mark.parametrize("seconds", [1.6, 2.2, 3.7])
@pytest.mark.parametrize("declared", [None, 0.5, 100.0])
def test_a_wrong_duration_loses_nothing(seconds: float, declared: float | None) -> None:
    found = cut(tracks(seconds), ContainerHints(True, True, declared, FPS))
    assert found[0].start_seconds == 0.0
    assert found[-1].end_seconds == pytest.approx(seconds)
    assert {v for media in found for v in values(media)} == set(range(round(seconds * FPS)))
    assert all(m.end_seconds - m.start_seconds <= LONGEST + 1e-6 for m in found)
    assert {s for media in found for s in samples(media)} == set(range(round(seconds * RATE)))


def test_windows_are_closed_as_soon_as_both_tracks_have_passed_them() -> None:
    windows = Windows(Clip(Path("a.mp4")), REQUEST, ContainerHints(True, True, 60.0, FPS))
    closed = [(event, m) for event in tracks(3.0) for m in windows.add(event)]
    assert spans(m for _, m in closed) == [(0.0, 1.0), (0.75, 1.75), (1.5, 2.5)]
    for event, media in closed:
        at = event.seconds if isinstance(event, Picture) else (event.index + 10) / RATE  # type: ignore[union-attr]
        assert at == pytest.approx(media.end_seconds, abs=2 / FPS)


@pytest.mark.parametrize("missing", ["audio", "video"])
def test_one_track_alone(missing: str) -> None:
    only = {missing: False}
    hints = ContainerHints(missing != "audio", missing != "video", 2.0, FPS)
    found = cut(tracks(2.0, **only), hints)
    assert spans(found) == [(0.0, 1.0), (0.75, 2.0)]
    for media in found:
        assert (media.waveform is None) == (missing == "audio")
        assert (media.frames is None) == (missing == "video")


def test_a_track_that_ends_early_does_not_hold_the_windows() -> None:
    """Audio declared for 5 s ends after 1 s: windows are closed once pictures are far ahead."""
    windows = Windows(
        Clip(Path("a.mp4")), REQUEST, ContainerHints(True, True, 20.0, FPS, 20.0, 20.0)
    )
    list(windows.add(sound(0, RATE)))
    closed = [m for n in range(100) for m in windows.add(picture(n / FPS))]
    assert closed
    assert closed[-1].end_seconds <= 10.0 - MAX_LEAD_SECONDS + 0.1
    assert len(windows.open) <= MAX_LEAD_SECONDS / 0.75 + 2


def test_the_last_picture_stands_until_the_next() -> None:
    """A slide show: one picture at 0 s, the next at 2.5 s; audio goes on."""
    audio = list(tracks(3.3, video=False))
    events = [picture(0.0, 1), *audio[:25], picture(2.5, 2), *audio[25:]]
    found = cut(events, ContainerHints(True, True, 3.3, FPS))
    assert spans(found) == [(0.0, 1.0), (0.75, 1.75), (1.5, 3.0), (2.25, 3.3)]
    assert [values(m) for m in found] == [[1], [1], [2], [2]]
    assert [m.frames.times.tolist() for m in found if m.frames] == [[0.0], [0.75], [2.5], [2.5]]


def test_a_clip_within_a_file() -> None:
    clip = Clip(Path("a.mp4"), 1.2, 2.0)
    (media,) = cut(tracks(3.0), ContainerHints(True, True, 3.0, FPS), clip)
    assert spans([media]) == [(1.2, 2.0)]
    assert values(media) == list(range(12, 20))
    np.testing.assert_array_equal(samples(media), np.arange(120, 200))


def test_decoding_can_stop_behind_the_clip() -> None:
    windows = Windows(Clip(Path("a.mp4"), 0.0, 1.0), REQUEST, ContainerHints(True, True, 9.0, FPS))
    used = 0
    for event in tracks(9.0):
        list(windows.add(event))
        used += 1
        if windows.complete:
            break
    assert used <= 2 * FPS + 2
    assert spans(windows.finish()) == [(0.0, 1.0)]


def test_late_sound_has_its_own_start() -> None:
    pictures = [picture(n / FPS) for n in range(10)]
    events = [*pictures[:5], sound(0, 50, origin=0.4), *pictures[5:]]
    (media,) = cut(events, ContainerHints(True, True, 1.0, FPS))
    assert media.waveform is not None
    assert media.waveform.start_seconds == pytest.approx(0.4)
    assert media.waveform.finite
    assert len(samples(media)) == 50


def test_notes_go_with_the_next_window_and_are_said_once() -> None:
    events = list(tracks(2.7))
    middle = [*events[:32], Note("a"), *events[32:], Note("a"), Note("b")]
    found = cut([Note("first"), *middle], ContainerHints(True, True, 9.0, FPS))
    assert found[0].notes == ("first",)
    assert [note for media in found for note in media.notes] == ["first", "a", "b"]


def test_a_part_that_comes_too_late_is_noted() -> None:
    events = [*(picture(n / FPS) for n in range(100)), sound(0, RATE)]
    found = cut(events, ContainerHints(True, True, 10.0, FPS, 10.0, 10.0))
    assert any("audio and video are too far apart" in n for m in found for n in m.notes)


def test_damaged_pictures_are_counted() -> None:
    events = [picture(0.0), picture(0.1, damaged=True), picture(0.2)]
    (media,) = cut(events, ContainerHints(False, True, 0.3, FPS))
    assert media.frames is not None
    assert media.frames.damaged == 1


def test_more_pictures_than_expected_find_room() -> None:
    """The container declares 1 frame per second; there are 100."""
    sizes: list[tuple[int, ...]] = []

    def allocate(shape: tuple[int, ...]) -> Images:
        sizes.append(shape)
        return plain_memory(shape)

    windows = Windows(Clip(Path("a.mp4")), REQUEST, ContainerHints(False, True, 1.0, 1.0), allocate)
    for n in range(100):
        list(windows.add(picture(n / 100, n)))
    (media,) = windows.finish()
    assert values(media) == list(range(100))
    assert len(sizes) < 20, "memory grows in few steps"


def test_absurd_frame_rates_do_not_size_the_memory() -> None:
    sizes: list[tuple[int, ...]] = []

    def allocate(shape: tuple[int, ...]) -> Images:
        sizes.append(shape)
        return plain_memory(shape)

    windows = Windows(
        Clip(Path("a.mp4")), REQUEST, ContainerHints(False, True, 1.0, 90_000.0), allocate
    )
    list(windows.add(picture(0.0)))
    assert sizes[0][0] <= 300


def test_planes_keep_their_colour_matrix() -> None:
    luma = ColourMatrix(0.2126, 0.0722)
    image = np.arange(24, dtype=np.uint8).reshape(6, 4)
    planar = LazyPicture(image.shape, lambda out: np.copyto(out, image), luma)
    (media,) = cut([Picture(0.0, planar)], ContainerHints(False, True, 0.1, FPS))
    assert media.frames is not None
    assert media.frames.luma == luma
    np.testing.assert_array_equal(media.frames.images[0], image)


def test_no_events_are_no_windows() -> None:
    assert cut([]) == []
    assert cut([Note("nothing here"), Skipped(3.0)]) == []


def test_an_overlap_as_long_as_the_window_still_moves_on() -> None:
    request = DecodeRequest(audio_rate=RATE, window_seconds=1.0, overlap_seconds=1.0)
    found = cut(tracks(2.0), ContainerHints(True, True, 2.0, FPS), request=request)
    starts = [m.start_seconds for m in found]
    assert len(starts) <= 20
    assert all(after > before for before, after in itertools.pairwise(starts))
    assert math.isclose(found[-1].end_seconds, 2.0)


def test_equal_frames_are_known_per_window() -> None:
    """Each window counts from its own first frame."""
    events = [picture(n / FPS, value=[5, 6, 6, 5, 7][n % 5]) for n in range(20)]
    first, second = cut(events, ContainerHints(False, True, 2.0, FPS))[:2]
    assert first.frames is not None
    assert second.frames is not None
    assert first.frames.first_equal is not None
    assert second.frames.first_equal is not None
    assert values(first) == [5, 6, 6, 5, 7] * 2
    assert first.frames.first_equal.tolist() == [0, 1, 1, 0, 4, 0, 1, 1, 0, 4]
    seen = values(second)
    assert second.frames.first_equal.tolist() == [seen.index(v) for v in seen]


def test_a_picture_that_stays_is_its_own_first() -> None:
    """A still picture is given again to later windows."""
    events = [picture(0.0), picture(0.1), *(sound(n * 10, 10) for n in range(30)), picture(2.9)]
    found = cut(events, ContainerHints(True, True, 3.0, FPS, 3.0, 3.0))
    assert len(found) > 1
    assert {len(media.frames) for media in found[1:] if media.frames is not None} == {1}
    for media in found[1:]:
        assert media.frames is not None
        assert media.frames.first_equal is not None
        assert media.frames.first_equal.tolist() == list(range(len(media.frames)))
