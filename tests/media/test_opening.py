"""Why a file cannot be opened, in one sentence, and which of its tracks are used."""

from __future__ import annotations

import errno
import os
import struct
import wave
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
from av.stream import Disposition

from av_tagger.clip import Clip
from av_tagger.errors import MediaError
from av_tagger.media import make_backend, opening
from av_tagger.media.opening import (
    Tracks,
    codec_name,
    describe,
    duration_of,
    open_container,
    origin_of,
    pick_tracks,
    top_boxes,
    why_implausible,
    why_unreadable,
)
from av_tagger.media.paths import SNIFF_BYTES, looks_like_text
from av_tagger.protocols import DecodeRequest
from tests.assets import make_audio, make_video


def box(name: str, content: bytes = b"", size: int | None = None) -> bytes:
    """One box of an mp4 file; `size` 1 means a 64-bit size."""
    whole = 8 + len(content)
    if size == 1:
        return struct.pack(">I4sQ", 1, name.encode(), whole + 8) + content
    return struct.pack(">I4s", whole if size is None else size, name.encode()) + content


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = make_audio(tmp_path / "a.wav")
    path.chmod(0)
    with pytest.raises(MediaError, match="check its permissions"):
        open_container(path)


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"#EXTM3U\nhttp://host/a.ts\n", True),
        (("ein Satz mit Umläuten, " * 40).encode(), True),
        (("ein Satz mit Umläuten" * 40).encode()[:SNIFF_BYTES], True),
        ("é".encode()[:1], True),  # the last character may be cut
        (b"caf\xe9 is not utf-8 and then goes on", False),
        (b"RIFF\0\0\0\0WAVE", False),
        (bytes(range(1, 32)) * 4, False),
        (b"", True),
    ],
)
def test_text_is_recognised(head: bytes, text: bool) -> None:
    assert looks_like_text(head) == text


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (box("ftyp", b"isom") + box("mdat", b"x" * 20) + box("moov"), {"ftyp", "mdat", "moov"}),
        (box("ftyp") + box("mdat", b"x" * 20, size=1) + box("moov"), {"ftyp", "mdat", "moov"}),
        (box("ftyp") + box("mdat", b"x" * 20, size=0), {"ftyp", "mdat"}),  # 0: to the end
        (box("ftyp") + box("mdat", size=4000), {"ftyp", "mdat"}),
        (b"\0\0", set()),
        (b"", set()),
    ],
)
def test_the_boxes_of_an_mp4(tmp_path: Path, content: bytes, names: set[str]) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert top_boxes(path) == names


def test_many_boxes_are_not_all_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"".join(box(f"b{n:03d}") for n in range(500)))
    assert len(top_boxes(path, most=64)) == 64


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (box("ftyp") + box("mdat", b"x" * 99), "was never finished"),
        (box("styp") + box("moof") + box("mdat"), "is a fragment without its header"),
        (box("ftyp") + box("moov"), "is not media that can be read"),
        (b"\x89PNG....", "is not media that can be read"),
    ],
)
def test_the_reason_comes_from_the_boxes(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    found, remedy = why_unreadable(path, ValueError("Invalid data found"))
    assert found.startswith(reason)
    assert remedy


def test_an_error_is_described_by_its_own_words() -> None:
    assert describe(OSError(5, "Input/output error", "a.mp4")) == "Input/output error"
    assert describe(ValueError("two\n  lines")) == "two lines"
    assert describe(ValueError()) == "ValueError"


def test_memory_and_permission_have_their_own_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_audio(tmp_path / "a.wav")
    for error, words in (
        (MemoryError(), "needs more memory than there is to be opened"),
        (PermissionError(13, "Permission denied"), "may not be read; check its permissions"),
        (av.error.InvalidDataError(1, "Invalid data"), "is not media that can be read"),
    ):

        def refuse(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(opening.av, "open", refuse)
        with pytest.raises(MediaError, match=words):
            open_container(path)


def track(index: int, codec: object = True, disposition: Disposition | None = None) -> Any:
    return SimpleNamespace(
        index=index, codec_context=codec, disposition=disposition or Disposition(0)
    )


def container(audio: list[Any], video: list[Any]) -> Any:
    return SimpleNamespace(streams=SimpleNamespace(audio=audio, video=video))


def test_the_default_track_is_used_else_the_first() -> None:
    plain, default = track(0), track(1, disposition=Disposition.default)
    assert pick_tracks(container([plain, default], [])).audio is default
    assert pick_tracks(container([plain, track(1)], [])).audio is plain
    assert pick_tracks(container([], [])) == Tracks(None, None, ())


def test_a_track_without_a_decoder_is_left_out_with_a_note() -> None:
    tracks = pick_tracks(container([track(0, None)], [track(1, None), track(2)]))
    assert tracks.audio is None
    assert tracks.video.index == 2  # type: ignore[union-attr]
    assert tracks.notes == ("the audio track was left out: this decoder does not know its codec",)


def test_cover_art_is_no_video() -> None:
    cover = track(0, disposition=Disposition.attached_pic)
    thumbnails = track(1, disposition=Disposition.timed_thumbnails)
    assert pick_tracks(container([], [cover, thumbnails])).video is None


@pytest.mark.parametrize(("duration", "seconds"), [(None, None), (-5, None), (0, None)])
def test_impossible_durations_are_unknown(duration: int | None, seconds: None) -> None:
    assert duration_of(SimpleNamespace(duration=duration)) is seconds


def test_a_duration_is_in_seconds() -> None:
    assert duration_of(SimpleNamespace(duration=2_500_000)) == 2.5


@pytest.mark.parametrize(
    ("container_start", "video_start", "origin"),
    [
        (None, None, 0.0),
        (2_000_000, 2000, 2.0),  # a recording that starts at 2 s
        (-21_333, 0, 0.0),  # priming samples of AAC
        (-500_000, -500, -0.5),  # pictures before 0 are shown
    ],
)
def test_second_0_is_where_players_start(
    container_start: int | None, video_start: int | None, origin: float
) -> None:
    video = SimpleNamespace(start_time=video_start, time_base=Fraction(1, 1000))
    found = origin_of(SimpleNamespace(start_time=container_start), Tracks(None, video))
    assert found == origin
    without = origin_of(SimpleNamespace(start_time=container_start), Tracks(None, None))
    assert without == max(0.0, origin)


def test_real_files_are_opened_and_their_codecs_named(tmp_path: Path) -> None:
    with open_container(make_video(tmp_path / "a.mkv", 0.3)) as opened:
        tracks = pick_tracks(opened)
        assert codec_name(tracks.video) == "h264"
        assert codec_name(tracks.audio) == "aac"
    assert codec_name(SimpleNamespace(codec_context=None)) == "unknown codec"


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1, 10**12])
def test_absurd_box_sizes_end_the_search(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(box("ftyp", b"isom") + struct.pack(">I4sQ", 1, b"free", size) + bytes(99))
    assert top_boxes(path) == {"ftyp", "free"}
    with pytest.raises(MediaError, match=r"is not media that can be read|was never finished"):
        open_container(path)


def test_a_broken_file_is_not_called_busy() -> None:
    assert (
        describe(OSError(errno.EBUSY, os.strerror(errno.EBUSY)))
        == "its headers contradict each other"
    )


def test_an_encrypted_file_is_called_encrypted(tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.mp4", 1.0).read_bytes()
    index = data.rfind(b"moov")
    path = tmp_path / "b.mp4"
    path.write_bytes(data[:index] + data[index:].replace(b"mp4a", b"enca"))
    with open_container(path) as container:
        tracks = pick_tracks(container)
    assert tracks.notes == ("the audio track was left out: it is encrypted",)
    assert tracks.video is not None


def test_a_codec_whose_tag_is_no_text(tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.mp4", 1.0).read_bytes()
    index = data.rfind(b"moov")
    path = tmp_path / "b.mp4"
    path.write_bytes(data[:index] + data[index:].replace(b"mp4a", b"\x80p4a"))
    with open_container(path) as container:
        assert pick_tracks(container).video is not None


@pytest.mark.parametrize(("channels", "planar", "most"), [(1000, False, 512), (65, True, 64)])
def test_a_thousand_channels_are_called_so(channels: int, planar: bool, most: int) -> None:
    codec = SimpleNamespace(channels=channels, format=SimpleNamespace(is_planar=planar))
    assert why_implausible(codec) == f"it has {channels} channels; expected at most {most}"
    codec.channels = most
    assert why_implausible(codec) == ""


def test_a_file_of_a_thousand_channels_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1000, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 1000 * 100))
    with pytest.raises(MediaError, match=r"pcm_s16le; .* no number of channels from 1 to 512"):
        list(make_backend("pyav").windows(Clip(path), DecodeRequest()))
