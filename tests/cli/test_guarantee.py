"""av-tag tune with a guarantee: the table at 80 columns, JSON, the file, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from tests.cli.conftest import AvTag
from tests.evaluation.runs import run_folder

LABELS = dcase2017().labels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return run_folder(tmp_path_factory.mktemp("run"), clips=1200)


def test_the_table_fits_80_columns(
    run: tuple[Path, Path], tmp_path: Path, on_terminal: AvTag
) -> None:
    target = tmp_path / "f.json"
    done = on_terminal("tune", run[0], "--truth", run[1], "-o", target, "--recall", 0.8)
    assert (done.code, done.err) == (0, "")
    for words in ("Guaranteed recall 0.8", "threshold", "95 % confidence", "same distribution"):
        assert words in " ".join(done.out.split())
    assert max(map(len, done.lines[:-1])) <= 80
    assert "recall of at least 0.8" in load_fusion(target, LABELS).note


def test_json_holds_thresholds_and_bounds(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    target = tmp_path / "f.json"
    words = ("--alarms-per-hour", 30, "--confidence", 0.9, "--json")
    content = json.loads(av_tag("tune", run[0], "--truth", run[1], "-o", target, *words).out)
    assert content["goal"] == {"kind": "alarms-per-hour", "value": 30.0, "confidence": 0.9}
    row = content["classes"]["Bus"]
    assert row["threshold"] == load_fusion(target, LABELS).rows.both[LABELS.index("Bus")]


def test_too_few_clips_are_refused_or_switched_off(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    target = tmp_path / "f.json"
    words = ("tune", run[0], "--truth", run[1], "-o", target, "--precision", 0.8)
    done = av_tag(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"av-tag: {run[0]}: precision 0.8 cannot be guaranteed with 95 %")
    assert done.err.count("\n") == 1
    assert not target.exists()
    done = av_tag(*words, "--where-possible")
    assert done.code == 0
    assert " off " in done.out
    assert load_fusion(target, LABELS).rows.both.max() > 1
    done = av_tag(*words[:-1], 0.999, "--where-possible")
    assert done.code == 2, "no class is left"
    assert "more clips of Train horn" in done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--precision", 1.5), "--precision is 1.5; it lies between 0 and 1"),
        (("--recall", 0.8, "--precision", 0.8), "give one of --precision, --recall"),
    ],
)
def test_wrong_goals_are_one_sentence(
    words: tuple[object, ...], sentence: str, run: tuple[Path, Path], av_tag: AvTag
) -> None:
    done = av_tag("tune", run[0], "--truth", run[1], *words)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err


def test_what_holds_for_all_classes_at_once_is_said(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    """The union bound, and the confidence per class that gives the asked one for all."""
    words = ("tune", run[0], "--truth", run[1], "-o", tmp_path / "f.json", "--recall", 0.7)
    first = av_tag(*words, "--confidence", 0.99, "--json")
    content = json.loads(first.out)
    assert content["confidence_together"] == pytest.approx(1 - 17 * 0.01)
    assert (
        "All 17 classes at once hold it with at least 83 % confidence (union bound)"
        in (content["statement"])
    )
    assert "for 99 % at once give --confidence 0.9995." in content["statement"]
    bold = json.loads(av_tag(*words, "--confidence", 0.9, "--json").out)["statement"]
    assert "All 17 classes at once hold it with no known confidence" in bold
