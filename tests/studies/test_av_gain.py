"""The command of the fusion-gain study, with fake branches and with real ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from av_tagger.clip import Frames, Waveform
from av_tagger.errors import UsageError
from av_tagger.scores import BranchInfo, Scores, Status
from av_tagger.studies import av_gain
from av_tagger.studies.av_gain import Experiment, cached, file_stem, run
from av_tagger.studies.av_gain_clips import SHOWS, GainSettings
from av_tagger.studies.sound_manifest import LABELS
from tests.studies.gain import NEEDED, OTHERS, make_manifest


def test_scores_are_cached_until_the_key_changes(tmp_path: Path) -> None:
    path = tmp_path / "heard.npz"
    assert cached(path, "a", lambda: np.ones((2, 2))).sum() == 4
    assert cached(path, "a", lambda: np.zeros((2, 2))).sum() == 4
    assert cached(path, "b", lambda: np.zeros((2, 2))).sum() == 0


class LoudnessEar:
    """Scores every class by the loudness."""

    labels, rate, info = LABELS[::-1], 8_000, BranchInfo(Status.OK, "fake")

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        levels = [float(np.abs(w.samples).mean()) for w in waveforms]
        return [
            Scores(self.labels, np.linspace(0, 1, len(LABELS)) * min(1.0, 10 * level))
            for level in levels
        ]


class ColourEye:
    """Knows the pictures of the fixture by their grey level."""

    labels, short_side, info = LABELS, 16, BranchInfo(Status.OK, "fake")

    def see(self, clips: Sequence[Frames]) -> list[Scores]:
        return [Scores(LABELS, self._shares(film)) for film in clips]

    def _shares(self, film: Frames) -> np.ndarray:
        greys = np.rint(film.images.mean(axis=(1, 2, 3)) / 4).astype(int)
        names = [NEEDED[g - 1] if 0 < g <= len(NEEDED) else "" for g in greys]
        return np.array(
            [np.mean([name in SHOWS.get(label, ()) for name in names]) for label in LABELS]
        )


@pytest.fixture
def material(tmp_path: Path) -> Path:
    data = tmp_path / "shared/data"
    make_manifest(data / "sounds", [])
    (data / "pictures").mkdir()
    for i, name in enumerate([*NEEDED, *OTHERS]):
        grey = 4 * (i + 1) if name in NEEDED else 250
        Image.new("RGB", (24, 18), (grey, grey, grey)).save(
            data / "pictures" / f"n{i:08}_{name}.jpg", quality=95
        )
    return data.parent


def small(material: Path, folder: Path, ear: Path, clips: int) -> Experiment:
    settings = GainSettings(clips=clips, deals=1, frames=2, scene_seconds=0.3)
    return Experiment(material, folder, str(ear), settings)


def test_an_eye_that_knows_its_pictures_finds_what_is_shown(
    material: Path, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av_gain, "load_the_ear", lambda _: LoudnessEar())
    monkeypatch.setattr(av_gain, "load_the_eye", ColourEye)
    results = run(small(material, tmp_path, published, 128))
    assert results["clips"]["scenes_with_a_class"] == 17 * 6
    assert results["micro_f1"]["seen"]["mean"] > results["micro_f1"]["heard"]["mean"]
    assert results["gain"]["fitted"]["mean"] > 0.1
    assert results["classes"]["Bicycle"]["trusts_eye"] == 2
    assert not results["classes"]["Screaming"]["can_be_seen"]
    with (tmp_path / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 128
    assert sum(int(row["shows"]) for row in rows) == results["clips"]["show_their_source"]


def test_a_second_run_loads_no_network(
    material: Path, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av_gain, "load_the_ear", lambda _: LoudnessEar())
    monkeypatch.setattr(av_gain, "load_the_eye", ColourEye)
    experiment = small(material, tmp_path, published, 43)
    first = run(experiment)

    def fail(*_: object) -> None:
        raise AssertionError("a network was loaded again")

    monkeypatch.setattr(av_gain, "load_the_ear", fail)
    monkeypatch.setattr(av_gain, "load_the_eye", fail)
    assert json.dumps(run(experiment)) == json.dumps(first)


def test_the_command_writes_numbers_text_and_a_figure(
    material: Path,
    tmp_path: Path,
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", "")  # the command sets it
    monkeypatch.setattr(av_gain, "load_the_eye", ColourEye)
    words = [str(material), "-o", str(tmp_path / "out"), "--ear", str(published)]
    sizes = ["--clips", "43", "--deals", "1", "--frames", "2", "--scene-seconds", "0.3"]
    av_gain.main([*words, *sizes])
    text = capsys.readouterr().out
    assert text.startswith(f"    python -m av_tagger.studies.av_gain {material}")
    assert "| Screaming (no picture) |" in text
    results = json.loads((tmp_path / "out" / "gain.tiny.json").read_text())
    assert results["clips"]["scenes_with_a_class"] == 17 * 2
    assert tuple(results["classes"]) == LABELS
    assert (tmp_path / "out" / "gain.tiny.md").read_text().strip() == text.strip()
    with Image.open(tmp_path / "out" / "gain.tiny.png") as picture:
        assert min(picture.size) > 300


@pytest.mark.slow
def test_with_a_real_ear_and_eye(
    shared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", "")  # the command sets it
    words = [str(shared), "-o", str(tmp_path), "--ear", "efficientat:mn04"]
    av_gain.main([*words, "--clips", "60", "--deals", "1"])
    assert "ear alone" in capsys.readouterr().out
    results = json.loads((tmp_path / "gain.efficientat.mn04.json").read_text())
    assert results["micro_f1"]["heard"]["mean"] > 0.2
    assert results["clips"]["recordings_with_a_class"] > 30


@pytest.mark.parametrize(
    ("ear", "stem"),
    [
        ("efficientat:mn04", "efficientat.mn04"),
        ("runs/mine", "mine"),
        ("weights/mn04_as_mAP_432.pt", "mn04_as_mAP_432"),
    ],
)
def test_files_are_named_by_the_ear(ear: str, stem: str) -> None:
    assert file_stem(ear) == stem


def test_an_eye_without_weights_is_an_error() -> None:
    with pytest.raises(UsageError, match="its weights are not here"):
        av_gain.load_the_eye()
