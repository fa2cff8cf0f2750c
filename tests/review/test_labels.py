"""Answers to labels: who is present where, tables that the other commands read, hostile names."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from av_tagger.evaluation.report import evaluate_tags
from av_tagger.evaluation.truth import read_truth
from av_tagger.evaluation.tuning import tune
from av_tagger.fusion.fit import FitSettings
from av_tagger.learning.data.manifests import classes_in, read_examples
from av_tagger.reports.schema import as_line
from av_tagger.review.answers import ReviewAnswer
from av_tagger.review.labels import LABELS, RANDOM, WINDOWS, write_labels
from av_tagger.review.state import ReviewState
from av_tagger.review.units import PlayedPart, ReviewUnit
from tests.review.conftest import session_of, tagged, write_run


def unit(label: str, file: str, parts: int = 1, score: float = 0.5) -> ReviewUnit:
    places = tuple(PlayedPart(float(p), p + 1.5) for p in range(parts))
    clip = (0.0, None)
    return ReviewUnit(f"{label}/{file}", label, file, clip, score, 0.5, score, None, places)


def state(units: list[ReviewUnit], answers: Iterable[tuple[object, ...]]) -> ReviewState:
    return ReviewState.of(units, [ReviewAnswer(*a) for a in answers])  # type: ignore[arg-type]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_class_is_absent_when_every_played_part_was_answered_no() -> None:
    one = unit("Bus", "a.wav", parts=2)
    first = state([one], [(one.key, 0, "no")])
    assert first.of_unit(one.key).present is None
    assert first.of_unit(one.key).part == 1
    assert not first.of_unit(one.key).settled
    assert state([one], [(one.key, 0, "no"), (one.key, 1, "no")]).of_unit(one.key).present is False
    assert state([one], [(one.key, 0, "no"), (one.key, 1, "yes")]).of_unit(one.key).present is True
    assert state([one], [(one.key, 0, "skip")]).of_unit(one.key).settled
    assert state([one], [("gone", 0, "yes"), (one.key, 7, "yes")]).known == []


def test_another_class_answers_its_own_question_too() -> None:
    bus, car = unit("Bus", "a.wav"), unit("Car", "a.wav")
    found = state([bus, car], [(bus.key, 0, "other", "Car")])
    assert found.of_unit(bus.key).present is False
    assert found.of_unit(car.key).present is True
    assert found.of_unit(car.key).sample == "told"


def test_the_tables_hold_what_was_answered_and_what_is_unknown(tmp_path: Path) -> None:
    units = [unit("Bus", "a.wav", 2), unit("Car", "a.wav"), unit("Bus", "b.wav")]
    answers = [
        ("Bus/a.wav", 0, "no", "", "random"),
        ("Bus/a.wav", 1, "yes", "", "random"),
        ("Car/a.wav", 0, "no"),
        ("Bus/b.wav", 0, "other", "Dog"),
    ]
    write_labels(state(units, answers), tmp_path, lambda _: None)
    assert [(r["file"], r["labels"], r["unknown"]) for r in rows(tmp_path / LABELS)] == [
        ("a.wav", "Bus", "Dog"),
        ("b.wav", "Dog", ""),
    ]
    assert [(r["file"], r["labels"]) for r in rows(tmp_path / RANDOM)] == [("a.wav", "Bus")]
    windows = [(r["file"], r["start"], r["end"], r["labels"]) for r in rows(tmp_path / WINDOWS)]
    assert windows == [
        ("a.wav", "", "1.5", ""),
        ("a.wav", "1", "2.5", "Bus"),
        ("b.wav", "", "1.5", "Dog"),
    ]


def test_names_are_no_formulas_and_break_no_row(tmp_path: Path) -> None:
    names = ["=a.wav", "-5Qr.wav", "@x.wav", "+1.wav", 'q"uote,.wav', "line\nbreak.wav"]
    units = [unit("=1+1", name) for name in names] + [unit("a|b", "z.wav"), unit("x\n", "z.wav")]
    write_labels(state(units, [(u.key, 0, "yes") for u in units]), tmp_path, lambda _: None)
    found = rows(tmp_path / LABELS)
    assert [Path(r["file"]).name for r in found] == names[:-1]
    for line in (tmp_path / LABELS).read_text().splitlines()[1:]:
        cells = next(csv.reader([line]))
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    truth = read_truth(tmp_path / LABELS)
    assert truth.classes.labels == ("=1+1",)
    assert set(truth.tags.values()) == {("=1+1",)}


def test_the_tables_are_read_by_evaluate_tune_and_train(tmp_path: Path) -> None:
    """Unknown pairs take no part: neither as right nor as wrong."""
    scores = [{"Bus": 0.9 - 0.04 * i, "Car": 0.2 + 0.04 * i} for i in range(20)]
    results = [tagged(tmp_path / f"c{i}.wav", s) for i, s in enumerate(scores)]
    run = write_run(tmp_path / "run", results)
    session = session_of(run)
    for one in session.found.units:
        number = int(Path(one.file).stem[1:])
        if one.label == "Car" and number % 2:
            continue  # never answered
        answer = "yes" if one.score > 0.55 else "no"
        session.answer(ReviewAnswer(one.key, 0, answer))
    session.log.close()
    labels = run / "review" / LABELS
    report = evaluate_tags(run, labels)
    counts = dict(zip(report.scores.labels, report.scores.counts.positives, strict=True))
    assert counts == {"Bus": 9, "Car": 5}
    predicted = dict(zip(report.scores.labels, report.scores.counts.predicted, strict=True))
    assert predicted == {"Bus": 11, "Car": 6}, "half of the tags Car are unknown"
    assert report.rankings["fused"].auc.tolist() == [1.0, 1.0]
    tuning = tune(run, labels, None, FitSettings("even"))
    assert dict(zip(tuning.labels, tuning.held_out.fused.positives, strict=True)) == counts
    examples = read_examples(run / "review" / WINDOWS, classes_in([run / "review" / WINDOWS]))
    assert len(examples.examples) >= 20
    assert not examples.skipped
    assert {e.unknown for e in examples.examples} <= {(), ("Bus",), ("Car",)}


def test_files_that_moved_are_found_beside_the_run_and_named_absolutely(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [tagged(tmp_path / "run" / "a.wav", {"Bus": 0.6})])
    moved = replace(tagged(Path("/elsewhere/a.wav"), {"Bus": 0.6}))
    (run / "results.jsonl").write_text(as_line(moved) + "\n")
    session = session_of(run)
    (question,) = session.questions()
    session.answer(ReviewAnswer(question["key"], 0, "yes"))
    session.log.close()
    assert [r["file"] for r in rows(run / "review" / LABELS)] == [str(run / "a.wav")]
