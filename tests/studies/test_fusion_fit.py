"""The fusion study at its smallest: made scores, and one short video through the eye."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from av_tagger.fusion import LogitFusion, load_fusion
from av_tagger.labels import dcase2017
from av_tagger.studies import fusion_fit
from av_tagger.studies.fusion_fit import Videos, best_cut, bounded, decide, interval, micro_f1
from av_tagger.studies.fusion_look import look
from tests.assets import make_video

LABELS = dcase2017().labels
CAR = LABELS.index("Car")


def made(n: int = 60) -> Videos:
    """Cars that the ear half hears and the eye sees; ten sources."""
    random = np.random.default_rng(3)
    truth = np.zeros((n, 17))
    truth[::3, CAR] = 1
    heard = np.full((n, 17), 0.02)
    heard[:, CAR] = np.where(truth[:, CAR] == 1, 0.3, 0.1) * random.uniform(0.8, 1.2, n)
    seen = np.full((n, 17), np.nan)
    seen[::3, CAR] = random.uniform(0.4, 0.9, len(seen[::3]))
    return Videos(truth, np.array([f"s{i % 10}" for i in range(n)]), seen, heard, 0.4)


def test_every_video_is_decided_without_its_source() -> None:
    videos = made()
    said = decide(videos)
    assert not said.heard.any()
    assert micro_f1(said.fused, videos.truth) == 1
    assert micro_f1(said.heard_tuned, videos.truth) > 0.9


def test_what_is_unknown_is_no_mistake() -> None:
    truth = np.array([[1.0, np.nan], [0.0, 0.0]])
    assert micro_f1(np.array([[True, True], [False, False]]), truth) == 1
    assert micro_f1(np.array([[True, True], [True, False]]), truth) == pytest.approx(2 / 3)


def test_a_cut_is_the_middle_of_the_good_ones() -> None:
    scores = np.array([[0.8], [0.2]])
    assert best_cut(scores, np.array([[1.0], [0.0]])) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("threshold", [0.05, 0.21, 0.4, 0.9])
def test_what_is_not_heard_stays_below_the_threshold(threshold: float) -> None:
    from av_tagger.fusion.logit import logit, sigmoid

    most = bounded(threshold)
    assert sigmoid(logit(np.array(0.01)) + most) < threshold
    assert 0 <= most <= 4


def test_an_interval_holds_its_figure() -> None:
    sources = np.array([f"s{i % 7}" for i in range(70)])
    values = np.random.default_rng(0).random(70)
    low, middle, high = interval(lambda rows: float(values[rows].mean()), sources)
    assert low < middle < high
    assert middle == pytest.approx(values.mean())


def test_the_study_writes_files_that_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = made(30)
    names = [f"{i}.mp4" for i in range(30)]
    with (tmp_path / "dev.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "labels", "source", "note"])
        for i, name in enumerate(names):
            writer.writerow([name, "Car" if i % 3 == 0 else "", videos.sources[i], ""])
    (tmp_path / "work").mkdir()
    np.savez(tmp_path / "work" / "seen.npz", files=names, seen=videos.seen)
    arrays = {"heard.yamnet+starter": videos.heard, "threshold.yamnet+starter": 0.4}
    np.savez(tmp_path / "heard.npz", files=names, **arrays)
    paths = [str(tmp_path / name) for name in ("dev.csv", "heard.npz")]
    out = tmp_path / "out"
    fusion_fit.main([*paths, "-o", str(tmp_path / "work"), "--write", str(out)])
    assert "yamnet+starter: gain" in capsys.readouterr().out
    assert sorted(p.name for p in out.iterdir()) == [
        "fusion.logit.json",
        "fusion.starter+yamnet.json",
    ]
    fusion = load_fusion(out / "fusion.starter+yamnet.json", LABELS)
    assert isinstance(fusion, LogitFusion)
    assert fusion.gain[CAR] > 0 == fusion.gain[LABELS.index("Car alarm")]
    assert (
        "on sources left out"
        in json.loads((out / "fusion.starter+yamnet.json").read_text())["note"]
    )


def test_a_video_is_looked_at_once(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    seen = look([path], tmp_path / "seen.npz")
    assert seen.shape == (1, 17)
    path.unlink()
    np.testing.assert_array_equal(look([path], tmp_path / "seen.npz"), seen)
