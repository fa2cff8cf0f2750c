"""From results and truth to a fusion file and to scores, in Python and on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from av_tagger.cli.evaluate import evaluate
from av_tagger.cli.tune import tune as tune_command
from av_tagger.dcase import write_events, write_tags
from av_tagger.dcase.tables import SoundEvent
from av_tagger.errors import TableError, UsageError
from av_tagger.evaluation.tuning import tune
from av_tagger.fusion import load_fusion
from av_tagger.fusion.fit import FITS, FitSettings
from av_tagger.labels import ClassList, dcase2017

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = dcase2017()
SKILLS = (
    np.where(np.arange(17) % 3 == 0, 0.0, 3.0),
    np.where(np.arange(17) % 3 == 1, 0.0, 3.0),
)  # ear blind to every third, eye to others


def run_folder(folder: Path, clips: int = 400, missing: int = 10) -> tuple[Path, Path]:
    """Results as a run leaves them, and their truth; the last clips have no result."""
    rng = np.random.default_rng(8)
    truth = rng.random((clips, 17)) < 0.12
    heard, seen = (
        np.round(1 / (1 + np.exp(-(rng.normal(size=truth.shape) + skill * truth - 2))), 6)
        for skill in SKILLS
    )
    names = [f"video{i // 2:06d}_{10 * (i % 2)}.000_{10 * (i % 2) + 10}.000" for i in range(clips)]
    rows = {
        name: [CLASSES.labels[k] for k in np.flatnonzero(truth[i])] for i, name in enumerate(names)
    }
    write_tags(folder / "truth.csv", rows)
    with (folder / "results.jsonl").open("w") as file:
        for i, name in enumerate(names[: clips - missing]):
            fused = (heard[i] + seen[i]) / 2
            tags = [
                {"label": CLASSES.labels[k], "probability": float(fused[k]), "events": []}
                for k in np.flatnonzero(fused >= 0.4)
            ]
            scores = {
                label: {
                    "fused": float(fused[k]),
                    "heard": float(heard[i, k]),
                    "seen": float(seen[i, k]),
                }
                for k, label in enumerate(CLASSES.labels)
            }
            file.write(
                json.dumps(
                    {"schema": 1, "file": f"clips/Y{name}.mp4", "tags": tags, "scores": scores}
                )
                + "\n"
            )
    return folder, folder / "truth.csv"


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Path]:
    return run_folder(tmp_path)


def test_tuning_finds_whom_to_trust_and_says_so(run: tuple[Path, Path]) -> None:
    tuning = tune(*run, CLASSES, FitSettings("joint"))
    assert (tuning.clips, tuning.unanswered) == (390, 10)
    blind_ear = {label for k, label in enumerate(CLASSES.labels) if k % 3 == 0}
    blind_eye = {label for k, label in enumerate(CLASSES.labels) if k % 3 == 1}
    assert blind_ear <= set(tuning.trusts_eye)
    assert not blind_eye & set(tuning.trusts_eye)
    weights = dict(zip(tuning.labels, tuning.weights, strict=True))
    assert max(weights[label] or 0 for label in blind_ear) < 0.4
    assert min(weights[label] or 0 for label in blind_eye) > 0.6
    assert tuning.honest.fused.f1 > max(tuning.honest.heard.f1, tuning.honest.seen.f1) + 0.1
    assert tuning.inside.f1 >= tuning.honest.fused.f1
    assert (
        tuning.points["precision"].precision
        > tuning.points["f1"].precision
        > tuning.points["recall"].precision
    )
    assert f"{tuning.honest.fused.f1:.3f} fused" in tuning.fusion.note


def test_all_methods_can_be_compared(run: tuple[Path, Path]) -> None:
    tuning = tune(*run, CLASSES, FitSettings("even"), folds=2, compare=True)
    assert tuning.methods.keys() == FITS.keys()
    assert tuning.methods["even"].f1 == tuning.honest.fused.f1
    assert tuning.methods["ear"].f1 == tuning.honest.heard.f1


def test_results_of_another_class_list_are_refused(run: tuple[Path, Path]) -> None:
    with pytest.raises(TableError, match="is not a class"):
        tune(*run, ClassList(CLASSES.classes[:5]), FitSettings())


def invoke(command: Any, *words: object) -> str:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(
        app, [str(word) for word in words], env={"COLUMNS": "200"}, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_writes_a_file_that_loads(run: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "out" / "fusion.json"
    shown = invoke(
        tune_command,
        run[0],
        "--truth",
        run[1],
        "-o",
        target,
        "--method",
        "paper-rule",
        "--folds",
        "3",
    )
    for words in (
        "Car passing by",
        "F1 fused",
        "point recall",
        "The eye beats the ear on",
        "10 clips of the truth have no scores",
    ):
        assert words in shown
    fusion = load_fusion(target, CLASSES.labels, strict=True)
    assert set(np.unique(fusion.weights)) == {0.2, 0.8}  # type: ignore[attr-defined]


def test_the_command_in_json(run: tuple[Path, Path], tmp_path: Path) -> None:
    figures = json.loads(
        invoke(tune_command, run[0], "--truth", run[1], "-o", tmp_path / "f.toml", "--json")
    )
    assert figures["method"] == "logit"
    assert figures["cross_validated"]["fused"]["f1"] > figures["cross_validated"]["heard"]["f1"]
    assert set(figures["classes"]) == set(CLASSES.labels)
    assert (
        load_fusion(tmp_path / "f.toml", CLASSES.labels).rows.both[0]
        == figures["classes"]["Train horn"]["both"]
    )


def test_evaluate_shows_and_writes_everything(run: tuple[Path, Path], tmp_path: Path) -> None:
    shown = invoke(evaluate, run[0], "--truth", run[1], "-o", tmp_path / "all.json")
    for words in (
        "micro-average (ranking)",
        "class-based",
        "mAP",
        "390 of 400 clips",
        "Motorcycle",
    ):
        assert words in shown
    figures = json.loads((tmp_path / "all.json").read_text())
    assert figures == json.loads(invoke(evaluate, run[0], "--truth", run[1], "--json"))
    assert figures["coverage"] == {"clips": 400, "answered": 390, "other": 0, "share": 0.975}
    assert figures["ranking"]["fused"]["map"] > max(
        figures["ranking"]["heard"]["map"], figures["ranking"]["seen"]["map"]
    )
    assert np.shape(figures["confusion"]) == (18, 18)
    assert set(figures["curves"]["Bus"]) == {
        "thresholds",
        "precision",
        "recall",
        "false_positive_rate",
    }


def test_evaluate_officially_forgives_what_was_not_answered(run: tuple[Path, Path]) -> None:
    ours = json.loads(invoke(evaluate, run[0], "--truth", run[1], "--json"))
    official = json.loads(invoke(evaluate, run[0], "--truth", run[1], "--official", "--json"))
    assert official["files"] == 390
    assert official["micro"]["precision"] == ours["micro"]["precision"]
    assert official["micro"]["recall"] > ours["micro"]["recall"]
    assert "instance-based (ranking)" in invoke(evaluate, run[0], "--truth", run[1], "--official")


def test_evaluate_task_b(tmp_path: Path) -> None:
    write_events(
        tmp_path / "truth.csv", {"a": (SoundEvent("Car", 0, 2),), "b": (SoundEvent("Bus", 0, 2),)}
    )
    write_events(tmp_path / "said.csv", {"a": (SoundEvent("Car", 0, 1),)})
    figures = json.loads(
        invoke(
            evaluate,
            tmp_path / "said.csv",
            "--truth",
            tmp_path / "truth.csv",
            "--task",
            "b",
            "--json",
        )
    )
    assert figures["overall"]["error_rate"] == 0.75
    assert figures["classes"]["Train"]["error_rate"] is None
    assert "error rate 0.75" in invoke(
        evaluate, tmp_path / "said.csv", "--truth", tmp_path / "truth.csv", "--task", "b"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--task", "c"), "there is no task 'c'"), (("--task", "b", "--official"), "about task a")],
)
def test_what_cannot_be_meant(words: tuple[str, ...], says: str, run: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match=says):
        invoke(evaluate, run[0], "--truth", run[1], *words)
