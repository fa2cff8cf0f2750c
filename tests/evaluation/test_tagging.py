"""Subtask A: by hand, against scikit-learn, and official scores against a plain rewrite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from av_tagger.errors import TableError, UsageError
from av_tagger.evaluation.official import OfficialTable, read_official, score_officially
from av_tagger.evaluation.report import evaluate_officially, evaluate_tags
from av_tagger.evaluation.tagging import confusion, label_matrix, score_tags
from av_tagger.labels import ClassList, SoundClass

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("Car", "Bus", "Train")
CLASSES = ClassList(tuple(SoundClass(label) for label in LABELS))
TRUTH = {"a": ("Car", "Bus"), "b": ("Car",), "c": ("Train",), "d": ()}

Tags = Mapping[str, Sequence[str]]
Rows = list[tuple[str, str]]
some_tags = st.dictionaries(
    st.sampled_from("abcdef"),
    st.lists(st.sampled_from(LABELS), max_size=3, unique=True),
    max_size=6,
)
rows_with_everything = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from([*LABELS, "Dog", ""])), max_size=14
)


def test_a_case_counted_by_hand() -> None:
    """Right: a Car, c Train. False: a Train, b Bus, d Car. Missed: a Bus, b Car. z: unknown."""
    scores = score_tags(
        TRUTH,
        {"a": ("Car", "Train"), "b": ("Bus",), "c": ("Train",), "d": ("Car",), "z": ("Car",)},
        LABELS,
    )
    assert (scores.micro.precision, scores.micro.recall) == (2 / 5, 2 / 4)
    assert scores.micro.f1 == pytest.approx(4 / 9)
    np.testing.assert_allclose(scores.counts.class_precision, [1 / 2, 0, 1 / 2])
    np.testing.assert_allclose(scores.counts.class_recall, [1 / 2, 0, 1])
    assert scores.macro.precision == pytest.approx(1 / 3)
    assert scores.macro.recall == pytest.approx(1 / 2)
    assert scores.macro.f1 == pytest.approx(
        2 * (1 / 3) * (1 / 2) / (5 / 6)
    )  # of the two means, not the mean of F1s
    assert (scores.coverage.clips, scores.coverage.answered, scores.coverage.other) == (4, 4, 1)


def test_a_clip_without_predictions_misses_all_its_labels() -> None:
    scores = score_tags(TRUTH, {"a": ("Car", "Bus")}, LABELS)
    assert scores.micro.f1 == pytest.approx(2 * 2 / (2 * 2 + 2))
    assert scores.coverage.share == 0.25


def test_class_means_are_over_classes_that_occur() -> None:
    scores = score_tags({"a": ("Car",)}, {"a": ("Car",)}, LABELS)
    assert (scores.macro.precision, scores.macro.recall, scores.macro.f1) == (1.0, 1.0, 1.0)
    silent = score_tags({"a": ()}, {"a": ()}, LABELS)
    assert silent.macro.f1 == silent.micro.f1 == 0.0


@settings(max_examples=60, deadline=None)
@given(some_tags.filter(bool), some_tags)
def test_micro_and_class_scores_equal_scikit_learn(truth: Tags, said: Tags) -> None:
    if not truth.keys() & said.keys():
        with pytest.raises(UsageError, match="no clip in common"):
            score_tags(truth, said, LABELS)
        return
    scores = score_tags(truth, said, LABELS)
    y, p = (
        label_matrix(truth.values(), LABELS),
        label_matrix((said.get(name, ()) for name in truth), LABELS),
    )
    micro = precision_recall_fscore_support(y, p, average="micro", zero_division=0.0)
    np.testing.assert_allclose(
        (scores.micro.precision, scores.micro.recall, scores.micro.f1), micro[:3]
    )
    each = precision_recall_fscore_support(y, p, average=None, zero_division=0.0)
    np.testing.assert_allclose(
        (scores.counts.class_precision, scores.counts.class_recall, scores.counts.class_f1),
        each[:3],
    )


def rewritten_table(path: Path) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = line.split("\t")
        if len(cells) == 4 and float(cells[2]) == 0.0:
            continue
        labels = table.setdefault(cells[0].replace(".wav", "").strip(), [])
        if len(cells) > 3 and cells[3].strip():
            labels.append(cells[3].strip())
    return table


def rewritten_pair(
    real: list[str], said: list[str], classes: dict[str, list[int]]
) -> tuple[int, int, int]:
    """Right, wrong and missed labels of one clip; `classes` counts the same class by class."""
    tp = fp = 0
    found = [False] * len(real)
    for label in said:
        for i, other in enumerate(real):
            if label == other and not found[i]:
                found[i] = True
                tp += 1
                break
        else:
            fp += 1
    for label in real:
        classes.setdefault(label, [0, 0, 0])[0 if label in said else 2] += 1
    for label in said:
        if label not in real:
            classes.setdefault(label, [0, 0, 0])[1] += 1
    return tp, fp, found.count(False)


def rewritten(truth: Path, predicted: Path) -> tuple[float, float, float, float, float]:
    """The official script, line by line: micro P and R, class-based P, R and F1."""
    real, said = rewritten_table(truth), rewritten_table(predicted)
    classes: dict[str, list[int]] = {}
    counts = [rewritten_pair(real[name], said[name], classes) for name in said if name in real]
    tp, fp, fn = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    p = sum(t / (t + f) for t, f, _ in classes.values() if t + f) / len(classes)
    r = sum(t / (t + m) for t, _, m in classes.values() if t + m) / len(classes)
    return tp / max(1, tp + fp), tp / max(1, tp + fn), p, r, 2 * p * r / (p + r) if p + r else 0.0


def write(path: Path, rows: Sequence[tuple[str, str]], odd: bool = False) -> Path:
    """Rows of every kind: bare names, repeated labels, ends at zero."""
    lines = [
        f"{n}.wav\t0.0\t{0 if odd and i % 5 == 4 else 10}\t{label}" if label else f"{n}.wav"
        for i, (n, label) in enumerate(rows)
    ]
    path.write_text(
        "".join(f"{line}\r\n" if odd else f"{line}\n" for line in lines), encoding="utf-8"
    )
    return path


@settings(max_examples=80, deadline=None)
@given(rows_with_everything, rows_with_everything)
def test_official_scores_equal_the_rewritten_script(
    tmp_path_factory: pytest.TempPathFactory, real: Rows, said: Rows
) -> None:
    folder = tmp_path_factory.mktemp("official")
    truth, predicted = write(folder / "truth.csv", real, odd=True), write(folder / "said.csv", said)
    try:
        expected = rewritten(truth, predicted)
    except ZeroDivisionError:
        with pytest.raises(UsageError, match="no labelled clip in common"):
            score_officially(read_official(truth), read_official(predicted))
        return
    scores = score_officially(read_official(truth), read_official(predicted))
    found = (
        scores.micro.precision,
        scores.micro.recall,
        scores.macro.precision,
        scores.macro.recall,
        scores.macro.f1,
    )
    assert found == pytest.approx(expected, abs=1e-14)


def test_every_special_case_of_the_official_script(tmp_path: Path) -> None:
    truth, said = tmp_path / "truth.csv", tmp_path / "said.csv"
    truth.write_bytes(
        b"a.wav\t0\t10\tCar\r\nb.wav\t0\t10\tBus\r\nc.wav\t0\t10\tTrain\r\nd.wav\t0\t0\tCar\r\n"
    )
    said.write_bytes(
        b"a.wav\t0\t10\tCar\n"
        b"a.wav\t0\t10\tCar\n"  # repeated: one wrong label
        b"b.flac\t0\t10\tDog\n"  # no class, and wrong; the extension does not matter
        b"Yc.wav\t0\t10\tTrain\n"  # another name: passed over, and c costs nothing
        b"d.wav\t0\t10\tCar\n"  # dropped from the truth, so unknown
        b"e.wav\n"
        b"b.wav\t0\t0.0\tBus\n"  # ends at 0: dropped
    )
    scores = score_officially(read_official(truth), read_official(said))
    assert (scores.micro.precision, scores.micro.recall) == (1 / 3, 1 / 2)
    assert set(scores.classes) == {"Car", "Bus", "Dog"}
    assert scores.classes["Car"].f1 == 1.0  # class by class a repetition is no error
    assert (scores.macro.precision, scores.macro.recall) == (1 / 3, 1 / 3)
    assert scores.files == 5


def test_files_are_counted_as_the_script_counts_them() -> None:
    """Every row that ends at 0 counts while its name has no other row."""
    assert (
        score_officially(OfficialTable({"a": ["Car"]}, 1), OfficialTable({"a": ["Car"]}, 7)).files
        == 7
    )


def test_rows_that_end_at_zero_count_until_their_name_is_known(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "a.wav\t0\t0\tCar\na.wav\t0\t0\tBus\na.wav\t0\t10\tBus\na.wav\t0\t0\tCar\n"
    )
    table = read_official(tmp_path / "t.csv")
    assert (table.labels, table.files) == ({"a": ["Bus"]}, 3)


def test_the_official_reader_names_a_malformed_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a.wav\t0\t10\tCar\na.wav\tonset\toffset\tlabel\n")
    with pytest.raises(TableError, match="line 2: 'offset' is not a time"):
        read_official(tmp_path / "t.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        read_official(tmp_path / "none.csv")


def test_repetitions_count_once_and_unknown_labels_are_rejected(tmp_path: Path) -> None:
    truth, said = write(tmp_path / "truth.csv", [("a", "Car"), ("b", "Bus")]), tmp_path / "said.csv"
    report = evaluate_tags(write(said, [("a", "Car"), ("a", "Car"), ("b", "")]), truth, CLASSES)
    assert (report.scores.micro.precision, report.scores.micro.recall, report.repeated) == (
        1.0,
        0.5,
        1,
    )
    assert evaluate_officially(said, truth, CLASSES).scores.micro.precision == 0.5
    with pytest.raises(TableError, match=r"line 1: 'Cra' is not a class; did you mean 'Car'"):
        evaluate_tags(write(said, [("a", "Cra")]), truth, CLASSES)
    with pytest.raises(TableError, match=r"truth\.csv, line 1: 'Dog' is not a class"):
        evaluate_tags(write(said, [("a", "Car")]), write(truth, [("a", "Dog")]), CLASSES)


def test_disjoint_sets_are_rejected(tmp_path: Path) -> None:
    truth, said = (
        write(tmp_path / "truth.csv", [("a", "Car")]),
        write(tmp_path / "said.csv", [("x", "Car")]),
    )
    with pytest.raises(UsageError, match=r"no clip in common \(such as 'x' and 'a'\)"):
        evaluate_tags(said, truth, CLASSES)


def test_confusion_matrix_by_hand() -> None:
    truth = label_matrix([("Car",), ("Car", "Bus"), ("Bus",), (), ()], LABELS)
    said = label_matrix([("Bus",), ("Car", "Train"), (), ("Train",), ()], LABELS)
    np.testing.assert_array_equal(
        confusion(truth, said),
        [  # Car, Bus, Train, nothing
            [1, 1, 1, 0],
            [0, 0, 1, 1],
            [0, 0, 0, 0],
            [0, 0, 1, 1],
        ],
    )
