"""Microphones and cameras, by stand-ins for PortAudio and FFmpeg's devices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Self, TypeVar

import numpy as np
import pytest

from av_tagger.clip import Samples
from av_tagger.errors import MediaError, UsageError
from av_tagger.live.buffers import TimedImage
from av_tagger.live.sources import SourceSettings, devices, make_source, paired
from av_tagger.live.sources.base import (
    PicturesPassed,
    SoundBlock,
    StreamItem,
    StreamLost,
    StreamOpened,
)
from av_tagger.live.sources.devices import BlockQueue, MicrophoneSource, device_lines
from av_tagger.live.sources.paired import PairedSource
from av_tagger.protocols import DecodeRequest
from tests.waiting import LIMIT

T = TypeVar("T")

RATE = 1000
REQUEST = DecodeRequest(audio_rate=RATE, short_side=None)
BLOCK = int(RATE * devices.BLOCK_SECONDS)


class PortAudioError(Exception):
    """As sounddevice names its errors."""


class FakePortAudio:
    """`sounddevice` with one stream, whose blocks a test delivers itself."""

    PortAudioError = PortAudioError

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.opened: dict[str, Any] = {}
        self.closed = False

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {"name": "Loudspeaker", "max_input_channels": 0},
            {"name": "USB microphone", "max_input_channels": 2},
        ]

    def InputStream(self, **values: Any) -> Self:
        if self.error is not None:
            raise self.error
        self.opened = values
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def deliver(self, level: float) -> None:
        block = np.full((BLOCK, 1), level, np.float32)
        self.opened["callback"](block, BLOCK, None, None)


def microphone(portaudio: FakePortAudio, blocks: int = 400) -> MicrophoneSource:
    return MicrophoneSource("mic:1", "1", portaudio, queue_blocks=blocks)


def test_a_microphone_gives_its_blocks_with_their_times() -> None:
    portaudio = FakePortAudio()
    items = microphone(portaudio).items(REQUEST)
    assert next(items) == StreamOpened(sound=True, pictures=False)
    wanted = {k: portaudio.opened[k] for k in ("samplerate", "channels", "device", "blocksize")}
    assert wanted == {"samplerate": RATE, "channels": 1, "device": 1, "blocksize": BLOCK}
    for n in range(3):
        portaudio.deliver(n / 10)
        block = next(items)
        assert isinstance(block, SoundBlock)
        assert (block.seconds, block.samples[0]) == (n * 0.05, np.float32(n / 10))
    items.close()  # type: ignore[attr-defined]
    assert portaudio.closed


def test_sound_that_a_slow_machine_drops_is_a_gap_and_later_times_count_it() -> None:
    portaudio = FakePortAudio()
    items = microphone(portaudio, blocks=4).items(REQUEST)
    next(items)
    for n in range(7):  # three too many
        portaudio.deliver(n / 10)
    kept = [next(items) for _ in range(4)]
    portaudio.deliver(0.9)
    lost, after = next(items), next(items)
    assert [b.seconds for b in kept if isinstance(b, SoundBlock)] == [0.0, 0.05, 0.1, 0.15]
    assert lost == StreamLost(3 * BLOCK / RATE, f"mic:1: {devices.TOO_SLOW}")
    assert isinstance(after, SoundBlock)
    assert (after.seconds, after.samples[0]) == (7 * BLOCK / RATE, np.float32(0.9))


def test_a_queue_counts_every_sample() -> None:
    blocks, rng = BlockQueue(3), np.random.default_rng(0)
    sent, got = 0, 0

    def length(item: Samples | int) -> int:
        return item if isinstance(item, int) else len(item)

    for size in rng.integers(1, 9, 200).tolist():
        blocks.put(np.zeros(size, np.float32))
        sent += size
        if rng.random() < 0.4:
            got += length(blocks.get(0))
    while blocks._blocks.qsize():
        got += length(blocks.get(0))
    assert got + blocks._lost == sent
    assert got > 0


@pytest.mark.parametrize(
    "error", [PortAudioError("Device unavailable [PaErrorCode -9985]"), ValueError("No device 1")]
)
def test_no_microphone_and_a_busy_one_are_one_sentence(error: Exception) -> None:
    source = microphone(FakePortAudio(error))
    with pytest.raises(MediaError, match=r"mic:1: cannot be opened \((Device|No)") as caught:
        next(source.items(REQUEST))
    assert "av-tag doctor" in str(caught.value)


def test_a_microphone_that_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "READ_SECONDS", 0.01)
    items = microphone(FakePortAudio()).items(REQUEST)
    next(items)
    with pytest.raises(MediaError, match="mic:1: sends no sound"):
        next(items)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what is on this machine: sounddevice, FFmpeg's devices, the operating system."""

    def found(
        portaudio: object = None, formats: tuple[str, ...] = (), system: str = "linux"
    ) -> None:
        import av

        monkeypatch.setattr(devices, "_sounddevice", lambda: portaudio)
        monkeypatch.setattr(av, "formats_available", set(formats))
        monkeypatch.setattr(devices, "sys", SimpleNamespace(platform=system))

    return found


def test_devices_of_this_machine(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    here(FakePortAudio())
    monkeypatch.setattr(devices, "_video_nodes", lambda: [Path("/dev/video0")])
    assert device_lines() == [
        "microphone mic:1 (USB microphone)",
        "camera     camera:0 (/dev/video0)",
    ]
    here(SimpleNamespace(query_devices=list))
    monkeypatch.setattr(devices, "_video_nodes", list)
    assert device_lines() == ["no microphone and no camera found"]


def test_sources_of_this_machine(here: Callable[..., None]) -> None:
    here(None, ("alsa", "video4linux2,v4l2"))
    sound, pictures = devices.microphone("hw:1"), devices.camera("")
    assert (sound.name, vars(sound)["format"]) == ("hw:1", "alsa")
    assert (pictures.name, vars(pictures)["format"]) == ("/dev/video0", "v4l2")
    assert devices.camera("/dev/video7").name == "/dev/video7"
    here(portaudio := FakePortAudio(), ("alsa",))
    assert vars(devices.microphone("2"))["portaudio"] is portaudio


def test_a_machine_whose_libraries_read_no_devices(here: Callable[..., None]) -> None:
    here()
    with pytest.raises(MediaError, match="this PyAV reads no cameras"):
        devices.camera("0")
    with pytest.raises(Exception, match="sounddevice"):
        devices.microphone("")


# A microphone and a camera together.


class FakeCamera:
    """A live source of pictures: `scripts` are what it sends, one list per opening."""

    name, live = "/dev/video0", True

    def __init__(self, *scripts: list[StreamItem | Exception]) -> None:
        self.scripts = list(scripts)
        self.sent = threading.Event()

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        assert request.audio_rate is None
        yield StreamOpened(sound=False, pictures=True)
        for item in self.scripts.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item
        self.sent.set()
        threading.Event().wait()  # goes on without pictures; a daemon thread


def image(seconds: float) -> TimedImage:
    return TimedImage(seconds, np.zeros((4, 4, 3), np.uint8))


BOTH = DecodeRequest(audio_rate=RATE, short_side=4)


def next_of(items: Iterator[StreamItem], kind: type[T]) -> T:
    return next(i for i in items if isinstance(i, kind))


def test_pictures_get_the_time_of_the_sound() -> None:
    portaudio, eye = FakePortAudio(), FakeCamera([image(100.0), image(100.5)])
    items = PairedSource(microphone(portaudio), eye).items(BOTH)
    assert next(items) == StreamOpened(sound=True, pictures=True)
    assert eye.sent.wait(LIMIT)
    portaudio.deliver(0.1)
    assert next_of(items, SoundBlock).seconds == 0.0
    times = [next_of(items, TimedImage).seconds for _ in range(2)]
    assert times == [0.05, pytest.approx(0.051)]
    passed = next_of(items, PicturesPassed)
    assert passed.seconds >= times[-1]
    portaudio.deliver(0.1)
    assert next_of(items, SoundBlock).seconds == 0.05
    assert next_of(items, PicturesPassed).seconds == 0.1
    items.close()  # type: ignore[attr-defined]


def heard_until_it_breaks(items: Iterator[StreamItem], portaudio: FakePortAudio) -> None:
    """Ends after a minute at the latest."""
    for _ in range(6000):
        portaudio.deliver(0.1)
        next_of(items, PicturesPassed)
        time.sleep(0.01)


def test_a_camera_that_breaks_or_sends_nothing_breaks_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = MediaError("/dev/video0", "is away")
    portaudio = FakePortAudio()
    monkeypatch.setattr(paired, "READ_SECONDS", 1e6)  # of sound, which is faster here than a thread
    items = PairedSource(microphone(portaudio), FakeCamera([away])).items(BOTH)
    next(items)
    with pytest.raises(MediaError, match="/dev/video0: is away"):
        heard_until_it_breaks(items, portaudio)
    monkeypatch.setattr(paired, "READ_SECONDS", 1.0)
    eye = FakeCamera([])
    items = PairedSource(microphone(portaudio), eye).items(BOTH)
    next(items)
    with pytest.raises(MediaError, match="/dev/video0: sends no pictures"):
        heard_until_it_breaks(items, portaudio)


def test_a_camera_goes_with_a_microphone(here: Callable[..., None]) -> None:
    here(FakePortAudio(), ("v4l2",))
    source = make_source("mic:1", SourceSettings(camera="0"))
    assert isinstance(source, PairedSource)
    assert source.name == "mic:1 + /dev/video0"
    with pytest.raises(UsageError, match="--camera goes with a microphone"):
        make_source("-", SourceSettings(camera="0"))
