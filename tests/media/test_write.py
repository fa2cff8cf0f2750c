"""Videos that are written can be read, keep their times, and appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, Media
from av_tagger.errors import MediaError, StorageError
from av_tagger.media import make_backend
from av_tagger.media.doctor import decoders
from av_tagger.media.write import copy_with_pictures, write_video
from av_tagger.protocols import DecodeRequest
from tests.assets import (
    Audio,
    frame_times,
    make_audio,
    make_video,
    picture,
    seen_corners,
    seen_level,
    tone,
)


def read(path: Path) -> Media:
    (media,) = make_backend("pyav").windows(Clip(path), DecodeRequest(short_side=4000))
    return media


@pytest.mark.parametrize(("size", "rate"), [((96, 64), 44_100), ((97, 65), 20_000)])
def test_what_is_written_is_read(tmp_path: Path, size: tuple[int, int], rate: int) -> None:
    images = (picture(t, size) for t in frame_times(2.0, 25))
    media = read(write_video(tmp_path / "a.mp4", images, 25, tone(2.0, rate)[0], rate))
    assert media.frames is not None
    assert media.waveform is not None
    np.testing.assert_allclose(media.frames.times, frame_times(2.0, 25), atol=1e-3)
    assert media.frames.size == (size[1] + size[1] % 2, size[0] + size[0] % 2)
    assert seen_corners(media.frames.rgb()[0]) == [
        "top left",
        "top right",
        "bottom left",
        "bottom right",
    ]
    assert media.waveform.duration_seconds == pytest.approx(2.0, abs=0.07)
    assert float(np.sqrt(np.mean(media.waveform.samples[8000:32000] ** 2))) == pytest.approx(
        0.5 / np.sqrt(2), abs=0.01
    )


def test_pictures_alone(tmp_path: Path) -> None:
    media = read(write_video(tmp_path / "a.mp4", [picture(0, (64, 64))] * 3, 10))
    assert media.waveform is None
    assert media.frames is not None
    assert len(media.frames) == 3


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def images() -> object:
        yield picture(0, (64, 64))
        raise RuntimeError("the painter fell")

    with pytest.raises(RuntimeError, match="the painter fell"):
        write_video(tmp_path / "a.mp4", images(), 10)  # type: ignore[arg-type]
    with pytest.raises(MediaError, match="no picture to write"):
        write_video(tmp_path / "a.mp4", [], 10)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="choose another folder"):
        write_video(tmp_path / "nowhere" / "a.mp4", [picture(0, (64, 64))], 10)


@pytest.mark.parametrize(
    ("audio", "vfr", "rotation"),
    [("aac", False, 0), ("aac", False, 90), ("opus", True, 0), (None, False, 0)],
)
def test_drawing_keeps_sound_and_times(
    tmp_path: Path, audio: str | None, vfr: bool, rotation: int
) -> None:
    sound = None if audio is None else Audio(audio, 48_000)
    source = make_video(tmp_path / "a.mp4", 2.0, audio=sound, vfr=vfr, rotation=rotation)
    seen: list[float] = []

    def draw(image: np.ndarray, seconds: float) -> np.ndarray:
        seen.append(seconds)
        return np.full_like(image, 100)

    before, after = read(source), read(copy_with_pictures(source, tmp_path / "b.mp4", draw))
    assert before.frames is not None
    assert after.frames is not None
    np.testing.assert_allclose(seen, before.frames.times, atol=1e-6)
    np.testing.assert_allclose(after.frames.times, before.frames.times, atol=1e-3)
    assert after.frames.images.shape == before.frames.images.shape
    assert seen_level(after.frames.rgb()[3]) == pytest.approx(100, abs=3)
    assert after.end_seconds == pytest.approx(before.end_seconds, abs=1 / 24)
    assert (after.waveform is None) == (audio is None)
    if before.waveform is not None and after.waveform is not None:
        count = min(len(before.waveform.samples), len(after.waveform.samples))
        assert abs(len(before.waveform.samples) - len(after.waveform.samples)) < 20_000 / 24
        np.testing.assert_allclose(
            after.waveform.samples[:count], before.waveform.samples[:count], atol=1e-3
        )


def test_what_cannot_be_drawn_on(tmp_path: Path) -> None:
    source = make_audio(tmp_path / "a.wav")
    with pytest.raises(MediaError, match="has no video track to draw on"):
        copy_with_pictures(source, tmp_path / "b.mp4", lambda image, _: image)
    with pytest.raises(StorageError, match="being read"):
        copy_with_pictures(source, source, lambda image, _: image)
    assert list(tmp_path.iterdir()) == [source]


def test_the_doctor_tries_every_decoder() -> None:
    reports = {report.name: report for report in decoders()}
    assert {"h264", "aac", "flac"} <= set(reports["pyav"].opens)
    assert reports["pyav"].refuses == ()
    if reports["decord"].version is not None:
        assert "h264" in reports["decord"].opens
        assert set(reports["decord"].refuses) <= {"av1"}
