"""Microphones and cameras: through sounddevice where it is installed, else FFmpeg's devices."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.clip import Samples
from av_tagger.errors import MediaError, missing_library
from av_tagger.live.sources.base import (
    SoundBlock,
    StreamItem,
    StreamLost,
    StreamOpened,
    StreamSource,
)
from av_tagger.live.sources.container import READ_SECONDS, ContainerSource
from av_tagger.protocols import DecodeRequest

SOUND_DEVICES = {"linux": ("alsa", "pulse"), "darwin": ("avfoundation",), "win32": ("dshow",)}
CAMERA_DEVICES = {"linux": ("v4l2", "video4linux2"), "darwin": ("avfoundation",)}
BLOCK_SECONDS = 0.05
QUEUE_BLOCKS = 400  # 20 s wait for a tagger that is slow
TOO_SLOW = "this machine is too slow to listen to all of it"


def microphone(name: str) -> StreamSource:
    """A microphone by name or number; empty: the default one."""
    sounddevice = _sounddevice()
    if sounddevice is not None:
        return MicrophoneSource(f"mic:{name}" if name else "mic", name, sounddevice)
    kind = _format_here(SOUND_DEVICES)
    if kind is None:
        raise missing_library("A microphone needs", "sounddevice", ImportError("none"), "live")
    return ContainerSource(name or "default", live=True, format=kind)


def camera(name: str) -> ContainerSource:
    """A camera by device, such as /dev/video0, or its number; empty: the first."""
    kind = _format_here(CAMERA_DEVICES)
    if kind is None:
        raise MediaError(
            f"camera:{name}", "this PyAV reads no cameras", "use a stream of the camera: rtsp://..."
        )
    number = name or "0"
    device = f"/dev/video{number}" if number.isdigit() and sys.platform == "linux" else number
    return ContainerSource(device, live=True, format=kind)


def device_lines() -> list[str]:
    """Microphones and cameras of this machine, one line each, for `av-tag doctor`."""
    lines = [f"microphone {line}" for line in _microphones()]
    lines += [f"camera     camera:{path.name[5:]} ({path})" for path in _video_nodes()]
    return lines or ["no microphone and no camera found"]


def _video_nodes() -> list[Path]:
    return sorted(Path("/dev").glob("video[0-9]*"))


def _microphones() -> list[str]:
    sounddevice = _sounddevice()
    if sounddevice is not None:
        devices = enumerate(sounddevice.query_devices())
        return [f"mic:{i} ({d['name']})" for i, d in devices if d["max_input_channels"] > 0]
    cards = Path("/proc/asound/cards")
    text = cards.read_text(encoding="utf-8", errors="replace") if cards.is_file() else ""
    heads = [line.strip() for line in text.splitlines() if line.strip()[:1].isdigit()]
    return [f"mic:hw:{head.split()[0]} ({head})" for head in heads]


def _format_here(known: dict[str, tuple[str, ...]]) -> str | None:
    """The first of FFmpeg's device formats that this PyAV has."""
    import av

    names = {part for whole in av.formats_available for part in whole.split(",")}
    return next((kind for kind in known.get(sys.platform, ()) if kind in names), None)


def _sounddevice() -> Any | None:
    """The library; None where it or PortAudio is missing."""
    try:
        import sounddevice
    except (ImportError, OSError):
        return None
    return sounddevice


class BlockQueue:
    """Blocks from the audio callback to the reader; a full queue counts what it drops."""

    def __init__(self, most: int) -> None:
        self._blocks: queue.Queue[Samples | int] = queue.Queue(most)
        self._lost = 0  # samples since the last block that was taken

    def put(self, samples: Samples) -> None:
        """Never waits: the audio callback must return at once."""
        room = self._blocks.maxsize - self._blocks.qsize()
        if room < (2 if self._lost else 1):
            self._lost += len(samples)
            return
        if self._lost:
            self._blocks.put_nowait(self._lost)
            self._lost = 0
        self._blocks.put_nowait(samples)

    def get(self, timeout: float) -> Samples | int:
        """The next block, or how many samples were dropped before it; `queue.Empty`."""
        return self._blocks.get(timeout=timeout)


@dataclass
class MicrophoneSource:
    """A microphone through PortAudio."""

    name: str
    device: str
    portaudio: Any
    live: bool = True
    queue_blocks: int = QUEUE_BLOCKS

    def items(self, request: DecodeRequest) -> Iterator[StreamItem]:
        rate, blocks = request.audio_rate or 16_000, BlockQueue(self.queue_blocks)
        sent = 0
        with self._stream(rate, blocks):
            yield StreamOpened(sound=True, pictures=False)
            while True:
                try:
                    block = blocks.get(READ_SECONDS)
                except queue.Empty:
                    raise MediaError(self.name, "sends no sound", "check the device") from None
                if isinstance(block, int):
                    yield StreamLost(block / rate, f"{self.name}: {TOO_SLOW}")
                    sent += block
                else:
                    yield SoundBlock(block, sent / rate)
                    sent += len(block)

    def _stream(self, rate: int, blocks: BlockQueue) -> Any:
        def take(data: Any, *_: Any) -> None:
            blocks.put(np.array(data[:, 0], np.float32))

        device = int(self.device) if self.device.isdigit() else self.device or None
        try:
            return self.portaudio.InputStream(
                samplerate=rate,
                channels=1,
                dtype="float32",
                device=device,
                blocksize=int(rate * BLOCK_SECONDS),
                callback=take,
            )
        except (self.portaudio.PortAudioError, ValueError) as error:
            reason = f"cannot be opened ({' '.join(str(error).split())})"
            raise MediaError(self.name, reason, "see the devices in av-tag doctor") from error
