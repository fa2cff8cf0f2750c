"""Frames of one track become events: chosen by time, cut to the clip, with damage counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.media.clock import Clock
from av_tagger.media.tracks import (
    GAP_SECONDS,
    PRIMING_SECONDS,
    RUN_UP_SECONDS,
    PictureTrack,
    SoundTrack,
    Track,
    frame_rate,
)
from av_tagger.media.windows import DecodedSound, Event, Note, Picture, Skipped
from av_tagger.protocols import DecodeRequest

MILLISECONDS = Fraction(1, 1000)
RATE = 8_000


def stream(video: bool = True) -> Any:
    codec = SimpleNamespace(sample_aspect_ratio=None, codec=SimpleNamespace(canonical_name="fake"))
    return SimpleNamespace(
        time_base=MILLISECONDS,
        codec_context=codec,
        average_rate=Fraction(25),
        guessed_rate=None,
        container=SimpleNamespace(streams=SimpleNamespace(video=("one",) if video else ())),
    )


def clip(start: float = 0.0, end: float | None = None) -> Clip:
    return Clip(Path("a.mp4"), start, end)


def pictures(
    where: Clip | None = None, frame_rate: float | None = None, origin: float = 0.0
) -> PictureTrack:
    part = where or clip()
    request = DecodeRequest(short_side=16, frame_rate=frame_rate)
    return PictureTrack(stream(), request, part, origin, Clock(None, part.start_seconds))


def sounds(where: Clip | None = None, rate: int = RATE, video: bool = True) -> SoundTrack:
    part = where or clip()
    return SoundTrack(stream(video), rate, part, 0.0, Clock(None, part.start_seconds))


def shown(pts: int | None) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "gray")
    frame.pts = pts
    return frame


def heard(pts: int | None, seconds: float = 0.1, level: float = 0.5, rate: int = RATE) -> Any:
    values = np.full((1, round(seconds * rate)), level, np.float32)
    frame = av.AudioFrame.from_ndarray(values, "fltp", "mono")
    frame.sample_rate, frame.pts = rate, pts
    return frame


def packet(*frames: Any, corrupt: bool = False) -> Any:
    return SimpleNamespace(is_corrupt=corrupt, decode=lambda: frames)


def broken_packet() -> Any:
    def decode() -> list[Any]:
        raise av.error.InvalidDataError(1, "Invalid data found")

    return SimpleNamespace(is_corrupt=False, decode=decode)


def all_of(track: Track, packets: Iterable[Any]) -> list[Event]:
    events = [event for one in packets for event in track.take(one)]
    return [*events, *track.finish()]


def times_of(events: Iterable[Event]) -> list[float]:
    return [event.seconds for event in events if isinstance(event, Picture)]


def notes_of(events: Iterable[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


def samples_of(events: Iterable[Event]) -> tuple[float, np.ndarray]:
    """Start in seconds, and all samples, which must follow each other without a gap."""
    found = [event for event in events if isinstance(event, DecodedSound)]
    at = 0
    for event in found:
        assert (event.index, event.origin) == (at, found[0].origin)
        at += len(event.samples)
    return found[0].origin, np.concatenate([event.samples for event in found])


@pytest.mark.parametrize(
    ("average", "guessed", "rate"),
    [
        (Fraction(25), None, 25.0),
        (None, Fraction(30_000, 1001), pytest.approx(29.97, abs=0.01)),
        (Fraction(0), None, None),
        (Fraction(90_000), None, None),
        (None, None, None),
    ],
)
def test_impossible_frame_rates_are_unknown(
    average: Fraction | None, guessed: Fraction | None, rate: Any
) -> None:
    assert frame_rate(SimpleNamespace(average_rate=average, guessed_rate=guessed)) == rate


def test_every_frame_of_the_clip_becomes_a_picture() -> None:
    events = all_of(pictures(clip(0.1, 0.2)), [packet(shown(40 * n)) for n in range(8)])
    assert times_of(events) == pytest.approx([0.12, 0.16])
    assert [e.seconds for e in events if isinstance(e, Skipped)] == pytest.approx([0.2, 0.24, 0.28])
    assert notes_of(events) == []


def test_the_origin_of_the_file_is_second_0() -> None:
    events = all_of(pictures(origin=2.0), [packet(shown(2000)), packet(shown(2040))])
    assert times_of(events) == pytest.approx([0.0, 0.04])


def test_candidates_are_the_first_frames_of_their_slots() -> None:
    track = pictures(frame_rate=10.0)
    events = all_of(track, [packet(shown(n)) for n in (0, 40, 80, 120, 290, 310, 399, 400)])
    assert times_of(events) == pytest.approx([0.0, 0.12, 0.29, 0.31, 0.4])


def test_two_frames_never_have_the_same_time() -> None:
    events = all_of(pictures(), [packet(shown(n)) for n in (0, 40, 40, 40, 80)])
    times = times_of(events)
    assert times == pytest.approx([0.0, 0.04, 0.041, 0.042, 0.08])
    assert len(set(times)) == 5


def test_frames_within_a_microsecond_before_second_0_rise_too() -> None:
    track = pictures(origin=5e-7)
    track.base = 2e-7
    times = times_of(all_of(track, [packet(shown(n)) for n in range(4)]))
    assert times[0] == 0.0
    assert sorted(set(times)) == times


def test_frames_without_stamps_follow_at_the_frame_rate() -> None:
    events = all_of(pictures(), [packet(shown(n)) for n in (0, None, None)])
    assert times_of(events) == pytest.approx([0.0, 0.04, 0.08])


def test_impossible_stamps_are_repaired_and_noted() -> None:
    events = all_of(pictures(), [packet(shown(n)) for n in (0, 10**12, 80)])
    assert times_of(events)[:2] == pytest.approx([0.0, 0.04])
    (note,) = notes_of(events)
    assert "impossible time stamps in the video track were repaired" in note


@pytest.mark.parametrize(
    ("make", "kind"), [(pictures, "video"), (sounds, "audio")], ids=["pictures", "sounds"]
)
def test_damage_is_counted_and_the_rest_is_read(make: Callable[[], Track], kind: str) -> None:
    frame = shown if kind == "video" else heard
    unreadable = SimpleNamespace(pts=100, is_corrupt=False)  # lacks everything else
    packets = [
        packet(frame(0)),
        broken_packet(),
        packet(frame(100), corrupt=True),
        packet(unreadable) if kind == "never" else broken_packet(),
        packet(frame(200)),
    ]
    events = all_of(make(), packets)
    assert notes_of(events) == [f"3 damaged packets in the {kind} track (fake)"]
    if kind == "video":
        assert times_of(events) == pytest.approx([0.0, 0.1, 0.2])
    else:
        assert len(samples_of(events)[1]) == pytest.approx(0.3 * RATE)


def test_sound_is_given_out_without_gaps() -> None:
    events = all_of(sounds(), [packet(heard(100 * n)) for n in range(12)])
    start, samples = samples_of(events)
    assert start == 0.0
    np.testing.assert_allclose(samples, np.full(round(1.2 * RATE), 0.5))


def test_sound_is_resampled_to_the_requested_rate() -> None:
    _, samples = samples_of(all_of(sounds(rate=4_000), [packet(heard(0, 1.0))]))
    assert len(samples) == 4_000
    np.testing.assert_allclose(samples[100:-100], 0.5, atol=1e-3)


def test_a_gap_is_filled_with_silence() -> None:
    packets = [packet(heard(0)), packet(heard(2600))]
    start, samples = samples_of(all_of(sounds(), packets))
    assert (start, len(samples)) == (0.0, round(2.7 * RATE))
    assert (samples[round(0.1 * RATE) : round(2.6 * RATE)] == 0).all()
    np.testing.assert_allclose(samples[round(2.6 * RATE) :], 0.5)


def test_jitter_is_no_gap() -> None:
    late = round(1000 * GAP_SECONDS / 2)
    packets = [packet(heard(0)), packet(heard(100 + late)), packet(heard(200 - late))]
    events = all_of(sounds(), packets)
    assert len(samples_of(events)[1]) == round(0.3 * RATE)
    assert notes_of(events) == []


def test_the_sampling_rate_may_change() -> None:
    packets = [packet(heard(0, 0.5)), packet(heard(500, 0.5, 0.25, rate=2 * RATE))]
    _, samples = samples_of(all_of(sounds(), packets))
    assert len(samples) == RATE
    np.testing.assert_allclose(samples[: RATE // 2], 0.5)
    np.testing.assert_allclose(samples[RATE // 2 + 100 : -100], 0.25, atol=1e-3)


def test_a_clip_starts_with_the_run_up_of_the_resampler() -> None:
    packets = [packet(heard(100 * n)) for n in range(20)]
    start, samples = samples_of(all_of(sounds(clip(0.95, 1.5)), packets))
    assert start == pytest.approx(0.95 - RUN_UP_SECONDS)
    assert start + len(samples) / RATE >= 1.5


def test_frames_before_the_clip_are_dropped() -> None:
    track = sounds(clip(1.0))
    assert [event for n in range(9) for event in track.take(packet(heard(100 * n)))] == []
    assert track.begins is None


@pytest.mark.parametrize(
    ("video", "origin"), [(False, 0.0), (True, -PRIMING_SECONDS / 2)], ids=["audio file", "video"]
)
def test_a_start_shortly_before_0_is_moved_in_audio_files_only(video: bool, origin: float) -> None:
    """In a video the samples before 0 keep their distance to the pictures."""
    first = round(-1000 * PRIMING_SECONDS / 2)
    packets = [packet(heard(first + 100 * n)) for n in range(3)]
    start, samples = samples_of(all_of(sounds(video=video), packets))
    assert start == pytest.approx(origin)
    assert len(samples) == round(0.3 * RATE)


def test_empty_frames_are_ignored() -> None:
    nothing = SimpleNamespace(sample_rate=0, samples=0, pts=0)
    assert all_of(sounds(), [packet(nothing)]) == []
    assert all_of(sounds(), []) == []
