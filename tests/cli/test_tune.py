"""av-tag tune: the fusion file, the tables at 80 columns, JSON, and wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from tests.cli.conftest import AvTag
from tests.evaluation.runs import run_folder

LABELS = dcase2017().labels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return run_folder(tmp_path_factory.mktemp("run"))


def test_the_fusion_file_can_be_loaded(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    target = tmp_path / "out" / "fusion.json"
    words = ("tune", run[0], "--truth", run[1], "-o", target, "--method", "paper-rule")
    done = av_tag(*words, "--folds", 3)
    assert (done.code, done.err) == (0, "")
    fusion = load_fusion(target, LABELS, strict=True)
    assert set(np.unique(fusion.weights)) == {0.2, 0.8}  # type: ignore[attr-defined]
    assert done.lines[-1] == f"wrote {target}" or done.out.replace("\n", "").endswith(str(target))


def test_the_tables_fit_80_columns(run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag) -> None:
    done = av_tag("tune", run[0], "--truth", run[1], "-o", tmp_path / "f.json", "--folds", 2)
    for words in (
        "method logit, point f1",
        "Car passing by",
        "On held-out clips, 2 folds",
        "fused, point recall",
        "Classes in which the eye beats the ear: ",
        "optimistic",
        "10 clips of the ground truth have no scores; not used",
    ):
        assert words in done.out
    assert max(map(len, done.lines[:-1])) <= 80
    for label in LABELS:
        assert label in done.out, "names are not cut"


def test_compare_adds_a_row_per_method(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    words = ("tune", run[0], "--truth", run[1], "-o", tmp_path / "f.json", "--folds", 2)
    done = av_tag(*words, "--method", "even", "--compare")
    for method in ("joint", "paper-rule", "stacked", "max"):
        assert f"fused, method {method}" in done.out


def test_json_holds_the_figures_alone(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    target = tmp_path / "f.toml"
    done = av_tag("tune", run[0], "--truth", run[1], "-o", target, "--json", "--folds", 2)
    figures = json.loads(done.out)
    assert figures["method"] == "logit"
    assert figures["cross_validated"]["fused"]["f1"] > figures["cross_validated"]["heard"]["f1"]
    assert set(figures["classes"]) == set(LABELS)
    both = load_fusion(target, LABELS).rows.both[0]
    assert both == figures["classes"]["Train horn"]["both"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--method", "jiont"), "there is no fit method 'jiont'; did you mean 'joint'?"),
        (("--point", "f2"), "there is no operating point 'f2'"),
        (("--folds", "1"), "Invalid value for '--folds'"),
        (("--classes", "Trian"), "did you mean 'Train'"),
        (("--classes", "Train"), "is not a class"),
    ],
)
def test_wrong_flags_are_one_sentence(
    words: tuple[str, str],
    sentence: str,
    run: tuple[Path, Path],
    tmp_path: Path,
    av_tag: AvTag,
) -> None:
    done = av_tag("tune", run[0], "--truth", run[1], "-o", tmp_path / "f.json", *words)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "f.json").exists()


def test_missing_input_is_one_sentence(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    assert "needs ground truth (--truth TABLE)" in av_tag("tune", run[0]).err
    done = av_tag("tune", tmp_path / "none", "--truth", run[1])
    assert (done.code, done.err) == (
        2,
        f"av-tag: {tmp_path / 'none'}: no such file or folder; check the path\n",
    )


def test_tags_without_scores_cannot_be_tuned(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    done = av_tag("tune", run[1], "--truth", run[1], "-o", tmp_path / "f.json")
    assert done.code == 2
    assert "has tags but no scores; use the JSON lines of av-tag --json" in done.err


def test_alarms_of_a_journal(av_tag: AvTag, tmp_path: Path) -> None:
    from av_tagger.live.lines import LineKind, LiveLine
    from av_tagger.live.outputs.files import DailyJournal
    from tests.live.outputs.test_outputs import HEAD

    journal = DailyJournal(tmp_path, HEAD, lambda: "day")
    for n in range(20):
        start = n * 180.0
        journal.take(
            LiveLine(LineKind.CLOSE, start, start + 180, "Bus", 0.5 + n / 100, number=n + 1)
        )
    journal.close()
    rules = tmp_path / "alarms.toml"
    done = av_tag("tune", tmp_path / "day.sqlite", "--alarms", 5, "-o", rules)
    assert done.code == 0
    assert "5 of    20 events, threshold 0.6401" in done.out
    assert "threshold = 0.6401" in rules.read_text()
