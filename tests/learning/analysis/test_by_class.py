"""Analysis of runs: metrics by hand and against libraries, figures, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from av_tagger.cli.analyse import AnalyseOptions, _analyse
from av_tagger.errors import TableError, UsageError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.analysis.by_class import (
    analyse,
    confusions,
    correlation,
    read_qualities,
)
from av_tagger.learning.analysis.figures import (
    confidences,
    masked_spectrograms,
    neighbours,
    precision_beside_counts,
)
from av_tagger.learning.analysis.instances import Instances, hear_instances
from av_tagger.learning.data.embedding_store import Packer, open_store
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train

LABELS = ("bird", "horn", "rain")


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of embeddings with some positive instances per clip, and two runs on it."""
    root = tmp_path_factory.mktemp("analysis")
    draw = np.random.default_rng(0)
    with Packer(root / "store", LABELS) as packer:
        for i in range(48):
            rows = draw.normal(0, 1, (6, 8)).astype(np.float32)
            rows[: 1 + i % 4, i % 3] += 4
            packer.add(f"clip {i}", rows, [i % 3])
    bags = open_store(root / "store").bags(ClassList(tuple(SoundClass(name) for name in LABELS)))
    small = [
        "architecture.features.bands=8",
        "architecture.extractor_settings.widths=[12]",
        "batch=16",
        "optimiser.lr=0.02",
    ]
    for name, loss in (("vanilla", ""), ("pnl", "loss.instance=pnl")):
        recipe = read_recipe(
            "prob/max",
            [*small, "length.iterations=40", "length.epoch_steps=20", *([loss] if loss else [])],
        )
        train(recipe, TrainingData(bags, bags), root / name, TrainingOptions(device="cpu"))
    return root


def looked_into(group: Path, run: str = "pnl") -> Instances:
    return hear_instances(
        group / run,
        open_store(group / "store").bags(ClassList(tuple(SoundClass(n) for n in LABELS))),
        30,
    )


def test_correlation_by_hand() -> None:
    found = correlation(np.array([1.0, 2.0, np.nan, 4.0]), np.array([1.0, 2.0, 9.0, 2.0]))
    assert found is not None
    x, y = np.array([-4 / 3, -1 / 3, 5 / 3]), np.array([-2 / 3, 1 / 3, 1 / 3])
    assert found.r == pytest.approx((x @ y) / math.sqrt((x @ x) * (y @ y)))
    assert found.classes == 3
    assert correlation(np.ones(5), np.arange(5.0)) is None
    assert correlation(np.arange(2.0), np.arange(2.0)) is None


def test_confusions_by_hand() -> None:
    scores = np.array(
        [[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.2, 0.8, 0.7], [0.1, 0.2, 0.3]], np.float32
    )
    targets = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    # the third clip says horn and rain: horn is right, bird was taken for rain
    assert confusions(scores, targets).tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]


def test_instances_by_hand() -> None:
    p = np.array([[0.9, 0.2], [0.3, 0.4], [0.1, 0.2]], np.float32)
    i = Instances((p,), (p,), (p,), np.array([[1, 0]], np.float32))
    np.testing.assert_allclose(i.confidences(), [0.9, 0.3, 0.1], rtol=1e-6)
    assert i.positive()[0].tolist() == [True, False, False]
    assert i.found() == pytest.approx(1 / 3)
    assert i.accuracy() == {"smi": 1.0, "cmi": 0.0, "tmi": 1.0}


def test_label_quality_is_a_share_or_percent(tmp_path: Path) -> None:
    file = tmp_path / "quality.csv"
    file.write_text('label,quality\nbird,0.4\n"horn, loud",90%\n')
    assert read_qualities(file) == {"bird": 0.4, "horn, loud": 0.9}
    for text in ("bird,much\n", "bird,1.5\n", "0.5\n"):
        file.write_text(text)
        with pytest.raises(TableError, match="line 1: has no quality"):
            read_qualities(file)


def test_metrics_per_class_equal_scikit_learn(group: Path, tmp_path: Path) -> None:
    (tmp_path / "quality.csv").write_text("bird,0.4\nhorn,0.9\nrain,0.7\n")
    found = analyse(group / "pnl", tmp_path / "quality.csv")
    assert [c.label for c in found.classes] == list(LABELS)
    assert [c.training for c in found.classes] == [16, 16, 16]
    assert found.by_count is None  # all counts are alike
    assert found.by_quality is not None or found.mean("ap") == 1.0
    scores = np.load(group / "pnl" / "validation.npz")
    aps = [
        sklearn.metrics.average_precision_score(scores["targets"][:, k], scores["scores"][:, k])
        for k in range(3)
    ]
    assert [c.ap for c in found.classes] == pytest.approx(aps)
    assert found.confusion.sum() == 48


def test_figures_show_the_results(group: Path) -> None:
    analysis, instances = analyse(group / "pnl"), looked_into(group)
    upper, lower = precision_beside_counts(analysis).axes
    assert len(upper.patches) == len(lower.patches) == 3
    assert sorted(p.get_height() for p in lower.patches) == sorted(c.ap for c in analysis.classes)  # type: ignore[attr-defined]
    (axes,) = confidences({"pnl": instances}).axes
    assert f"{100 * instances.found():.0f} %" in axes.get_legend().get_texts()[0].get_text()  # type: ignore[union-attr]
    masked = masked_spectrograms(instances, LABELS).axes
    assert len(masked) == 3
    assert all(axes.images for axes in masked)
    (plane,) = neighbours(instances, LABELS, most=60).axes
    assert sum(len(c.get_offsets()) for c in plane.collections) == 60


def test_the_command_draws_all_figures(
    group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _analyse(
        AnalyseOptions(
            group / "pnl",
            tmp_path / "seen",
            group / "store",
            clips=24,
            beside=[group / "vanilla"],
            json=True,
        )
    )
    found = json.loads(capsys.readouterr().out)
    names = {
        "average-precision.png",
        "confidences.png",
        "confusion.png",
        "masked-spectrograms.png",
        "neighbours.png",
    }
    assert {f.name for f in (tmp_path / "seen").iterdir()} == names
    assert all((tmp_path / "seen" / name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert set(found["instances"]) == {"pnl", "vanilla"}
    assert found["instances"]["pnl"]["smi"] > 0.8
    assert found["vote"]["micro_f1"] > 0.8
    assert found["map"] == pytest.approx(analyse(group / "pnl").mean("ap"))


def test_without_data_the_command_draws_two_figures(
    group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _analyse(AnalyseOptions(group / "vanilla", tmp_path / "seen"))
    said = capsys.readouterr().out
    assert "prob/max: mAP" in said
    assert "written: average-precision.png, confusion.png" in said.replace("\n", " ")


def test_data_of_another_kind_are_an_error(group: Path) -> None:
    class Sounds:
        kind, labels = "waveform", LABELS

    with pytest.raises(UsageError, match="does not read waveform"):
        hear_instances(group / "pnl", Sounds())  # type: ignore[arg-type]
