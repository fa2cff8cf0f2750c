"""The study of the shipped fusion files: its fits, and the whole command on made scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from av_tagger.fusion import LogitFusion, read_fusion
from av_tagger.studies import fusion_fit
from av_tagger.studies.fusion_fit import LABELS, Videos, best_cut, decide, eye_threshold, interval
from av_tagger.studies.fusion_look import highest

COUNT = 48
KNOWN = ("Bus", "Train", "Motorcycle")


@pytest.fixture
def videos() -> Videos:
    """The ear hears three classes faintly; the eye sees them in half of the videos."""
    draw = np.random.default_rng(0)
    truth = np.zeros((COUNT, len(LABELS)))
    for i in range(0, COUNT, 2):
        truth[i, LABELS.index(KNOWN[i // 2 % 3])] = 1
    heard = np.clip(0.3 * truth + 0.35 * draw.random(truth.shape), 0.01, 0.99)
    seen = np.where(truth == 1, np.where(draw.random(truth.shape) < 0.5, 0.9, np.nan), np.nan)
    sources = np.array([f"source {i // 4}" for i in range(COUNT)])
    return Videos(truth, sources, seen, heard, 0.4)


def test_every_decision_comes_from_other_sources(videos: Videos) -> None:
    first = decide(videos)
    lied = videos.truth.copy()
    own = videos.sources == "source 0"
    lied[own] = lied[own][::-1]
    other = decide(Videos(lied, videos.sources, videos.seen, videos.heard, videos.threshold))
    for name in ("heard", "fused", "heard_tuned", "fused_tuned"):
        assert (getattr(first, name)[own] == getattr(other, name)[own]).all()


def test_the_threshold_is_in_the_middle_of_the_best() -> None:
    truth = np.array([[1.0], [0.0], [0.0]])
    assert best_cut(np.array([[0.8], [0.2], [0.1]]), truth) == pytest.approx(0.505, abs=0.01)


def test_the_eye_alone_has_few_false_tags(videos: Videos) -> None:
    cut = eye_threshold(videos)
    tagged = np.nan_to_num(videos.seen) >= cut
    assert not tagged[videos.empty].any()
    assert tagged.any()


def test_an_interval_contains_the_figure_of_all_rows() -> None:
    values = np.arange(12.0)
    sources = np.array([f"s{i // 3}" for i in range(12)])
    low, middle, high = interval(lambda i: float(values[i].mean()), sources)
    assert middle == values.mean()
    assert low < middle < high


def test_without_frames_there_is_no_evidence() -> None:
    class Blind:
        labels = LABELS

        def see(self, clips: list[object]) -> list[object]:
            return []

    assert np.isnan(highest(Blind(), [])).all()  # type: ignore[arg-type]


def test_the_command_writes_a_fusion_file_per_ear(
    videos: Videos,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fusion_fit, "DRAWS", 20)
    manifest, names = tmp_path / "videos.csv", [f"{i}.mp4" for i in range(COUNT)]
    with manifest.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "labels", "source", "note"])
        for name, row, source in zip(names, videos.truth, videos.sources, strict=True):
            labels = "|".join(label for label, t in zip(LABELS, row, strict=True) if t)
            table.writerow([name, labels, source, ""])
    work, output = tmp_path / "work", tmp_path / "weights"
    work.mkdir()
    output.mkdir()
    np.savez(work / "seen.npz", files=names, seen=videos.seen, eye="made")
    arrays = {"heard.yamnet": videos.heard, "threshold.yamnet": 0.4}
    np.savez(tmp_path / "heard.npz", files=names, **arrays)  # type: ignore[arg-type]
    words = [str(manifest), str(tmp_path / "heard.npz"), "-o", str(work), "--write", str(output)]
    fusion_fit.main(words)
    text = capsys.readouterr().out
    assert text.startswith("the eye alone from ")
    assert "yamnet: gain " in text
    assert sorted(f.name for f in output.iterdir()) == ["fusion.logit.json", "fusion.yamnet.json"]
    fusion = read_fusion(output / "fusion.yamnet.json", LABELS)
    assert isinstance(fusion, LogitFusion)
    assert set(fusion.rows.ear) == {0.4}
    note = json.loads((output / "fusion.yamnet.json").read_text())["note"]
    assert "av_tagger.studies.fusion_fit" in note
