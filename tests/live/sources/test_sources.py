"""Sources: files, pipes, RTSP and HTTP on this machine, and what goes wrong with them."""

from __future__ import annotations

import contextlib
import http.server
import io
import itertools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.clip import Clip, Samples
from av_tagger.errors import MediaError, UsageError
from av_tagger.live.buffers import TimedImage
from av_tagger.live.sources import SourceSettings, make_source, reopen
from av_tagger.live.sources.base import (
    SoundBlock,
    StreamBroken,
    StreamItem,
    StreamOpened,
    StreamSource,
)
from av_tagger.live.sources.container import ContainerSource, LiveClock, shown
from av_tagger.live.sources.pcm import PcmSource
from av_tagger.live.sources.reopen import ReopenSettings, reopened
from av_tagger.media import make_backend
from av_tagger.protocols import DecodeRequest
from tests.assets import Audio, make_audio, make_video
from tests.live.rtsp import RATE, RtspServer
from tests.ports import closed_port, own_port
from tests.waiting import LIMIT, until

REQUEST = DecodeRequest(audio_rate=16_000, short_side=None)
FAST = SourceSettings(pace="fast")


def sound_of(items: Iterator[StreamItem] | list[StreamItem]) -> Samples:
    return np.concatenate([i.samples for i in items if isinstance(i, SoundBlock)])


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    make_audio(path, 3.0, Audio("pcm"))
    return path


def test_a_file_gives_the_samples_of_the_decoder(wav: Path) -> None:
    items = list(make_source(str(wav), FAST).items(REQUEST))
    assert items[0] == StreamOpened(sound=True, pictures=False)
    (media,) = make_backend("pyav").windows(Clip(wav), REQUEST)
    assert media.waveform is not None
    np.testing.assert_array_equal(sound_of(items), media.waveform.samples)
    assert items[1].seconds == 0.0  # type: ignore[union-attr]


def test_a_video_gives_sound_and_frames(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, 3.0)
    request = DecodeRequest(audio_rate=16_000, short_side=64, frame_rate=2.0)
    items = list(make_source(str(path), FAST).items(request))
    assert items[0] == StreamOpened(sound=True, pictures=True)
    frames = [i for i in items if isinstance(i, TimedImage)]
    assert [round(f.seconds * 2) for f in frames] == list(range(6))
    assert len(sound_of(items)) / 16_000 == pytest.approx(3.0, abs=0.05)


def test_the_real_pace_waits(wav: Path) -> None:
    slept: list[float] = []
    source = ContainerSource(str(wav), live=False, paced=True, sleep=slept.append)
    assert len(sound_of(source.items(REQUEST))) == 48_000
    assert max(slept) > 2.0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("s16le", np.array([0, 16384, -32768], "<i2")),
        ("s32le", np.array([0, 2**30, -(2**31)], "<i4")),
        ("f32le", np.array([0.0, 0.5, -1.0], "<f4")),
        ("u8", np.array([128, 192, 0], "u1")),
    ],
)
def test_raw_pcm(name: str, values: np.ndarray) -> None:
    source = PcmSource(io.BytesIO(values.tobytes()), 16_000, name)
    np.testing.assert_allclose(sound_of(source.items(REQUEST)), [0.0, 0.5, -1.0])


def test_raw_pcm_of_two_channels_in_odd_blocks() -> None:
    values = np.arange(2000, dtype="<i2").reshape(-1, 2)

    class Dribble(io.RawIOBase):
        data = values.tobytes()

        def read1(self, _: int) -> bytes:
            part, self.data = self.data[:37], self.data[37:]
            return part

    heard = sound_of(PcmSource(Dribble(), 16_000, "s16le", 2).items(REQUEST))  # type: ignore[arg-type]
    np.testing.assert_allclose(heard, values.mean(axis=1) / 32768, atol=1e-6)


def test_raw_pcm_is_resampled_to_the_exact_length() -> None:
    data = np.zeros(44_100, "<i2").tobytes()
    assert len(sound_of(PcmSource(io.BytesIO(data), 44_100).items(REQUEST))) == 16_000


def test_a_container_on_standard_input(wav: Path) -> None:
    with wav.open("rb") as file:
        items = list(make_source("-", FAST, lambda: file).items(REQUEST))
    named = make_source(str(wav), FAST)
    np.testing.assert_array_equal(sound_of(items), sound_of(named.items(REQUEST)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "there is no such file"),
        ("gopher://host/x", "known: rtsp"),
    ],
)
def test_names_that_are_no_source(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_source(name, FAST)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="one of s16le"):
        SourceSettings(format="mp3")
    with pytest.raises(ValueError, match="real or fast"):
        SourceSettings(pace="slow")  # type: ignore[arg-type]


def test_passwords_are_not_shown() -> None:
    assert shown("rtsp://admin:secret@host:554/x") == "rtsp://host:554/x"


# Network streams on this machine.


def tone(seconds: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)


def test_rtsp() -> None:
    with RtspServer(tone(2.0), pace=0.1) as server:
        items = list(make_source(server.url, FAST).items(REQUEST))
    assert items[0] == StreamOpened(sound=True, pictures=False)
    heard = sound_of(items)
    assert len(heard) / 16_000 == pytest.approx(2.0, abs=0.15)
    assert np.sqrt(np.mean(heard[1600:-1600] ** 2)) == pytest.approx(0.354, abs=0.02)


def test_an_rtsp_server_that_breaks_off_is_opened_again() -> None:
    pauses: list[float] = []
    settings = ReopenSettings(sleep=pauses.append)
    with RtspServer(tone(1.0), drop_after=(0.3, 0.5), pace=0.1) as server:
        items = []
        for item in reopened(make_source(server.url, FAST), REQUEST, settings):
            items.append(item)
            if isinstance(item, StreamBroken) and len(pauses) == 2:
                break
    assert sum(isinstance(i, StreamOpened) for i in items) == 3
    assert pauses[:2] == [1.0, 1.0]
    broken = [i.text for i in items if isinstance(i, StreamBroken)]
    assert all(server.url in text for text in broken)


def test_access_that_is_refused() -> None:
    with RtspServer(tone(1.0), refuse=True) as server:
        url = server.url.replace("//", "//me:wrong@")
        with pytest.raises(MediaError, match=r"refuses access; give user and password") as error:
            list(reopened(make_source(url, FAST), REQUEST))
    assert "wrong" not in str(error.value)


def test_a_server_that_is_not_there() -> None:
    with closed_port() as port, pytest.raises(MediaError, match="cannot be opened"):
        list(reopened(make_source(f"rtsp://127.0.0.1:{port}/x", FAST), REQUEST))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_http_stream_of_ffmpeg(wav: Path) -> None:
    url = f"http://127.0.0.1:{own_port()}/live.ts"
    words = ["ffmpeg", "-v", "error", "-i", str(wav), "-c:a", "mp2", "-f", "mpegts"]
    with subprocess.Popen([*words, "-listen", "1", url]) as server:
        items = _retried(url, server)
        server.wait(LIMIT)
    assert len(sound_of(items)) / 16_000 == pytest.approx(3.0, abs=0.2)


def _retried(url: str, server: subprocess.Popen[bytes]) -> list[StreamItem]:
    """Once the server listens."""
    items: list[StreamItem] = []

    def received() -> bool:
        assert server.poll() is None, "the server has ended"
        with contextlib.suppress(MediaError):
            items.extend(make_source(url, FAST).items(REQUEST))
        return bool(items)

    until(received, "the server listens")
    return items


class LivePlaylist(http.server.SimpleHTTPRequestHandler):
    """Serves the segments of a folder; the playlist grows by one with each request for it."""

    asked = 0

    def do_GET(self) -> None:
        if not self.path.endswith(".m3u8"):
            super().do_GET()
            return
        type(self).asked += 1
        text = (Path(self.directory) / "live.m3u8").read_text()
        head, *parts = text.replace("#EXT-X-ENDLIST\n", "").split("#EXTINF")
        shown = parts[: 2 + self.asked]
        body = "#EXTINF".join([head, *shown]) + "#EXT-X-ENDLIST\n" * (len(shown) == len(parts))
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.apple.mpegurl")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_live_hls_stream(tmp_path: Path) -> None:
    sound = tmp_path / "tone.wav"
    make_audio(sound, 5.0, Audio("pcm"))
    words = ["ffmpeg", "-v", "error", "-i", str(sound), "-c:a", "aac", "-f", "hls"]
    words += ["-hls_time", "1", "-hls_list_size", "0", str(tmp_path / "live.m3u8")]
    subprocess.run(words, check=True, timeout=60)
    LivePlaylist.asked = 0
    handler = partial(LivePlaylist, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/live.m3u8"
            items = list(make_source(url, FAST).items(REQUEST))
        finally:
            server.shutdown()
            thread.join()
    heard = sound_of(items)
    assert LivePlaylist.asked > 1, "the playlist was not read again"
    assert len(heard) / 16_000 == pytest.approx(5.0, abs=0.2)
    assert np.sqrt(np.mean(heard[1600:-4800] ** 2)) == pytest.approx(0.354, abs=0.02)


# Streams that are not as they should be.


def test_a_stream_without_sound(tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mp4", 2.0, audio=None)
    request = DecodeRequest(audio_rate=16_000, short_side=64, frame_rate=2.0)
    items = list(make_source(str(film), FAST).items(request))
    assert items[0] == StreamOpened(sound=False, pictures=True)
    assert sum(isinstance(i, TimedImage) for i in items) == 4
    with pytest.raises(MediaError, match="has no track that can be used"):
        list(make_source(str(film), FAST).items(REQUEST))


def test_a_variable_frame_rate(tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mkv", 4.0, vfr=True)
    request = DecodeRequest(audio_rate=16_000, short_side=64, frame_rate=None)
    source = ContainerSource(str(film), live=True)
    live = [i.seconds for i in source.items(request) if isinstance(i, TimedImage)]
    (media,) = make_backend("pyav").windows(Clip(film), request)
    assert media.frames is not None
    assert live == pytest.approx(media.frames.times.tolist(), abs=1e-6)
    assert len({round(b - a, 3) for a, b in itertools.pairwise(live)}) > 1


def test_a_camera_that_sends_nothing() -> None:
    settings = ReopenSettings(stall_seconds=0.5)
    with RtspServer(tone(1.0), silent=True) as server:
        source = make_source(server.url, FAST)
        with pytest.raises(MediaError, match=r"has sent nothing for 0\.5 s; check it"):
            list(reopened(source, REQUEST, settings))


def test_a_time_stamp_that_jumps_ahead_by_an_hour(tmp_path: Path) -> None:
    for name, start in (("a.ts", 0.0), ("b.ts", 3600.0)):
        make_video(tmp_path / name, 2.0, start=start)
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join((tmp_path / n).read_bytes() for n in ("a.ts", "b.ts")))
    items = list(ContainerSource(str(both), live=True).items(REQUEST))
    blocks = [i for i in items if isinstance(i, SoundBlock)]
    assert len(sound_of(items)) / 16_000 == pytest.approx(4.0, abs=0.3)
    assert blocks[-1].seconds < 4.5


# Sources that hang or fail.


class Scripted:
    """A live source that does one thing after another, one per opening.

    `hangs` is set when it has sent what it sends, and hangs.
    """

    name, live = "scripted", True

    def __init__(self, *scripts: object) -> None:
        self.scripts = list(scripts)
        self.hangs = threading.Event()

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        script = self.scripts.pop(0)
        if isinstance(script, Exception):
            raise script
        yield StreamOpened(sound=True, pictures=False)
        yield SoundBlock(np.zeros(10, np.float32), 0.0)
        if script == "hang":
            self.hangs.set()
            threading.Event().wait(5)


def events_of(source: StreamSource, settings: ReopenSettings) -> list[StreamItem]:
    return list(reopened(source, REQUEST, settings))


def test_pauses_grow_while_a_source_is_away_and_start_again_when_it_is_back() -> None:
    pauses: list[float] = []
    away = MediaError("scripted", "is away")
    source = Scripted("ends", away, away, away, "ends", away, away, away, away)
    settings = ReopenSettings(sleep=pauses.append, longest_pause=3.0, most_failures=4)
    items = events_of(source, settings)
    assert pauses == [1.0, 2.0, 3.0, 3.0, 1.0, 2.0, 3.0, 3.0]
    assert [i.text for i in items if isinstance(i, StreamBroken)][:2] == [
        "scripted: has ended",
        "scripted: is away",
    ]


def test_an_error_before_the_first_sound_is_raised() -> None:
    with pytest.raises(MediaError, match="is away"):
        events_of(Scripted(MediaError("scripted", "is away")), ReopenSettings())


def test_a_source_that_sends_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sent(reopen.ReadAhead):
        """Is read when the source has sent all it will: its thread may start late."""

        def __iter__(self) -> Iterator[StreamItem]:
            assert source.hangs.wait(LIMIT)
            return super().__iter__()

    monkeypatch.setattr(reopen, "ReadAhead", Sent)
    settings = ReopenSettings(stall_seconds=0.2, sleep=lambda _: None, most_failures=1)
    away = MediaError("scripted", "is away")
    source = Scripted("hang", away, away)
    items = events_of(source, settings)
    broken = [i.text for i in items if isinstance(i, StreamBroken)]
    assert broken[:1] == ["scripted: has sent nothing for 0.2 s; check it"]


def test_clocks_that_jump() -> None:
    now = [0.0]
    clock = LiveClock(None, 0.0, now=lambda: now[0])
    clock.last = clock.tick(0.0, 0.0, back=0.1)
    now[0] = 1.0
    clock.last = clock.tick(1.0, 0.02, back=0.1)
    assert clock.last == 1.0
    now[0] = 1.1
    clock.last = clock.tick(3601.1, 1.1, back=0.1)  # an hour ahead, after 0.1 s
    assert clock.last == pytest.approx(1.1)
    now[0] = 1.2
    clock.last = clock.tick(3601.2, 1.2, back=0.1)
    assert clock.last == pytest.approx(1.2)
    now[0] = 5.2
    assert clock.tick(3605.2, 1.3, back=0.1) == pytest.approx(5.2)  # four seconds were lost
    assert clock.repaired == 1
