"""What every backend promises, checked on every backend that is installed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.clip import Clip, Media
from av_tagger.errors import MediaError
from av_tagger.media import BACKENDS, close_decoders, decoder_pool
from av_tagger.protocols import DecodeRequest
from tests.assets import (
    CORNERS,
    Audio,
    can_encode,
    frame_times,
    level_at,
    make_audio,
    make_video,
    seen_corners,
    seen_level,
    tone,
)

LIBRARY = {"pyav": "av", "decord": "decord"}
INSTALLED = [name for name in BACKENDS if importlib.util.find_spec(LIBRARY[name]) is not None]
EAR = DecodeRequest(short_side=None)
EYE = DecodeRequest(audio_rate=None)
FIRST = slice(0, 1)
LARGEST = 1.95  # times the requested size: decoders may skip scaling up to this
LONG = DecodeRequest(short_side=32, audio_rate=8_000, window_seconds=1.0, overlap_seconds=0.25)


@pytest.fixture(params=INSTALLED)
def backend(request: pytest.FixtureRequest) -> Any:
    return decoder_pool(request.param)


@pytest.fixture(autouse=True, scope="module")
def no_processes_left() -> Iterator[None]:
    yield
    close_decoders()


def one(backend: Any, path: Path, request: DecodeRequest | None = None) -> Media:
    (media,) = backend.windows(Clip(path), request or DecodeRequest())
    return media


def samples_of(media: Media) -> Any:
    assert media.waveform is not None
    return media.waveform.samples


def level_error(media: Media) -> float:
    assert media.frames is not None
    pairs = zip(media.frames.rgb(), media.frames.times, strict=True)
    return max(abs(seen_level(image) - level_at(time)) for image, time in pairs)


def test_the_default_is_installed() -> None:
    assert "pyav" in INSTALLED


@pytest.mark.parametrize(
    ("codec", "audio", "container"),
    [
        ("h264", "aac", "mp4"),
        ("h264", "aac", "mov"),
        ("h264", "mp3", "mkv"),
        ("h264", "aac", "ts"),
        ("hevc", "aac", "mp4"),
        ("vp9", "opus", "webm"),
        ("av1", "opus", "mkv"),
        ("mpeg4", "mp3", "mkv"),
        ("mpeg4", "pcm", "avi"),
    ],
)
def test_codecs_and_containers(
    backend: Any, tmp_path: Path, codec: str, audio: str, container: str
) -> None:
    if not (can_encode(codec) and can_encode(audio)):
        pytest.skip(f"this FFmpeg cannot write {codec} with {audio}")
    media = one(
        backend, make_video(tmp_path / f"a.{container}", codec=codec, audio=Audio(audio, 48_000))
    )
    assert media.frames is not None
    expected = np.array(frame_times(1.0, 24))
    np.testing.assert_allclose(media.frames.times - media.frames.times[0], expected, atol=2e-3)
    assert media.frames.times[0] <= 0.05
    levels = [seen_level(image) for image in media.frames.rgb()]
    assert np.abs(np.array(levels) - [level_at(t) for t in expected]).max() < 8
    assert media.waveform is not None
    assert media.waveform.rate == 20_000
    assert (
        abs(media.waveform.duration_seconds - 1.0) < 1152 / 48_000 * 2 + 1e-3
    )  # within the padding of a last frame
    assert (
        abs(float(np.sqrt(np.mean(samples_of(media)[4000:16000] ** 2))) - 0.5 / math.sqrt(2)) < 0.02
    )


@pytest.mark.parametrize(
    ("codec", "container"),
    [
        ("aac", "m4a"),
        ("mp3", "mp3"),
        ("opus", "ogg"),
        ("vorbis", "ogg"),
        ("flac", "flac"),
        ("pcm", "wav"),
    ],
)
def test_sound_alone_has_its_length(
    backend: Any, tmp_path: Path, codec: str, container: str
) -> None:
    channels = 2 if codec == "vorbis" else 1
    media = one(
        backend, make_audio(tmp_path / f"a.{container}", 1.5, Audio(codec, 48_000, channels))
    )
    assert media.frames is None
    assert media.notes == ()
    frame = {"aac": 1024, "mp3": 1152, "opus": 960, "vorbis": 1024, "flac": 0, "pcm": 0}[
        codec
    ] / 48_000
    assert abs(len(samples_of(media)) / 20_000 - 1.5) <= frame + 1 / 20_000


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_equal_channels_keep_their_level(backend: Any, tmp_path: Path, channels: int) -> None:
    """A power-preserving mix of two equal channels would come out 3 dB (1.41 times) louder."""
    media = one(backend, make_audio(tmp_path / "a.wav", 0.5, Audio("pcm", 20_000, channels)), EAR)
    np.testing.assert_allclose(samples_of(media), tone(0.5, 20_000)[0], atol=1e-4)


def test_mono_is_the_average(backend: Any, tmp_path: Path) -> None:
    left, right = tone(0.5, 20_000, 1, 440)[0], tone(0.5, 20_000, 1, 1000)[0]
    path = make_audio(
        tmp_path / "a.wav", 0.5, Audio("pcm", 20_000, 2, samples=np.stack([left, right]))
    )
    np.testing.assert_allclose(samples_of(one(backend, path, EAR)), (left + right) / 2, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_is_resampled_to_the_same_tone(backend: Any, tmp_path: Path, rate: int) -> None:
    found = samples_of(one(backend, make_audio(tmp_path / "a.wav", 0.7, Audio("pcm", rate)), EAR))
    assert len(found) == round(round(0.7 * rate) * 20_000 / rate)
    np.testing.assert_allclose(found[400:13_500], tone(0.7, 20_000)[0][400:13_500], atol=4e-3)


@pytest.mark.parametrize("count", [1, 2, 100])
def test_a_few_samples(backend: Any, tmp_path: Path, count: int) -> None:
    path = make_audio(
        tmp_path / "a.wav",
        audio=Audio("pcm", 44_100, samples=np.full((1, count), 0.25, np.float32)),
    )
    assert len(samples_of(one(backend, path, EAR))) == max(1, round(count * 20_000 / 44_100))


@pytest.mark.parametrize(
    ("rotation", "corners"),
    [
        (0, ["top left", "top right", "bottom left", "bottom right"]),
        (90, ["bottom left", "top left", "bottom right", "top right"]),
        (180, ["bottom right", "bottom left", "top right", "top left"]),
        (270, ["top right", "bottom right", "top left", "bottom left"]),
    ],
)
def test_rotation_is_applied_once(
    backend: Any, tmp_path: Path, rotation: int, corners: list[str]
) -> None:
    path = make_video(tmp_path / "a.mp4", 0.3, size=(160, 96), audio=None, rotation=rotation)
    info = backend.probe(path)
    assert info.video.rotation == rotation
    for request, short in (
        (EYE, 96),
        (DecodeRequest(audio_rate=None, short_side=48), 48),
        (DecodeRequest(audio_rate=None, short_side=50), 50),
    ):
        frames = one(backend, path, request).frames
        assert frames is not None
        upright = frames.size[::-1] if rotation in (90, 270) else frames.size
        assert short <= upright[0] <= LARGEST * short
        assert upright[1] == pytest.approx(160 * upright[0] / 96, abs=1)
        assert frames.images.flags.c_contiguous
        assert seen_corners(frames.rgb(FIRST)[0]) == corners
    assert (info.video.width, info.video.height) == (
        (96, 160) if rotation in (90, 270) else (160, 96)
    )
    assert set(corners) == set(CORNERS)


def test_variable_frame_rate_is_by_time(backend: Any, tmp_path: Path) -> None:
    media = one(backend, make_video(tmp_path / "a.mkv", 2.0, vfr=True, audio=None))
    assert media.frames is not None
    np.testing.assert_allclose(media.frames.times, frame_times(2.0, 24, vfr=True), atol=1e-3)
    assert level_error(media) < 8


def test_candidates_are_chosen_by_time(backend: Any, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", 2.0, vfr=True, audio=None)
    media = one(backend, path, DecodeRequest(audio_rate=None, frame_rate=8.0))
    assert media.frames is not None
    shown = np.array(frame_times(2.0, 24, vfr=True))
    slots = np.floor(shown * 8 + 1e-3)
    np.testing.assert_allclose(
        media.frames.times, shown[np.unique(slots, return_index=True)[1]], atol=1e-3
    )
    assert level_error(media) < 8


@pytest.mark.parametrize("size", [(64, 160), (98, 50), (66, 130)])
def test_sizes_are_scaled_down_never_up(
    backend: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = make_video(tmp_path / "a.mp4", 0.2, size=size, audio=None)
    full = one(backend, path, EYE).frames
    small = one(backend, path, DecodeRequest(audio_rate=None, short_side=33)).frames
    assert full is not None
    assert small is not None
    assert full.size == size[::-1]
    assert 33 <= min(small.size) <= min(LARGEST * 33, *size)
    assert small.size[0] / small.size[1] == pytest.approx(size[1] / size[0], rel=0.02)
    assert seen_corners(small.rgb(FIRST)[0]) == list(CORNERS)


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv444p"])
def test_pixel_formats(backend: Any, tmp_path: Path, pixels: str) -> None:
    media = one(backend, make_video(tmp_path / "a.mp4", 0.3, pixels=pixels, audio=None))
    assert media.frames is not None
    assert level_error(media) < 8
    assert seen_corners(media.frames.rgb(FIRST)[0]) == list(CORNERS)


def test_one_frame(backend: Any, tmp_path: Path) -> None:
    media = one(backend, make_video(tmp_path / "a.mp4", 1 / 24, audio=None))
    assert media.waveform is None
    assert media.frames is not None
    assert len(media.frames) == 1


def test_cover_pictures_are_no_video(backend: Any, tmp_path: Path) -> None:
    path = make_audio(tmp_path / "a.flac", 0.5, "flac", cover=True)
    assert backend.probe(path).video is None
    media = one(backend, path)
    assert media.frames is None
    assert len(samples_of(media)) == 10_000


def test_a_missing_track_says_so(backend: Any, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no video track"):
        list(backend.windows(Clip(make_audio(tmp_path / "a.wav")), EYE))
    with pytest.raises(MediaError, match="has no audio track"):
        list(backend.windows(Clip(make_video(tmp_path / "a.mp4", 0.2, audio=None)), EAR))


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_late_sound_and_shifted_starts(backend: Any, tmp_path: Path, container: str) -> None:
    """Second 0 is where the first track starts; the other track keeps its distance."""
    path = make_video(
        tmp_path / f"a.{container}", 1.0, start=2.0, audio=Audio("opus", 48_000, delay=0.4)
    )
    media = one(backend, path)
    assert media.frames is not None
    assert media.waveform is not None
    assert abs(media.frames.times[0]) < 0.02
    assert abs(media.waveform.start_seconds - 0.4) < 0.03
    assert level_error(media) < 8


def test_windows_cover_the_file_exactly(backend: Any, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 4.2, audio=Audio("aac", 16_000))
    whole = one(backend, path, DecodeRequest(short_side=32, audio_rate=8_000))
    parts = list(backend.windows(Clip(path), LONG))
    assert [m.start_seconds for m in parts] == pytest.approx([0, 0.75, 1.5, 2.25, 3.0])
    assert [m.end_seconds for m in parts[:-1]] == pytest.approx([1.0, 1.75, 2.5, 3.25])
    assert whole.frames is not None
    for media in parts:
        assert media.frames is not None
        assert media.waveform is not None
        first = round(media.waveform.start_seconds * 8_000)
        expected = samples_of(whole)[first : first + len(samples_of(media))]
        np.testing.assert_array_equal(samples_of(media), expected)
        inside = (whole.frames.times >= media.start_seconds - 1e-6) & (
            whole.frames.times < media.end_seconds - 1e-6
        )
        np.testing.assert_allclose(media.frames.times, whole.frames.times[inside])
        np.testing.assert_array_equal(media.frames.images, whole.frames.images[inside])
    last = parts[-1]
    assert last.waveform is not None
    assert last.waveform.start_seconds + last.waveform.duration_seconds == pytest.approx(
        len(samples_of(whole)) / 8_000
    )
    assert last.end_seconds == pytest.approx(whole.end_seconds, abs=1e-3)


@pytest.mark.parametrize("seconds", [1.0, 1.4])
def test_up_to_one_and_a_half_windows_is_one(backend: Any, tmp_path: Path, seconds: float) -> None:
    for path in (
        make_video(tmp_path / "a.mkv", seconds, audio=Audio("opus", 48_000)),
        make_audio(tmp_path / "a.wav", seconds),
    ):
        media = one(backend, path, LONG)
        assert media.end_seconds == pytest.approx(seconds, abs=0.05)


def test_a_part_of_a_file(backend: Any, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 4.0, audio=Audio("aac", 32_000))
    whole = one(backend, path)
    (part,) = backend.windows(Clip(path, 1.3, 2.6), DecodeRequest())
    assert part.start_seconds == 1.3
    assert part.end_seconds == pytest.approx(2.6, abs=1e-3)
    assert whole.frames is not None
    assert part.frames is not None
    inside = (whole.frames.times >= 1.3) & (whole.frames.times < 2.6)
    np.testing.assert_allclose(part.frames.times, whole.frames.times[inside], atol=1e-6)
    np.testing.assert_array_equal(part.frames.images, whole.frames.images[inside])
    assert part.waveform is not None
    assert part.waveform.start_seconds == pytest.approx(1.3, abs=1e-4)
    first = round(part.waveform.start_seconds * 20_000)
    assert len(samples_of(part)) == pytest.approx(1.3 * 20_000, abs=1)
    np.testing.assert_allclose(
        samples_of(part), samples_of(whole)[first : first + len(samples_of(part))], atol=2e-3
    )


def test_a_part_beyond_the_end(backend: Any, tmp_path: Path) -> None:
    path = make_audio(tmp_path / "a.wav", 1.0)
    with pytest.raises(MediaError, match=r"ends at 1\.00 s, before the clip starts at 5\.00 s"):
        list(backend.windows(Clip(path, 5.0, 6.0), DecodeRequest()))
