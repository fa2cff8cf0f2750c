"""Small files that ask for absurd time or memory cost one sentence."""

from __future__ import annotations

import os
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from av_tagger import systems
from av_tagger.clip import Clip
from av_tagger.errors import MediaError, TimedOut
from av_tagger.media import DecoderPool, close_decoders, make_backend
from av_tagger.media import decode_server as server
from av_tagger.media.opening import MAX_PIXELS, why_implausible
from av_tagger.media.windows import (
    MAX_GAP_SECONDS,
    ContainerHints,
    DecodedSound,
    Picture,
    Windows,
    lazy_picture_of,
)
from av_tagger.protocols import DecodeRequest
from tests import ROOT
from tests.media.test_tracks import sounds


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    yield
    close_decoders()


def wav_with_rate(path: Path, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(4000))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 24, rate)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("rate", [1, 99, 1_000_001, 2_000_000_000])
def test_absurd_sampling_rates_are_refused(tmp_path: Path, rate: int) -> None:
    path = wav_with_rate(tmp_path / "a.wav", rate)
    with pytest.raises(MediaError, match=rf"a\.wav: .*sampling rate is {rate} Hz; expected 100 to"):
        list(make_backend("pyav").windows(Clip(path), DecodeRequest()))


@pytest.mark.parametrize("rate", [1000, 768_000])
def test_odd_sampling_rates_are_read(tmp_path: Path, rate: int) -> None:
    path = wav_with_rate(tmp_path / "a.wav", rate)
    (media,) = make_backend("pyav").windows(Clip(path), DecodeRequest(audio_rate=16_000))
    assert media.waveform is not None


def test_pictures_beyond_the_bound_are_left_out() -> None:
    codec = SimpleNamespace(width=1 << 15, height=1 << 14)
    assert f"32768 x 16384 pixels; expected at most {MAX_PIXELS}" in why_implausible(codec)
    assert why_implausible(SimpleNamespace(width=1 << 14, height=1 << 14)) == ""


def test_a_long_gap_of_time_stamps_is_refused() -> None:
    picture = lazy_picture_of(np.zeros((2, 2, 3), np.uint8))
    clip = Clip(Path("a.mp4"))
    out = Windows(clip, DecodeRequest(), ContainerHints(sound=False, pictures=True))
    list(out.add(Picture(0.0, picture)))
    with pytest.raises(MediaError, match=r"a\.mp4: has a gap of \d+ s in its time stamps"):
        list(out.add(Picture(10 * MAX_GAP_SECONDS, picture)))


def test_a_long_gap_in_audio_is_refused() -> None:
    track = sounds()
    with pytest.raises(MediaError, match=r"a\.mp4: has a gap of 36000 s in its audio track"):
        list(track._silence(10 * MAX_GAP_SECONDS))


def test_gaps_up_to_the_bound_and_late_clips_are_read() -> None:
    clip = Clip(Path("a.mp4"), 10 * MAX_GAP_SECONDS)
    out = Windows(clip, DecodeRequest(), ContainerHints(sound=True, pictures=False))
    samples = np.zeros(16_000, np.float32)
    list(out.add(DecodedSound(clip.start_seconds, 0, samples)))
    assert len(list(out.finish())) == 1


def test_memory_is_shared_by_the_decoders_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 24}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr(systems.Path, "read_text", lambda _: "max")
    assert server.memory_share() == 16 << 30
    monkeypatch.setattr(systems.Path, "read_text", lambda _: str(12 << 30))
    assert server.memory_share() == 3 << 30
    monkeypatch.setattr(systems.Path, "read_text", lambda _: str(1 << 30))
    assert server.memory_share() == server.LEAST_MEMORY


def test_all_windows_of_a_clip_share_a_time_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    pool = DecoderPool(
        "good", clip_limit=1e-9, factory="tests.fakes:make_backend", search=[ROOT], isolated=False
    )
    with pytest.raises(TimedOut, match=r"took longer than 1e-09 s .* tag a shorter part"):
        list(pool.windows(Clip(path), DecodeRequest()))
