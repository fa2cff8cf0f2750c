"""Subtask B: counted by hand, and against sed_eval, the challenge's reference."""

from __future__ import annotations

import importlib
import math
import sys
import types
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from av_tagger.dcase import SoundEvent, write_events
from av_tagger.errors import UsageError
from av_tagger.evaluation.detection import Events, score_events
from av_tagger.evaluation.report import evaluate_events
from av_tagger.labels import ClassList, SoundClass

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("Bus", "Car", "Train")
CLASSES = ClassList(tuple(SoundClass(label) for label in LABELS))

moments = st.integers(0, 1000).map(lambda i: i / 100)
events = st.builds(
    lambda label, a, b: SoundEvent(label, min(a, b), max(a, b) + 0.01),
    st.sampled_from(LABELS),
    moments,
    moments,
)
tables = st.dictionaries(
    st.sampled_from("abcd"), st.lists(events, max_size=4).map(tuple), min_size=1, max_size=4
)


@pytest.fixture(scope="module")
def sed_eval() -> Any:
    """The library imports `pkg_resources`, which new setuptools lack, only for version strings.

    An empty module is enough.
    """
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if importlib.util.find_spec("pkg_resources") is None:
            patch.setitem(sys.modules, "pkg_resources", types.ModuleType("pkg_resources"))
        return importlib.import_module("sed_eval")


def test_a_case_counted_by_hand() -> None:
    """Truth: Car in seconds 0-2, Bus in 2-4. Predicted: Car in 1-3, Train in 3-4.

    Per second: a deletion; correct; Car for Bus, a substitution; Train for Bus, a substitution.
    """
    truth = {"a": (SoundEvent("Car", 0.2, 2.0), SoundEvent("Bus", 2.0, 4.0))}
    said = {"a": (SoundEvent("Car", 1.0, 2.5), SoundEvent("Train", 3.1, 3.2))}
    scores = score_events(truth, said, LABELS)
    assert (scores.substitutions, scores.deletions, scores.insertions) == (2, 1, 0)
    assert scores.error_rate == 3 / 4
    assert (scores.overall.precision, scores.overall.recall) == (1 / 3, 1 / 4)
    np.testing.assert_allclose(
        scores.class_error_rate, [1.0, 1.0, np.nan]
    )  # Bus 2 of 2 missed; Car 1 missed, 1 too many of 2


def test_perfect_and_empty_predictions() -> None:
    truth = {"a": (SoundEvent("Car", 0.0, 3.0),), "b": ()}
    assert score_events(truth, truth, LABELS).error_rate == 0.0
    silent = score_events(truth, {"a": ()}, LABELS)
    assert (silent.error_rate, silent.deletions, silent.overall.f1) == (1.0, 3, 0.0)
    loud = score_events(
        {"b": (), "c": (SoundEvent("Car", 0, 1),)}, {"b": (SoundEvent("Car", 0.0, 2.0),)}, LABELS
    )
    assert (loud.insertions, loud.deletions) == (2, 1)
    assert math.isnan(
        score_events({"b": ()}, {"b": (SoundEvent("Car", 0.0, 2.0),)}, LABELS).error_rate
    )


def reference(sed_eval: Any, truth: Events, said: Events) -> dict[str, Any]:
    metrics = sed_eval.sound_event.SegmentBasedMetrics(
        event_label_list=list(LABELS), time_resolution=1.0
    )
    for name, found in truth.items():
        one, two = (
            [
                {"filename": name, "event_label": e.label, "onset": e.start, "offset": e.end}
                for e in table
            ]
            for table in (found, said.get(name, ()))
        )
        metrics.evaluate(one, two)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the mean of no class at all
        results: dict[str, Any] = metrics.results()
    return results


@settings(max_examples=25, deadline=None)
@given(tables, tables)
def test_overall_and_class_scores_equal_sed_eval(
    sed_eval: Any, truth: Events, said: Events
) -> None:
    assume(truth.keys() & said.keys() and any(truth.values()))
    scores = score_events(truth, said, LABELS)
    results = reference(sed_eval, truth, said)
    overall = results["overall"]
    rates = overall["error_rate"]
    n = int(scores.counts.positives.sum())
    ours = (
        scores.error_rate,
        scores.substitutions / n,
        scores.deletions / n,
        scores.insertions / n,
    )
    names = ("error_rate", "substitution_rate", "deletion_rate", "insertion_rate")
    assert ours == pytest.approx(tuple(rates[name] for name in names), abs=1e-9)
    assert scores.overall.recall == pytest.approx(overall["f_measure"]["recall"])
    if scores.counts.predicted.sum():
        assert scores.overall.f1 == pytest.approx(overall["f_measure"]["f_measure"])
        assert scores.overall.precision == pytest.approx(overall["f_measure"]["precision"])
    for k, label in enumerate(LABELS):
        theirs = results["class_wise"][label]
        assert int(scores.counts.positives[k]) == theirs["count"]["Nref"]
        if scores.counts.positives[k] and scores.counts.predicted[k]:
            assert scores.counts.class_f1[k] == pytest.approx(theirs["f_measure"]["f_measure"])
            assert scores.class_error_rate[k] == pytest.approx(theirs["error_rate"]["error_rate"])


def test_a_case_with_every_kind_of_error_equals_sed_eval(sed_eval: Any) -> None:
    truth = {
        "a": (SoundEvent("Car", 0.5, 3.5), SoundEvent("Bus", 1.0, 2.0)),
        "b": (SoundEvent("Train", 0.0, 9.9),),
        "c": (),
    }
    two = (SoundEvent("Train", 3.0, 4.0), SoundEvent("Bus", 3.0, 4.0))
    said = {"a": (SoundEvent("Car", 2.0, 5.0),), "b": two, "c": (SoundEvent("Car", 1, 2),)}
    overall = reference(sed_eval, truth, said)["overall"]
    scores = score_events(truth, said, LABELS)
    assert scores.error_rate == pytest.approx(overall["error_rate"]["error_rate"])
    assert scores.overall.f1 == pytest.approx(overall["f_measure"]["f_measure"])
    assert 0 < scores.overall.f1 < 1


def test_files_are_read_and_scored(tmp_path: Path) -> None:
    truth = {"a": (SoundEvent("Car", 0.0, 2.0),), "b": (SoundEvent("Bus", 0.0, 1.0),)}
    write_events(tmp_path / "truth.csv", truth)
    write_events(tmp_path / "said.csv", {"a": (SoundEvent("Car", 0.0, 2.0),), "b": ()})
    report = evaluate_events(tmp_path / "said.csv", tmp_path / "truth.csv", CLASSES)
    assert report.scores.error_rate == pytest.approx(1 / 3)
    assert report.as_json()["classes"]["Bus"]["f1"] == 0.0
    write_events(tmp_path / "other.csv", {"z": ()})
    with pytest.raises(UsageError, match="no clip in common"):
        evaluate_events(tmp_path / "other.csv", tmp_path / "truth.csv", CLASSES)
