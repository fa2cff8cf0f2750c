"""Arrays and tensors as clips: channels, number formats, shapes, windows, and every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from av_tagger.clip import Clip, Media
from av_tagger.errors import MediaError, UsageError
from av_tagger.media import open_media
from av_tagger.media.recording import from_arrays, windows_of
from av_tagger.protocols import DecodeRequest
from tests.assets import make_audio, tone

RATE = 16_000
SECOND = np.sin(np.arange(RATE) / 10).astype(np.float32) * 0.5


def windows(request: DecodeRequest | None = None, **given: Any) -> list[Media]:
    samples, rate = given.pop("samples", None), given.pop("rate", None)
    return list(windows_of(from_arrays(samples, rate, **given), request or DecodeRequest()))


@pytest.mark.parametrize(
    "samples",
    [
        SECOND,
        SECOND.astype(np.float64),
        np.stack([SECOND, SECOND]),
        np.stack([SECOND, SECOND], axis=1),
        torch.from_numpy(SECOND)[None],
        np.rint(SECOND * 32_768).astype(np.int16),
        np.rint(SECOND * 2**31).astype(np.int32),
        np.rint(SECOND * 128 + 128).astype(np.uint8),
    ],
    ids=["mono", "float64", "channels", "frames first", "tensor", "int16", "int32", "uint8"],
)
def test_all_forms_of_sound_are_the_same_sound(samples: Any) -> None:
    found = from_arrays(samples, RATE).samples
    assert found is not None
    assert found.dtype == np.float32
    assert np.abs(found - SECOND).max() < 0.01


@pytest.mark.parametrize("kind", ["last", "first", "float", "tensor"])
def test_all_forms_of_frames_are_the_same_frames(kind: str) -> None:
    pictures = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    first = np.moveaxis(pictures, 3, 1)
    given = {
        "last": pictures,
        "first": first,
        "float": pictures / 255,
        "tensor": torch.from_numpy(first.copy()),
    }[kind]
    assert np.array_equal(from_arrays(frames=given, fps=5).images, pictures)


def test_sound_is_cut_into_windows_as_a_file_is(tmp_path: Path) -> None:
    """The same samples from a file and from memory give the same windows."""
    path = make_audio(tmp_path / "a.wav", seconds=21.0)
    request = DecodeRequest(audio_rate=8_000, short_side=None)
    from_file = list(open_media(Clip(path), request))
    (whole,) = open_media(
        Clip(path), DecodeRequest(audio_rate=44_100, short_side=None, window_seconds=60)
    )
    assert whole.waveform is not None
    in_memory = windows(request, samples=whole.waveform.samples, rate=44_100)
    spans = ([(w.start_seconds, w.end_seconds) for w in ws] for ws in (in_memory, from_file))
    assert np.allclose(*spans, atol=0.01)
    for ours, theirs in zip(in_memory, from_file, strict=True):
        assert ours.waveform is not None
        assert theirs.waveform is not None
        count = min(len(ours.waveform.samples), len(theirs.waveform.samples))
        apart = ours.waveform.samples[:count] - theirs.waveform.samples[:count]
        assert np.abs(apart).max() < 0.01


def test_frames_are_reduced_and_thinned_as_requested() -> None:
    request = DecodeRequest(short_side=20, frame_rate=5.0)
    (media,) = windows(request, frames=np.zeros((30, 40, 60, 3), np.uint8), fps=10)
    assert media.frames is not None
    assert media.frames.size == (20, 30)
    assert media.frames.times == pytest.approx(np.arange(15) / 5)
    assert media.end_seconds == pytest.approx(3.0)


def test_sound_and_frames_share_their_windows() -> None:
    samples = np.zeros(25 * RATE, np.float32)
    found = windows(samples=samples, rate=RATE, frames=np.zeros((250, 8, 8, 3), np.uint8), fps=10)
    assert len(found) > 1
    assert all(w.waveform is not None and w.frames is not None for w in found)
    assert found[-1].end_seconds == pytest.approx(25.0, abs=0.01)
    assert found[0].total_seconds == pytest.approx(25.0, abs=0.01)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "give samples with their rate"),
        ({"samples": SECOND}, "samples need their sampling rate"),
        ({"samples": np.zeros((2, 3, 4)), "rate": 8_000}, "not float64 of shape (2, 3, 4)"),
        ({"samples": np.zeros((100, 200)), "rate": 8_000}, "not float64 of shape (100, 200)"),
        ({"samples": np.zeros(0), "rate": 8_000}, "samples are (n,)"),
        ({"frames": np.zeros((4, 4, 3), np.uint8), "fps": 5}, "frames are (n, height, width, 3)"),
        ({"frames": np.zeros((2, 4, 4, 3), np.int64), "fps": 5}, "uint8 or floats"),
        ({"frames": np.zeros((2, 4, 4, 3), np.uint8)}, "frames need fps or times"),
        ({"frames": np.zeros((2, 4, 4, 3), np.uint8), "times": [1, 1]}, "2 rising seconds"),
    ],
)
def test_mistakes_are_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_arrays(given.pop("samples", None), given.pop("rate", None), **given)
    assert sentence in str(caught.value)


def test_what_is_not_there_cannot_be_asked_for() -> None:
    with pytest.raises(MediaError, match="recording: has no frames"):
        windows(DecodeRequest(audio_rate=None), samples=SECOND, rate=RATE)


def test_a_recording_is_opened_like_a_file() -> None:
    recording = from_arrays(tone(1.0, RATE), RATE, name="microphone")
    (media,) = open_media(recording, DecodeRequest(audio_rate=8_000))
    assert media.clip.name == "microphone"
    assert media.waveform is not None
    assert media.waveform.rate == 8_000
