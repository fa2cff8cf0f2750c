"""Films cut by encoding again: many kinds of sound and picture, gaps, and damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.errors import AvTaggerError, MediaError
from av_tagger.media.cut import CutOptions, cut_film
from av_tagger.media.spans import Span
from tests.assets import Audio, level_at, make_audio, make_video, seen_level, tone

EXACT = CutOptions(exact=True)
Make = Callable[..., Path]


def pictures(path: Path) -> list[tuple[float, float]]:
    """Time and grey level of each frame."""
    with av.open(str(path)) as film:
        return [
            (float(f.time or 0), seen_level(f.to_ndarray(format="rgb24")))
            for f in film.decode(video=0)
        ]


def sound(path: Path) -> tuple[np.ndarray, int]:
    with av.open(str(path)) as film:
        frames = list(film.decode(audio=0))
    pieces = [np.atleast_2d(f.to_ndarray()) for f in frames]
    return np.concatenate(pieces, axis=1), frames[0].sample_rate


@pytest.mark.parametrize("vfr", [False, True])
def test_frames_keep_their_times(vfr: bool, tmp_path: Path) -> None:
    """The grey level of a frame is its time in the source."""
    source = make_video(tmp_path / "a.mp4", seconds=2.0, vfr=vfr)
    film = cut_film(source, tmp_path / "b.mp4", [Span(0.5, 1.5)], EXACT)
    found = pictures(film.path)
    assert found[0][0] == 0.0
    for time, level in found[1:]:
        assert level == pytest.approx(level_at(time + 0.5), abs=4)
    assert found[-1][0] < 1.0


def test_a_part_between_two_frames_begins_with_the_frame_that_is_shown(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=2.0, fps=5)
    film = cut_film(source, tmp_path / "b.mp4", [Span(0.5, 0.7), Span(1.1, 1.9)], EXACT)
    times = [time for time, _ in pictures(film.path)]
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9], abs=0.01)
    levels = [level for _, level in pictures(film.path)]
    shown = [0.4, 0.6, 1.0, 1.2, 1.4, 1.6, 1.8]
    assert levels == pytest.approx([level_at(t) for t in shown], abs=4)


@pytest.mark.parametrize("size", [(97, 65), (2, 2), (640, 360)])
def test_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    codec = "h264" if size[0] % 2 == 0 else "vp9"
    source = make_video(tmp_path / "a.mkv", seconds=0.6, size=size, codec=codec)
    film = cut_film(source, tmp_path / "b.mkv", [Span(0.1, 0.5)], EXACT)
    with av.open(str(film.path)) as cut:
        video = cut.streams.video[0]
        assert (video.width, video.height) == tuple(side + side % 2 for side in size)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (22_050, 2), (48_000, 6), (96_000, 1)])
def test_rates_and_channels(rate: int, channels: int, tmp_path: Path) -> None:
    """Up to two channels stay; more become two. The tone is where it was."""
    source = make_audio(tmp_path / "a.wav", 2.0, Audio("pcm", rate=rate, channels=channels))
    film = cut_film(source, tmp_path / "b.m4a", [Span(0.5, 1.0), Span(1.5, 2.0)], EXACT)
    samples, written = sound(film.path)
    assert written == rate
    with av.open(str(film.path)) as cut:
        assert cut.streams.audio[0].channels == min(channels, 2)
    assert samples.shape[1] / written == pytest.approx(1.0, abs=0.07)
    middle = samples[0, samples.shape[1] // 4 : samples.shape[1] // 2]
    peak = np.argmax(np.abs(np.fft.rfft(middle))) * written / len(middle)
    assert peak == pytest.approx(440, abs=10)


def test_a_rate_that_the_encoder_does_not_know_is_resampled(tmp_path: Path) -> None:
    source = make_audio(tmp_path / "a.wav", 2.0, Audio("pcm", rate=37_000))
    film = cut_film(source, tmp_path / "b.opus", [Span(0.5, 1.5)], EXACT)
    samples, rate = sound(film.path)
    assert rate == 48_000
    assert samples.shape[1] / rate == pytest.approx(1.0, abs=0.05)


def test_sound_that_begins_late_or_ends_early_is_filled_with_silence(tmp_path: Path) -> None:
    late = make_video(tmp_path / "late.mkv", seconds=2.0, audio=Audio("pcm", delay=1.0))
    film = cut_film(late, tmp_path / "a.mkv", [Span(0.5, 1.5)], EXACT)
    samples, rate = sound(film.path)
    quiet, loud = np.array_split(np.abs(samples[0, : round(0.98 * rate)]), 2)
    assert quiet[: rate // 3].max() < 0.01
    assert loud[rate // 10 :].max() > 0.3
    short = Audio("pcm", samples=tone(0.5, 44_100))
    early = make_video(tmp_path / "early.mkv", seconds=2.0, audio=short)
    film = cut_film(early, tmp_path / "b.mkv", [Span(0.25, 1.75)], EXACT)
    samples, rate = sound(film.path)
    assert samples.shape[1] / rate == pytest.approx(1.5, abs=0.05)
    assert np.abs(samples[0, rate // 2 : rate]).max() < 0.01


@pytest.mark.parametrize("audio", [None, "aac"])
def test_films_without_sound_and_parts_after_its_end(audio: Any, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=1.0, audio=audio)
    film = cut_film(source, tmp_path / "b.mp4", [Span(0.2, 0.4), Span(0.9, 5.0)], EXACT)
    with av.open(str(film.path)) as cut:
        assert len(cut.streams.audio) == (0 if audio is None else 1)
        assert len(cut.streams.video) == 1
    assert len(pictures(film.path)) == pytest.approx(0.3 * 24, abs=2)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_film_that_breaks_off_is_cut_as_far_as_it_goes(
    exact: bool, suffix: str, tmp_path: Path
) -> None:
    whole = make_video(tmp_path / f"a{suffix}", seconds=3.0, codec="mpeg4", audio="mp3")
    broken = tmp_path / f"broken{suffix}"
    data = whole.read_bytes()
    broken.write_bytes(data[: len(data) * 2 // 3])
    options = CutOptions(exact=exact)
    if suffix == ".mp4":  # without its index it cannot be read
        with pytest.raises(MediaError, match="moov"):
            cut_film(broken, tmp_path / "out.mkv", [Span(0.2, 1.0)], options)
        assert not (tmp_path / "out.mkv").exists()
        return
    film = cut_film(broken, tmp_path / "out.mkv", [Span(0.2, 1.0)], options)
    assert len(pictures(film.path)) >= 10


@pytest.mark.parametrize("exact", [False, True])
def test_random_damage_never_leaves_half_a_film(exact: bool, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", seconds=1.0)
    data = bytearray(source.read_bytes())
    rng = np.random.default_rng(0)
    for number in range(12):
        spoilt = bytearray(data)
        for place in rng.integers(len(data) // 10, len(data), 30).tolist():
            spoilt[place] ^= int(rng.integers(1, 256))
        broken = tmp_path / f"{number}.mkv"
        broken.write_bytes(spoilt)
        target = tmp_path / "out.mkv"
        target.unlink(missing_ok=True)
        try:
            cut_film(broken, target, [Span(0.1, 0.9)], CutOptions(exact=exact))
        except AvTaggerError:
            assert not target.exists()
        else:
            assert target.stat().st_size > 500
        assert not list(tmp_path.glob(".*.part"))
