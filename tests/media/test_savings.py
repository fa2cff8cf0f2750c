"""Savings that change no result: frames that no other refers to, early stops, bounded memory."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.bench.clips import make_long
from av_tagger.bench.media import child
from av_tagger.clip import Clip, Frames
from av_tagger.media import close_decoders, make_backend
from av_tagger.media.tracks import PictureTrack
from av_tagger.protocols import DecodeRequest
from tests.assets import frame_times, make_video, picture


def frames_of(path: Path, request: DecodeRequest) -> Frames:
    (media,) = make_backend("pyav").windows(Clip(path), request)
    assert media.frames is not None
    return media.frames


def with_skippable_frames(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(
            "libx264",
            rate=24,
            options={"preset": "ultrafast", "bf": "1", "b-adapt": "0", "b-pyramid": "none"},
        )
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number, seconds in enumerate(frame_times(2.0, 24)):
            frame = av.VideoFrame.from_ndarray(picture(seconds, (96, 64)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_non_reference_frames_can_be_skipped(tmp_path: Path) -> None:
    path = with_skippable_frames(tmp_path / "a.mp4")
    whole, fewer = (frames_of(path, DecodeRequest(skip_nonref=skip)) for skip in (False, True))
    assert len(whole) == 48
    assert 20 <= len(fewer) <= 30
    same = np.searchsorted(whole.times, fewer.times - 1e-3)
    np.testing.assert_allclose(whole.times[same], fewer.times, atol=1e-6)
    np.testing.assert_array_equal(whole.images[same], fewer.images)


@pytest.mark.parametrize(("wanted", "skipped"), [(8.0, True), (10.0, True), (13.0, False)])
def test_they_are_decoded_where_half_the_frames_would_be_too_few(
    tmp_path: Path, wanted: float, skipped: bool
) -> None:
    path = with_skippable_frames(tmp_path / "a.mp4")
    whole, fewer = (
        frames_of(path, DecodeRequest(skip_nonref=skip, frame_rate=wanted))
        for skip in (False, True)
    )
    assert np.array_equal(whole.times, fewer.times) != skipped
    assert len(fewer) >= 0.9 * len(whole)


def test_a_format_without_such_frames_keeps_all(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 1.0)
    assert len(frames_of(path, DecodeRequest(skip_nonref=True))) == 24


def test_hardly_anything_is_decoded_beyond_the_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mkv", 6.0, audio="mp3")
    shown: list[float] = []
    original = PictureTrack.show

    def show(track: PictureTrack, frame: Any) -> Any:
        shown.append(frame.time)
        return original(track, frame)

    monkeypatch.setattr(PictureTrack, "show", show)
    (media,) = make_backend("pyav").windows(Clip(path, 1.0, 3.0), DecodeRequest())
    assert media.waveform is not None
    assert media.waveform.duration_seconds == pytest.approx(2.0, abs=1e-3)
    assert 3.0 <= max(shown) < 3.3


@pytest.mark.slow
def test_an_hour_needs_hardly_more_memory_than_a_minute(tmp_path: Path) -> None:
    """Both processes added, each by its own high-water mark."""
    peaks = {}
    for seconds in (60, 3600):
        make_long(tmp_path / f"{seconds}.mp4", seconds, (320, 180))
        found = child(tmp_path / f"{seconds}.mp4", "both", isolated=True)
        assert found["windows"] >= seconds / 9 - 2
        peaks[seconds] = found["peak_MiB"]
    close_decoders()
    assert peaks[3600] <= 1.3 * peaks[60]
