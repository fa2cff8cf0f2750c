"""av-tag analyse: figures, JSON, text, votes and accuracy by device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from av_tagger.learning.analysis.by_class import analyse
from tests.cli.conftest import AvTag
from tests.learning.analysis.runs import write_runs


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("analysis"))


def test_all_figures_and_json(group: Path, tmp_path: Path, av_tag: AvTag) -> None:
    runs = [group / "pnl", group / "vanilla"]
    words = ["analyse", *runs, "-o", tmp_path / "seen", "--data", group / "store"]
    done = av_tag(*words, "--clips", 24, "--json")
    assert done.code == 0
    found = json.loads(done.out)
    names = {
        "average-precision.png",
        "classes.png",
        "confidences.png",
        "confusion.png",
        "masked-spectrograms.png",
        "neighbours.png",
        "tmi-roc.png",
    }
    assert {f.name for f in (tmp_path / "seen").iterdir()} == names
    assert all((tmp_path / "seen" / name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert set(found["instances"]) == {"pnl", "vanilla"}
    assert found["instances"]["pnl"]["smi"] > 0.8
    assert 0.8 < found["instances"]["pnl"]["tmi_auc"] <= 1
    assert "tmi" not in found["instances"]["pnl"]  # its highest score is that of SMI
    assert set(found["runs"]) == {"pnl", "vanilla"}
    assert found["runs"]["pnl"]["spread"]["map"] == 0
    assert found["vote"]["micro_f1"] > 0.8
    assert set(found["vote"]["alone"]) == {"pnl", "vanilla"}
    assert found["map"] == pytest.approx(analyse(group / "pnl").mean("ap"))
    assert found["classes"][0]["quality"] is None  # JSON has no NaN


def test_text_without_data(group: Path, tmp_path: Path, av_tag: AvTag) -> None:
    done = av_tag("analyse", group / "vanilla", "-o", tmp_path / "seen")
    assert "prob/max: mAP" in done.out
    assert "written: average-precision.png, confusion.png" in done.out.replace("\n", " ")
    assert "weighted vote" not in done.out


def test_text_with_data_vote_and_quality(group: Path, tmp_path: Path, av_tag: AvTag) -> None:
    (tmp_path / "quality.csv").write_text("bird,0.4\nhorn,0.9\nrain,0.7\n")
    runs = [group / "vanilla", group / "pnl"]
    words = ["analyse", *runs, "-o", tmp_path / "seen", "--data", group / "store"]
    done = av_tag(*words, "--quality", tmp_path / "quality.csv")
    text = done.out.replace("\n", " ")
    assert "of the instances positive; highest score right: SMI" in text
    assert "weighted vote: micro-F1" in text


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path, av_tag: AvTag) -> None:
    done = av_tag("analyse", tmp_path, "-o", tmp_path / "seen")
    assert done.code == 2
    assert "is not the folder of a finished run" in done.err.replace("\n", " ")


def test_the_old_form_of_further_runs_works_with_a_notice(
    group: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    words = ["analyse", group / "pnl", "--with", group / "vanilla", "-o", tmp_path / "seen"]
    done = av_tag(*words, "--json")
    assert set(json.loads(done.out)["runs"]) == {"pnl", "vanilla"}
    assert "--with is the old form: name all runs as arguments" in done.err.replace("\n", " ")
