"""Embeddings of whole clips by a published ear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.clip import Clip, Waveform
from av_tagger.embedder import WINDOW_SECONDS, Embedder, embedder_name, load_embedder
from av_tagger.errors import DeviceError, MediaError, UsageError, WeightsError
from av_tagger.protocols import EmbeddingBranch
from av_tagger.scores import Failed
from tests.assets import make_audio, make_video


class Counting:
    """An ear whose rows are the number of each second and how long its waveform is."""

    name = "counting"
    device = "cpu"
    rate = 8000
    width = 2

    def embed(self, waveforms: Sequence[Waveform]) -> list[NDArray[np.float32]]:
        rows = []
        for w in waveforms:
            seconds = np.arange(round(w.duration_seconds + 0.49))
            rows.append(np.stack([w.start_seconds + seconds, 0 * seconds + len(w.samples)], axis=1))
        return [row.astype(np.float32) for row in rows]


@pytest.fixture
def embedder() -> Embedder:
    ear = Counting()
    assert isinstance(ear, EmbeddingBranch)
    return Embedder(ear, "counting")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(EfficientAT(0.1).state_dict(), tmp_path / "tiny.pt")
    return tmp_path / "tiny.pt"


def test_one_row_per_second_over_all_windows(embedder: Embedder, tmp_path: Path) -> None:
    path = make_audio(tmp_path / "long.wav", seconds=WINDOW_SECONDS + 2)
    rows = embedder.embed_one(Clip(path))
    assert rows[:, 0].tolist() == list(range(12))
    assert embedder.width == rows.shape[1] == 2


def test_clips_that_cannot_be_embedded_are_returned_with_a_reason(
    embedder: Embedder, tmp_path: Path
) -> None:
    good = make_audio(tmp_path / "good.wav", seconds=1.0)
    silent = make_video(tmp_path / "silent.mp4", seconds=0.5, audio=None)
    (tmp_path / "text.mp4").write_text("not media")
    before = Failed(Clip(tmp_path / "gone.wav"), "media", "gone")
    clips = [before, *map(Clip, (good, silent, tmp_path / "text.mp4"))]
    rows, failed = embedder.embed(clips)
    assert list(rows) == [str(good)]
    assert [f.clip.path.name for f in failed] == ["gone.wav", "silent.mp4", "text.mp4"]
    assert "has no audio track" in failed[1].message


def test_a_clip_without_sound_is_an_error(embedder: Embedder, tmp_path: Path) -> None:
    path = make_video(tmp_path / "silent.mp4", seconds=0.5, audio=None)
    with pytest.raises(MediaError, match=r"silent\.mp4: has no audio track"):
        embedder.embed_one(Clip(path))


def test_an_ear_by_file(tiny: Path, tmp_path: Path) -> None:
    embedder = load_embedder(str(tiny), "cpu", offline=True)
    assert (embedder.name, embedder.width) == (str(tiny), 96)
    rows = embedder.embed_one(Clip(make_audio(tmp_path / "tone.wav", seconds=2.0)))
    assert rows.shape == (2, 96)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


def test_names_find_the_same_ear_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.parent)
    assert embedder_name("tiny.pt") == str(tiny)
    assert embedder_name("efficientat:mn04") == "efficientat.mn04"
    assert embedder_name("starter") == "starter"
    with pytest.raises(UsageError, match="gives no embeddings; known: efficient"):
        embedder_name("starter+efficientat.mn04")


def test_auto_is_never_the_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match="is not here, and --offline forbids a download"):
        embedder_name("auto", offline=True)


def test_a_device_is_refused_before_anything_is_loaded(tiny: Path) -> None:
    with pytest.raises(DeviceError, match="there is no device 'tpu'"):
        load_embedder(str(tiny), "tpu")
