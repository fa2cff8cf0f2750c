"""Missing, empty, foreign, cut and damaged files: a clear error, or a partial result and a note."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, Media
from av_tagger.errors import AvTaggerError, MediaError
from av_tagger.media import close_decoders, open_media
from av_tagger.protocols import DecodeRequest
from tests.assets import Audio, make_audio, make_video


@pytest.fixture(autouse=True, scope="module")
def no_processes_left() -> Iterator[None]:
    yield
    close_decoders()


def read(path: Path, limit: float = 30.0) -> list[Media]:
    return list(open_media(Clip(path), DecodeRequest(short_side=64), limit_seconds=limit))


def complaint(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_each_mistake_has_its_own_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("This is no film.\n" * 40)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    whole = make_video(tmp_path / "a.mp4")
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:3000])
    said = [
        complaint(tmp_path / name)
        for name in ("nowhere.mp4", "", "empty.mp4", "text.mp4", "noise.mp4", "cut.mp4")
    ]
    words = [
        "no such file",
        "is a folder",
        "is empty",
        "is text",
        "is not media that can be read",
        "the moov box",
    ]
    for sentence, word in zip(said, words, strict=True):
        assert word in sentence
        assert "; " in sentence, "a remedy follows"
    assert len(set(said)) == len(said)


def test_the_codec_is_named_when_nothing_can_be_decoded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", audio=None)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[at:end] = bytes(end - at)
    path.write_bytes(data)
    said = complaint(path)
    assert "h264" in said
    assert "holds nothing that can be decoded" in said


def test_a_truncated_file_gives_what_is_there(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", 8.0, audio=Audio("opus", 48_000))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    (media,) = read(path)
    assert media.frames is not None
    assert media.waveform is not None
    assert 2.0 < media.end_seconds < 6.0
    assert any("breaks off" in note for note in media.notes)


def test_damage_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    path = make_audio(tmp_path / "a.mp3", 4.0, "mp3")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = np.random.default_rng(1).bytes(1500)
    path.write_bytes(data)
    (media,) = read(path)
    assert any("damaged packets in the audio track (mp3)" in note for note in media.notes)
    assert media.waveform is not None
    assert media.waveform.duration_seconds > 3.5
    assert np.isfinite(media.waveform.samples).all()


def odd_files(shared: Path) -> list[Path]:
    files = sorted((shared / "data" / "media" / "odd").iterdir())
    assert len(files) > 100
    return files


def try_all(files: list[Path], backend: str) -> dict[str, str]:
    """What happened to each file; anything but windows and our own errors is raised."""
    found = {}
    for path in files:
        try:
            windows = sum(
                1
                for _ in open_media(
                    Clip(path), DecodeRequest(short_side=64), backend=backend, limit_seconds=20
                )
            )
            found[path.name] = f"{windows} windows"
        except AvTaggerError as error:
            found[path.name] = (
                "refused"
                if str(error).startswith(f"{path}: ")
                else f"refused without its name: {error}"
            )
    assert set(found.values()) - {"refused"} == {
        what for what in found.values() if what.endswith(" windows")
    }
    return found


@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_a_spread_of_odd_files(shared: Path, backend: str) -> None:
    found = try_all(odd_files(shared)[::7], backend)
    assert sum("windows" in what for what in found.values()) > len(found) / 2


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_all_odd_files(shared: Path, backend: str) -> None:
    found = try_all(odd_files(shared), backend)
    assert sum("windows" in what for what in found.values()) >= 230


def test_real_videos_open(shared: Path) -> None:
    files = sorted((shared / "data" / "media" / "videos").iterdir())
    assert len(files) == 35
    for path in files:
        request = DecodeRequest(short_side=64, frame_rate=1.0)
        media = next(iter(open_media(Clip(path, 0.0, 2.0), request, limit_seconds=60)))
        assert media.frames is not None, path.name
        assert media.waveform is not None, path.name


@pytest.mark.slow
def test_real_videos_are_read_whole(shared: Path) -> None:
    for path in sorted((shared / "data" / "media" / "videos").iterdir()):
        assert all(
            not m.notes for m in open_media(Clip(path), DecodeRequest(), limit_seconds=120)
        ), path.name
