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


def test_the_tables_fit_80_columns(
    run: tuple[Path, Path], tmp_path: Path, on_terminal: AvTag
) -> None:
    done = on_terminal("tune", run[0], "--truth", run[1], "-o", tmp_path / "f.json", "--folds", 2)
    for words in (
        "method logit, point f1",
        "Car passing by",
        "On held-out clips, 2 folds",
        "point recall",
        "390 clips: 390 heard, 390 seen",
        "Classes in which the eye beats the ear: ",
        "optimistic",
        "10 clips of the ground truth have no scores; not used",
        "95 % interval over 195 recordings",
        "fused minus ear only +0.",
        "Looking corrected ",
        "held-out calibration of the fused scores (classes: ",
        "after: calibration error 0.",
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
        assert f"method {method}" in done.out


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
        (("--calibrate", "plat"), "there is no calibration 'plat'; did you mean 'platt'?"),
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
    done = av_tag("tune", tmp_path / "day.sqlite", "--alarms-per-hour", 5, "-o", rules)
    assert done.code == 0
    assert "5 of    20 events, threshold 0.6401" in done.out
    assert "threshold = 0.6401" in rules.read_text()


def changed(folder: Path, **branches: object) -> Path:
    """Results without the scores of a branch, or with another name of it."""
    lines = []
    for line in (folder / "results.jsonl").read_text().splitlines():
        document = json.loads(line)
        for part, key in (("ear", "heard"), ("eye", "seen")):
            if branches.get(part) == "off":
                document[part]["status"] = "off"
                for scores in document["scores"].values():
                    scores[key] = None
            elif part in branches:
                document[part]["model"] = branches[part]
        lines.append(json.dumps(document))
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_without_an_eye_nothing_speaks_of_one(tmp_path: Path, av_tag: AvTag) -> None:
    folder, truth = run_folder(tmp_path)
    changed(folder, eye="off")
    done = av_tag("tune", folder, "--truth", truth, "-o", tmp_path / "f.json", "--folds", 2)
    head = next(line for line in done.lines if line.startswith("class"))
    assert head.split() == ["class", "ear", "heard", "clips"]
    assert "eye only" not in done.out
    assert "beats" not in done.out
    assert "390 clips: 390 heard, 0 seen" in done.out
    rows = json.loads((tmp_path / "f.json").read_text())["classes"]
    assert all(row["eye"] <= 1 for row in rows), "no class is switched off for the eye"


def test_classes_that_are_switched_off_are_named(tmp_path: Path, av_tag: AvTag) -> None:
    """A class that no threshold finds has a threshold that no clip reaches."""
    folder, truth = run_folder(tmp_path, clips=60, missing=0)
    rows = [row for row in truth.read_text().splitlines() if not row.endswith("\tBus")]
    truth.write_text("\n".join(rows) + "\n")
    words = ("tune", folder, "--truth", truth, "-o", tmp_path / "f.json", "--folds", 2)
    done = av_tag(*words, "--few", 0, "--method", "even")
    (line,) = (line for line in done.lines if line.startswith("Never tagged"))
    assert "Bus" in line
    assert "1.01" not in done.out


def test_a_fusion_file_knows_its_ear_and_eye(tmp_path: Path, av_tag: AvTag) -> None:
    folder, truth = run_folder(tmp_path)
    changed(folder, ear="crnn")
    av_tag("tune", folder, "--truth", truth, "-o", tmp_path / "f.toml", "--folds", 2)
    fusion = load_fusion(tmp_path / "f.toml", LABELS)
    assert (fusion.fitted_ear, fusion.fitted_eye) == ("crnn", "random")


def test_a_manifest_is_ground_truth(tmp_path: Path, av_tag: AvTag) -> None:
    """As for training: file,labels; one name in two folders; unknown labels are not scored."""
    truth = tmp_path / "clips.csv"
    lines, rows = [], ["file,labels,unknown"]
    for n in range(40):
        label = "Dog" if n % 2 else "Cat"
        name = f"{label.lower()}/{n // 2}.wav"
        rows.append(f"{name},{label},{'Cat' if n == 39 else ''}")
        score = {"fused": 0.9, "heard": 0.9, "threshold": 0.5}
        scores = {label: score, "Bark": score, "Cat" if n % 2 else "Dog": score | {"heard": 0.1}}
        tags = [{"label": label, "probability": 0.9}, {"label": "Bark", "probability": 0.9}]
        line = {"schema": 1, "file": f"/data/{name}", "tags": tags, "scores": scores}
        lines.append(json.dumps(line))
    truth.write_text("\n".join(rows) + "\n")
    (tmp_path / "r.jsonl").write_text("\n".join(lines) + "\n")
    found = json.loads(av_tag("evaluate", tmp_path / "r.jsonl", "--truth", truth, "--json").out)
    assert list(found["classes"]) == ["Cat", "Dog"]
    assert found["coverage"] == {"clips": 40, "answered": 40, "other": 0, "share": 1.0}
    assert found["micro"]["f1"] == 1.0
    assert found["remarks"] == [
        "unknown labels of single classes, not scored: 1",
        "results have 1 more classes, left out: Bark ...",
    ]
    words = ("tune", tmp_path / "r.jsonl", "--truth", truth, "-o", tmp_path / "f.json")
    tuned = json.loads(av_tag(*words, "--folds", 2, "--json").out)
    assert (tuned["clips"], tuned["heard"], tuned["seen"]) == (40, 40, 0)
    assert tuned["cross_validated"]["fused"]["f1"] == 1.0


def test_a_manifest_with_a_wrong_label_names_the_line(tmp_path: Path, av_tag: AvTag) -> None:
    (tmp_path / "m.csv").write_text("file,labels\na.wav,Car\nb.wav,Buss\n")
    (tmp_path / "r.jsonl").write_text('{"schema": 1, "file": "a.wav", "tags": []}\n')
    words = ("evaluate", tmp_path / "r.jsonl", "--truth", tmp_path / "m.csv")
    done = av_tag(*words, "--classes", "Car;Bus")
    assert done.code == 2
    assert "m.csv, line 3: there is no sound class 'Buss'; did you mean 'Bus'?" in done.err
