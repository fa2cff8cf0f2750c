"""Videos that are written can be read, keep their times, and appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, Media
from av_tagger.errors import MediaError, StorageError
from av_tagger.media import make_backend
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
        raise RuntimeError("drawing failed")

    with pytest.raises(RuntimeError, match="drawing failed"):
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
    with pytest.raises(StorageError, match="this is the input file"):
        copy_with_pictures(source, source, lambda image, _: image)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("given", "written"), [(20_000, 22_050), (44_100, 44_100), (7_000, 8_000), (192_000, 96_000)]
)
def test_sound_is_written_at_a_rate_that_aac_has(tmp_path: Path, given: int, written: int) -> None:
    images = [picture(t, (32, 32)) for t in frame_times(0.5, 10)]
    path = write_video(tmp_path / "a.mp4", images, 10, tone(0.5, given)[0], given)
    info = make_backend("pyav").probe(path)
    assert info.audio is not None
    assert info.audio.rate == written


def test_empty_sound_writes_no_track(tmp_path: Path) -> None:
    images = [picture(0, (32, 32))]
    path = write_video(tmp_path / "a.mp4", images, 10, np.zeros(0, np.float32), 20_000)
    assert make_backend("pyav").probe(path).audio is None


def test_all_pictures_have_one_size(tmp_path: Path) -> None:
    images = [picture(0, (32, 32)), picture(0.1, (48, 32))]
    with pytest.raises(ValueError, match=r"pictures are uint8 of the first one's shape"):
        write_video(tmp_path / "a.mp4", images, 10)
    with pytest.raises(ValueError, match="float64"):
        write_video(tmp_path / "a.mp4", [images[0].astype(np.float64)], 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "container"), [(".mp4", "mp4"), (".mkv", "matroska"), (".mov", "mov")]
)
def test_the_suffix_chooses_the_container(tmp_path: Path, suffix: str, container: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", [picture(0, (32, 32))], 10)
    assert container in make_backend("pyav").probe(path).container


def test_sound_that_the_container_cannot_hold(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", 0.5, audio=Audio("vorbis", 48_000, 2))
    keep = lambda image, _: image  # noqa: E731
    with pytest.raises(StorageError, match=r"cannot hold vorbis audio; name a \.mkv file instead"):
        copy_with_pictures(source, tmp_path / "b.mov", keep)
    media = read(copy_with_pictures(source, tmp_path / "b.mkv", keep))
    assert media.waveform is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


def test_a_damaged_source_is_copied_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", 4.0, audio=Audio("opus", 48_000))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    media = read(copy_with_pictures(source, tmp_path / "b.mkv", lambda image, _: image))
    assert media.frames is not None
    assert 1.0 < media.end_seconds < 3.5


def test_a_source_without_a_decodable_picture(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", audio=None)
    data = bytearray(source.read_bytes())
    at, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[at:end] = bytes(end - at)
    source.write_bytes(data)
    with pytest.raises(MediaError, match="holds no picture that can be decoded"):
        copy_with_pictures(source, tmp_path / "b.mp4", lambda image, _: image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_an_older_file_is_replaced_only_on_success(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.write_bytes(b"older")
    with pytest.raises(MediaError, match="no picture to write"):
        write_video(target, [], 10)
    assert target.read_bytes() == b"older"
    write_video(target, [picture(0, (32, 32))], 10)
    assert target.read_bytes() != b"older"
    assert oct(target.stat().st_mode & 0o777) == "0o644"
