"""Made material: films with scenes, clips of every codec, long files from repeated packets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.bench.clips import ENCODERS, film, make_clip, make_long
from av_tagger.bench.naive import read_frames, read_sound
from av_tagger.bench.pipeline import make_clips
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.media import make_backend
from tests.assets import can_encode


def test_a_film_has_four_scenes() -> None:
    images = film(40, 180, 320).images.astype(float)
    assert images.shape == (40, 180, 320, 3)
    steps = np.abs(np.diff(images, axis=0)).mean(axis=(1, 2, 3))
    cuts = np.flatnonzero(steps > 2 * np.median(steps)) + 1
    assert cuts.tolist() == [10, 20, 30]
    np.testing.assert_array_equal(film(40, 180, 320).images, images)


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_clip_of_every_codec_can_be_read(codec: str, tmp_path: Path) -> None:
    if not can_encode(codec):
        pytest.skip(f"this FFmpeg has no encoder for {codec}")
    path = make_clip(tmp_path / "a.mp4", codec, (96, 64), 0.5)
    info = make_backend("pyav").probe(path)
    assert info.duration_seconds == pytest.approx(0.5, abs=0.1)
    frames = read_frames(path)
    assert len(frames) == 12
    original = film(12, 64, 96).images
    assert np.abs(frames[0].astype(float) - original[0]).mean() < 25
    samples, rate = read_sound(path)
    assert len(samples) / rate == pytest.approx(0.5, abs=0.06)
    assert samples.std() > 0.05


def test_clips_of_several_kinds_alternate(tmp_path: Path) -> None:
    settings = PipelineSettings(clips=3, seconds=0.25, kinds="mpeg4:96x64,mpeg4:64x48")
    paths = make_clips(tmp_path, settings)
    assert [read_frames(path)[0].shape for path in paths] == [
        (64, 96, 3),
        (48, 64, 3),
        (64, 96, 3),
    ]


def test_a_long_file_repeats_its_packets(tmp_path: Path) -> None:
    make_long(tmp_path / "a.mp4", 20, (64, 48))
    info = make_backend("pyav").probe(tmp_path / "a.mp4")
    assert info.duration_seconds == pytest.approx(20, abs=0.2)
    frames = read_frames(tmp_path / "a.mp4")
    assert len(frames) == 480
    first, again = frames[5].astype(float), frames[245].astype(float)
    np.testing.assert_array_equal(first, again)
    samples, rate = read_sound(tmp_path / "a.mp4")
    assert len(samples) / rate == pytest.approx(20, abs=0.2)
