"""av-tag evaluate: tables at 80 columns, JSON, both tasks, and wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from av_tagger.dcase import SoundEvent, write_events, write_tags
from tests.cli.conftest import AvTag
from tests.evaluation.runs import LABELS, run_folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return run_folder(tmp_path_factory.mktemp("run"))


@pytest.fixture
def events(tmp_path: Path) -> tuple[Path, Path]:
    """Predicted and true events of two clips: half of one car is found, the bus is missed."""
    truth = {"a": (SoundEvent("Car", 0, 2),), "b": (SoundEvent("Bus", 0, 2),)}
    write_events(tmp_path / "truth.csv", truth)
    write_events(tmp_path / "said.csv", {"a": (SoundEvent("Car", 0, 1),)})
    return tmp_path / "said.csv", tmp_path / "truth.csv"


def test_tables_of_tags_fit_80_columns(run: tuple[Path, Path], on_terminal: AvTag) -> None:
    done = on_terminal("evaluate", run[0], "--truth", run[1])
    assert (done.code, done.err) == (0, "")
    for words in (
        "Tags per class",
        "Motorcycle",
        "AUC",
        "micro-average: precision",
        "class average: precision",
        "fused: mAP",
        "390 of 400 clips have predictions (97.5 %); the rest count as untagged",
    ):
        assert words in done.out
    assert max(map(len, done.lines)) <= 80
    assert all(label in done.out for label in LABELS), "names are not cut"


def test_json_and_the_file_hold_the_same(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    target = tmp_path / "new" / "all.json"
    figures = json.loads(av_tag("evaluate", run[0], "--truth", run[1], "--json").out)
    assert av_tag("evaluate", run[0], "--truth", run[1], "-o", target).code == 0
    assert json.loads(target.read_text()) == figures
    assert figures["coverage"] == {"clips": 400, "answered": 390, "other": 0, "share": 0.975}
    maps = {branch: ranking["map"] for branch, ranking in figures["ranking"].items()}
    assert maps["fused"] > max(maps["heard"], maps["seen"])
    assert np.shape(figures["confusion"]) == (18, 18)
    curve = figures["curves"]["Bus"]
    assert set(curve) == {"thresholds", "precision", "recall", "false_positive_rate"}


def test_intervals_and_a_comparison_are_shown(run: tuple[Path, Path], on_terminal: AvTag) -> None:
    words = ("evaluate", run[0], "--truth", run[1], "--compare", run[0] / "results.jsonl")
    done = on_terminal(*words)
    text = " ".join(done.out.split())
    assert "95 % intervals over 200 recordings: micro-F1 0." in text
    assert "looking adds" in text
    assert "p = 1.0000: may be chance" in text
    assert max(map(len, done.lines)) <= 80
    content = json.loads(on_terminal(*words, "--json").out)
    assert content["comparison"]["micro_f1"]["difference"] == 0
    low, high = content["intervals"]["classes"]["Bus"]["f1"]
    assert low < content["classes"]["Bus"]["f1"] < high
    done = on_terminal(*words, "--official")
    assert (done.code, done.out) == (2, "")
    assert "--compare is for task a" in done.err


def test_a_submission_has_no_ranking(tmp_path: Path, av_tag: AvTag) -> None:
    write_tags(tmp_path / "truth.csv", {"a": ("Car",), "b": ("Bus",)})
    write_tags(tmp_path / "said.csv", {"a": ("Car",), "b": (), "z": ("Car",)})
    with (tmp_path / "said.csv").open("a") as file:
        file.write("a.wav\t0.000\t10.000\tCar\n")
    done = av_tag("evaluate", tmp_path / "said.csv", "--truth", tmp_path / "truth.csv")
    assert "AUC" not in done.out
    assert "micro-average: precision 100.0, recall 50.0, F1 66.7" in done.out
    assert "1 predicted clips are not in the ground truth, 0 clips failed" in done.out
    assert "1 repeated rows were counted once" in done.out


def test_official_scores_ignore_clips_without_predictions(
    run: tuple[Path, Path], av_tag: AvTag
) -> None:
    words = ("evaluate", run[0], "--truth", run[1], "--json")
    ours, official = (json.loads(av_tag(*words, *w).out) for w in ((), ("--official",)))
    assert official["files"] == 390
    assert official["micro"]["precision"] == ours["micro"]["precision"]
    assert official["micro"]["recall"] > ours["micro"]["recall"]
    shown = av_tag("evaluate", run[0], "--truth", run[1], "--official")
    (ranking,) = (line for line in shown.lines if line.startswith("ranking F1 (instance-based): "))
    assert len(ranking) <= 80
    assert f"{100 * official['micro']['f1']:.10f}" in ranking
    assert "audio files in the predictions: 390" in shown.out
    assert "scored 390 of 400 clips (97.5 %); the script ignores all others" in shown.out


def test_events_are_scored_in_segments(events: tuple[Path, Path], on_terminal: AvTag) -> None:
    words = ("evaluate", events[0], "--truth", events[1], "--task", "b")
    figures = json.loads(on_terminal(*words, "--json").out)
    assert figures["overall"]["error_rate"] == 0.75
    assert figures["classes"]["Train"]["error_rate"] is None
    done = on_terminal(*words)
    assert "error rate 0.75 (substitutions 0.00, deletions 0.75, insertions 0.00)" in done.out
    assert max(map(len, done.lines)) <= 80


def test_own_classes_by_name_or_file(tmp_path: Path, av_tag: AvTag) -> None:
    (tmp_path / "classes.txt").write_text("Dog\nCat\n")
    row = "a.wav\t0.000\t10.000\tDog\n"
    (tmp_path / "t.csv").write_text(row)
    for classes in ("Dog;Cat", tmp_path / "classes.txt"):
        words = ("evaluate", tmp_path / "t.csv", "--truth", tmp_path / "t.csv", "--json")
        figures = json.loads(av_tag(*words, "--classes", classes).out)
        assert figures["classes"]["Dog"]["f1"] == 1.0
        assert list(figures["classes"]) == ["Dog", "Cat"]
    done = av_tag("evaluate", tmp_path / "t.csv", "--truth", tmp_path / "t.csv")
    assert done.code == 2
    assert "t.csv, line 1: 'Dog' is not a class" in done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--task", "c"), "there is no task 'c'; known: a, b"),
        (("--task", "b", "--official"), "--official is for task a"),
        (("--taks", "b"), "No such option: --taks"),
    ],
)
def test_wrong_flags_are_one_sentence(
    words: tuple[str, ...], sentence: str, run: tuple[Path, Path], av_tag: AvTag
) -> None:
    done = av_tag("evaluate", run[0], "--truth", run[1], *words)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"schema": 7, "file": "a"}\n', "line 1: has schema 7"),
        ('{"schema": 1, "file": "a", "tags": 1}\n', "line 1: tags is 1; expected a list"),
        ("", "is empty"),
        ("a.wav,0,10,Car\n", "line 1: is separated by commas"),
        ("z.wav\t0\t10\tCar\n", "have no clip in common"),
    ],
)
def test_malformed_predictions_are_one_sentence(
    content: str, sentence: str, run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    (tmp_path / "said").write_text(content)
    done = av_tag("evaluate", tmp_path / "said", "--truth", run[1])
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_a_run_without_an_eye_says_so(tmp_path: Path, av_tag: AvTag) -> None:
    folder, truth = run_folder(tmp_path)
    lines = []
    for line in (folder / "results.jsonl").read_text().splitlines():
        document = json.loads(line)
        for scores in document["scores"].values():
            scores["seen"] = None
        lines.append(json.dumps(document))
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    done = av_tag("evaluate", folder, "--truth", truth)
    assert "seen: the run had no eye (pictures were not used)" in done.out
    assert "seen: mAP" not in done.out
    found = json.loads(av_tag("evaluate", folder, "--truth", truth, "--json").out)
    assert found["unused"] == ["seen"]
    assert set(found["ranking"]) == {"fused", "heard"}


def rows(path: Path, *lines: str) -> Path:
    path.write_bytes(b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in lines))
    return path


ONE, TWO = "-5QrBL6MzLg_60.000_70.000.wav", "0_HnD-rW3lI_30.000_40.000.wav"


def test_official_scores_name_what_the_script_ignores(tmp_path: Path, av_tag: AvTag) -> None:
    truth = rows(tmp_path / "t.csv", f"{ONE}\t60\t70\tCar", f"{TWO}\t30\t40\tBus")
    said = rows(tmp_path / "s.csv", f"{ONE}\t60\t70\tCar", f"Y{TWO}\t30\t40\tBus", "other.wav")
    done = av_tag("evaluate", said, "--truth", truth, "--official")
    assert "scored 1 of 2 clips (50.0 %)" in done.out
    assert "ignored 2 names, such as Y0_HnD-rW3lI_30.000_40.000" in done.out
    said = " ".join(done.out.split())
    assert "1 of them are in the ground truth in another spelling" in said
    assert "without the leading Y" in said
    every = rows(tmp_path / "y.csv", f"Y{ONE}\t60\t70\tCar")
    wrong = av_tag("evaluate", every, "--truth", truth, "--official")
    assert wrong.code == 2
    assert "names have no leading Y" in wrong.err


@pytest.mark.parametrize("label", ["[/]", "[red]Car[/red]", "\x1b[31mCar"])
def test_labels_are_text_and_no_markup(label: str, tmp_path: Path, av_tag: AvTag) -> None:
    table = rows(tmp_path / "t.csv", f"a.wav\t0\t10\t{label}")
    done = av_tag("evaluate", table, "--truth", table, "--official")
    assert done.code == 0
    assert label.replace("\x1b", "\\x1b") in done.out
    assert "\x1b[31m" not in done.out


def test_labels_that_are_not_utf8_stay_apart(tmp_path: Path, av_tag: AvTag) -> None:
    table = rows(tmp_path / "t.csv", "a.wav\t0\t10\tCa\udcff", "a.wav\t0\t10\tCa\udcfe")
    found = json.loads(av_tag("evaluate", table, "--truth", table, "--official", "--json").out)
    assert sorted(found["classes"]) == ["Ca\\xfe", "Ca\\xff"]


def test_a_name_that_begins_with_a_brace_is_a_table(tmp_path: Path, av_tag: AvTag) -> None:
    table = rows(tmp_path / "t.csv", "{x.wav\t0\t10\tCar")
    done = av_tag("evaluate", table, "--truth", table)
    assert "micro-average: precision 100.0, recall 100.0, F1 100.0" in done.out


def test_time_with_an_underscore_is_refused(tmp_path: Path, av_tag: AvTag) -> None:
    table = rows(tmp_path / "t.csv", "a.wav\t0\t7_0\tCar")
    for words in ((), ("--official",)):
        done = av_tag("evaluate", table, "--truth", table, *words)
        assert (done.code, "line 1: '7_0' is not a time" in done.err) == (2, True)


def test_ap_and_auc_say_over_which_clips(run: tuple[Path, Path], av_tag: AvTag) -> None:
    lines = av_tag("evaluate", run[0], "--truth", run[1]).lines
    assert all(
        any(line.startswith(f"{b}: mAP") and line.endswith(" over 390 clips") for line in lines)
        for b in ("fused", "heard", "seen")
    )


def test_scores_of_the_eye_say_how_many_clips_it_has_seen(tmp_path: Path, av_tag: AvTag) -> None:
    folder, truth = run_folder(tmp_path, clips=40, missing=0)
    lines = (folder / "results.jsonl").read_text().splitlines()
    for n, line in enumerate(lines[:10]):
        document = json.loads(line)
        for scores in document["scores"].values():
            scores["seen"] = None
        lines[n] = json.dumps(document | {"eye": document["eye"] | {"status": "off"}})
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    done = av_tag("evaluate", folder, "--truth", truth)
    assert "over 40 clips, 10 of them without its score" in done.out


def test_task_b_lists_its_differences_and_warns_of_weak_truth(
    events: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    done = av_tag("evaluate", events[0], "--truth", events[1], "--task", "b")
    assert "differs from the challenge:" in done.out
    assert "- a clip of the ground truth without a prediction counts as missed" in done.out
    assert "weak list" not in done.out
    weak = rows(tmp_path / "weak.csv", f"{ONE}\t60.000\t70.000\tCar", f"{TWO}\t30\t40\tBus")
    warned = av_tag("evaluate", weak, "--truth", weak, "--task", "b")
    assert "the ground truth looks like a weak list" in warned.out


def test_clips_named_by_start_or_id_are_matched(tmp_path: Path, av_tag: AvTag) -> None:
    truth = rows(tmp_path / "t.csv", f"{ONE}\t60\t70\tCar", f"{TWO}\t30\t40\tBus")
    line = {"schema": 1, "tags": [{"label": "Car", "probability": 0.9}], "duration": 9.9}
    names = ("-5QrBL6MzLg_000060.mp4", "Night [0_HnD-rW3lI].mp4", "zzzzzzzzzzz_0_10.wav")
    said = rows(tmp_path / "r.jsonl", *(json.dumps(line | {"file": name}) for name in names))
    found = json.loads(av_tag("evaluate", said, "--truth", truth, "--json").out)
    assert found["coverage"] == {"clips": 2, "answered": 2, "other": 1, "share": 1.0}
    assert found["remarks"] == [
        "matched by id and start or length: 2 (-5QrBL6MzLg_000060 is -5QrBL6MzLg_60.000_70.000)"
    ]


def test_clips_shorter_than_listed_are_told(tmp_path: Path, av_tag: AvTag) -> None:
    truth = rows(tmp_path / "t.csv", f"{ONE}\t60\t70\tCar")
    line = {"schema": 1, "tags": [], "duration": 4.0, "file": f"Y{ONE}"}
    said = rows(tmp_path / "r.jsonl", json.dumps(line))
    done = av_tag("evaluate", said, "--truth", truth)
    assert f"shorter than listed: 1 clips, such as {ONE.removesuffix('.wav')}" in done.out


def test_nothing_wraps_in_a_pipe(
    run: tuple[Path, Path], av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every label and sentence is on one line, whatever the terminal of the test is."""
    monkeypatch.delenv("COLUMNS")
    done = av_tag("evaluate", run[0], "--truth", run[1])
    assert any(
        line.startswith("390 of 400 clips") and line.endswith("untagged") for line in done.lines
    )
    assert all(any(line.startswith(label) for line in done.lines) for label in LABELS)
