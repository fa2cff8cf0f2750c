"""Packets of a source: remembered in bounded memory, and written again as they came."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.errors import MediaError
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.outputs.keep import KeepSettings, KeptClips
from av_tagger.live.packets import PacketBuffer, remuxed
from av_tagger.live.sources import SourceSettings, make_source
from av_tagger.live.sources.base import Recorded, SoundBlock, StreamPacket, StreamTracks
from av_tagger.live.templates import TrackTemplates
from av_tagger.protocols import DecodeRequest
from tests.assets import Audio, can_encode, make_audio, make_video
from tests.live.rtsp import RtspServer

RATE = 16_000
REQUEST = DecodeRequest(audio_rate=RATE, short_side=None)


def items_of(path: Path | str) -> list[Recorded]:
    source = make_source(str(path), SourceSettings(pace="fast", packets=True))
    return [i for i in source.items(REQUEST) if isinstance(i, Recorded)]


def kept(
    items: list[Recorded], folder: Path, *, mute: bool = False, event: tuple[float, float]
) -> list[LiveLine]:
    """The lines of a run in which one event is told when the stream has passed it by 1 s."""
    output = KeptClips(KeepSettings(folder, 1.0, 1.0, 1 << 30, mute), RATE)
    return list(_lines(output, items, *event))


def _lines(
    output: KeptClips, items: list[Recorded], start: float, end: float
) -> Iterator[LiveLine]:
    told = False
    for item in items:
        yield from output.record(item)
        if not told and isinstance(item, SoundBlock) and item.seconds > end + 1.0:
            told = True
            for number, label in ((1, "Speech"), (2, "Siren")):
                output.take(LiveLine(LineKind.OPEN, start, label=label, number=number))
                output.take(LiveLine(LineKind.CLOSE, start, end, label, number=number))
    yield from output.settle()
    output.close()


def packets_of(path: Path | str, kind: str) -> list[bytes]:
    with av.open(str(path)) as file:
        stream = next(s for s in file.streams if s.type == kind)
        return [bytes(p) for p in file.demux(stream) if p.size]


def the_clip(lines: list[LiveLine], suffix: str) -> tuple[LiveLine, Path]:
    line = next(x for x in lines if x.kind is LineKind.KEPT and x.label == "Siren")
    path = Path(line.text)
    assert path.suffix == suffix
    return line, path


def pictures(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        resampler = av.AudioResampler("flt", "mono", RATE)
        frames = [part for f in file.decode(audio=0) for part in resampler.resample(f)]
        return np.concatenate([f.to_ndarray()[0] for f in frames])


@pytest.mark.parametrize(
    ("name", "codec", "audio", "suffix"),
    [
        ("a.mp4", "h264", "aac", ".mp4"),
        ("a.mkv", "h264", "opus", ".mp4"),
        ("a.mkv", "vp9", "opus", ".mkv"),
        ("a.ts", "h264", "aac", ".mp4"),
    ],
)
def test_the_packets_of_a_film_are_kept_as_they_came(
    name: str, codec: str, audio: str, suffix: str, tmp_path: Path
) -> None:
    if not (can_encode(codec) and can_encode(audio)):
        pytest.skip("this PyAV has no encoder for it")
    film = make_video(tmp_path / name, 12.0, 24, (96, 64), codec, Audio(audio, 48_000))
    line, path = the_clip(kept(items_of(film), tmp_path / "kept", event=(6.0, 7.0)), suffix)
    assert line.start <= 5.0
    assert line.end == 8.0
    mine, theirs = packets_of(path, "video"), packets_of(film, "video")
    if name == "a.mp4":  # in other containers the same pictures are laid out differently
        first = theirs.index(mine[0])
        assert mine == theirs[first : first + len(mine)]
    with av.open(str(path)) as file:
        packet = next(p for p in file.demux(video=0) if p.size)
        assert packet.is_keyframe
    expected = (8.0 - line.start) * 24
    assert pictures(path) == pytest.approx(expected, abs=3)
    heard = sound(path)
    assert len(heard) / RATE == pytest.approx(8.0 - line.start, abs=0.2)
    assert np.sqrt(np.mean(heard[RATE:-RATE] ** 2)) == pytest.approx(0.354, abs=0.03)


@pytest.mark.parametrize(
    ("name", "audio", "suffix"),
    [("a.wav", "pcm", ".wav"), ("a.m4a", "aac", ".m4a"), ("a.flac", "flac", ".mka")],
)
def test_the_packets_of_a_sound_file_are_kept_as_they_came(
    name: str, audio: str, suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    make_audio(file, 12.0, Audio(audio, 48_000))
    line, path = the_clip(kept(items_of(file), tmp_path / "kept", event=(6.0, 7.0)), suffix)
    mine, theirs = packets_of(path, "audio"), packets_of(file, "audio")
    assert b"".join(mine) in b"".join(theirs)
    assert len(sound(path)) / RATE == pytest.approx(3.0, abs=0.15)
    assert line.start == pytest.approx(5.0, abs=0.1)


def test_the_sound_of_an_rtsp_camera_is_kept_as_it_came(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000 * 6) / 8000)
    with RtspServer(tone, pace=0.05) as server:
        items = items_of(server.url)
    _, path = the_clip(kept(items, tmp_path / "kept", event=(2.0, 3.0)), ".wav")
    with av.open(str(path)) as file:
        assert file.streams.audio[0].codec_context.name == "pcm_mulaw"
    assert len(sound(path)) / RATE == pytest.approx(3.0, abs=0.1)


def test_speech_is_silenced_and_pictures_stay(tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mp4", 12.0, 24, (96, 64), "h264", Audio("aac", 48_000))
    lines = kept(items_of(film), tmp_path / "kept", mute=True, event=(6.0, 7.0))
    line, path = the_clip(lines, ".mkv")
    assert pictures(path) == pytest.approx((8.0 - line.start) * 24, abs=3)
    heard, at = sound(path), lambda seconds: round((seconds - line.start) * RATE)
    assert np.abs(heard[at(5.7) : at(7.3)]).max() < 0.01
    assert np.sqrt(np.mean(heard[: at(5.3)] ** 2)) == pytest.approx(0.354, abs=0.03)
    assert np.sqrt(np.mean(heard[at(7.6) : at(7.9)] ** 2)) == pytest.approx(0.354, abs=0.03)


def test_sound_alone_with_speech_silenced_is_a_wav(tmp_path: Path) -> None:
    file = tmp_path / "a.m4a"
    make_audio(file, 12.0, Audio("aac", 48_000))
    lines = kept(items_of(file), tmp_path / "kept", mute=True, event=(6.0, 7.0))
    _, path = the_clip(lines, ".wav")
    assert not sound(path)[int(0.6 * RATE) : int(2.4 * RATE)].any()


def test_packets_that_no_container_takes_become_a_wav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> bytes:
        raise MediaError("the clip", "cannot be written as .mp4 (no such codec)")

    monkeypatch.setattr("av_tagger.live.outputs.keep.remuxed", refused)
    film = make_video(tmp_path / "a.mp4", 12.0, audio=Audio("aac", 48_000))
    lines = kept(items_of(film), tmp_path / "kept", event=(6.0, 7.0))
    notes = [x.text for x in lines if x.kind is LineKind.NOTE]
    assert "cannot be written as .mp4 (no such codec)" in notes[0]
    assert notes[0].endswith("its sound is kept as WAV")
    the_clip(lines, ".wav")


# The buffer.


class Tracks:
    """Templates of pictures and sound, without a container."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self.has_pictures = "video" in kinds


def buffer(*kinds: str, most: int = 1 << 20) -> PacketBuffer:
    return PacketBuffer(Tracks(*kinds), most)  # type: ignore[arg-type]


def film_packets(seconds: int, key_every: int = 2) -> Iterator[StreamPacket]:
    """Ten pictures and ten blocks of sound per second."""
    for n in range(seconds * 10):
        t = n / 10
        yield StreamPacket(0, b"p" * 10, t, t, 0.1, n % (10 * key_every) == 0)
        yield StreamPacket(1, b"s", t, t, 0.1, True)


def test_a_clip_begins_with_the_key_frame_before_its_start() -> None:
    packets = buffer("video", "audio")
    for packet in film_packets(20):
        packets.add(packet)
    found = packets.clip(7.3, 9.0)
    assert (found[0].seconds, found[0].key, found[0].track) == (6.0, True, 0)
    assert {p.seconds for p in found if p.track == 1} == {n / 10 for n in range(60, 90)}
    assert max(p.seconds for p in found) == pytest.approx(8.9)
    assert packets.clip(-3.0, 1.0)[0].seconds == 0.0
    assert buffer("video").clip(0.0, 1.0) == []


def test_the_buffer_forgets_up_to_a_key_frame_and_is_bounded() -> None:
    packets = buffer("video", "audio", most=5000)
    for packet in film_packets(100):
        packets.add(packet)
        packets.drop_before(packet.decoded - 5.0)
        assert packets.bytes <= 5000
    assert packets.clip(95.5, 99.0)[0].seconds == 94.0
    assert packets.bytes <= 8 * 110
    full = buffer("video", "audio", most=1000)
    for packet in film_packets(100):
        full.add(packet)
        assert full.bytes <= 1000
    alone = buffer("audio")
    for packet in film_packets(100):
        if packet.track == 1:
            alone.add(StreamPacket(0, packet.data, packet.seconds, packet.decoded, 0.1, True))
            alone.drop_before(packet.decoded - 5.0)
    assert alone.bytes == pytest.approx(50, abs=2)


def test_one_track_is_not_waited_for_long() -> None:
    packets = buffer("video", "audio")
    assert packets.reached == -np.inf
    packets.add(StreamPacket(0, b"", 5.0, 5.0, 0.1, True))
    assert packets.reached == 3.0
    packets.add(StreamPacket(1, b"", 4.5, 4.5, 0.1, True))
    assert packets.reached == 4.5
    assert buffer().reached == np.inf


def test_templates_outlive_their_source(tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mp4", 2.0)
    tracks, *rest = items_of(film)  # the source is closed
    assert isinstance(tracks, StreamTracks)
    packets = [p for p in rest if isinstance(p, StreamPacket)]
    data = remuxed(tracks.tracks, packets, ".mkv")
    with av.open(io.BytesIO(data)) as file:
        assert sum(1 for _ in file.decode(video=0)) == 48


def test_a_container_that_cannot_hold_the_codec_is_an_error(tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mp4", 1.0)
    tracks, *rest = items_of(film)
    assert isinstance(tracks, StreamTracks)
    packets = [p for p in rest if isinstance(p, StreamPacket)]
    with pytest.raises(MediaError, match=r"cannot be written as \.wav"):
        remuxed(tracks.tracks, packets, ".wav")


def test_raw_pictures_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "raw.mkv"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for n in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), n, np.uint8), format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    with av.open(str(path)) as source:
        tracks = TrackTemplates(source.streams.video)
    assert (tracks.kinds, tracks.places, tracks.has_pictures) == ([], {}, False)
