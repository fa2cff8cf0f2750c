"""Collar-based F1 of events (sed_eval) and PSDS of activity curves (sed_scores_eval): an extra."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.dcase import SoundEvent, parse_name
from av_tagger.errors import UsageError, missing_library
from av_tagger.evaluation.detection import Events
from av_tagger.evaluation.keys import key_of
from av_tagger.evaluation.tagging import Averages
from av_tagger.reports.schema import find_results, read_outcomes
from av_tagger.scores import Tagged

COLLAR = 0.2  # seconds by which an onset may differ; an offset by that or a fifth of the event
OFFSET_SHARE = 0.2
# The two scenarios of DCASE 2021 task 4: one for timing, one for telling classes apart.
SCENARIOS: Mapping[str, Mapping[str, float | None]] = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_st": 1.0},
    "psds2": {
        "dtc_threshold": 0.1,
        "gtc_threshold": 0.1,
        "cttc_threshold": 0.3,
        "alpha_ct": 0.5,
        "alpha_st": 1.0,
    },
}
MOST_FALSE_PER_HOUR = 100.0
_ONE_CLIP = 10.0  # seconds of a clip that was not tagged and has no name to tell


@dataclass(frozen=True)
class CollarScores:
    """Events that begin and end where true ones do, within a collar."""

    overall: Averages
    class_f1: Mapping[str, float]  # NaN for a class that does not occur
    collar: float = COLLAR

    def as_json(self) -> dict[str, Any]:
        return {"collar": self.collar, **vars(self.overall), "classes": dict(self.class_f1)}


def collar_scores(truth: Events, predicted: Events, labels: Sequence[str]) -> CollarScores:
    """Every clip of the truth counts, also one without predictions."""
    metrics = _library("sed_eval").sound_event.EventBasedMetrics(
        event_label_list=list(labels), t_collar=COLLAR, percentage_of_length=OFFSET_SHARE
    )
    for name, events in truth.items():
        metrics.evaluate(_listed(name, events), _listed(name, predicted.get(name, ())))
    with _quiet():
        f = metrics.results_overall_metrics()["f_measure"]
        classes = metrics.results_class_wise_metrics()
    overall = (float(np.nan_to_num(f[key])) for key in ("precision", "recall", "f_measure"))
    f1 = {label: float(classes[label]["f_measure"]["f_measure"]) for label in labels}
    return CollarScores(Averages(*overall), f1)


def psds(
    results: Path, truth: Events, labels: Sequence[str], renamed: Mapping[str, str]
) -> dict[str, float]:
    """PSDS by scenario, from the activity in results with detail.

    `renamed` maps keys of the results to those of the truth, where they differ. Classes without
    an event in the truth are left out.
    """
    library = _library("sed_scores_eval")
    used = [label for label in labels if any(e.label == label for v in truth.values() for e in v)]
    scores, seconds = _curves(results, truth, used, renamed)
    frames = {name: _frame(library, curve, used) for name, curve in scores.items()}
    real = {name: [(e.start, e.end, e.label) for e in events] for name, events in truth.items()}
    with _quiet():
        return {
            name: float(
                library.intersection_based.psds(
                    frames, real, seconds, max_efpr=MOST_FALSE_PER_HOUR, **settings
                )[0]
            )
            for name, settings in SCENARIOS.items()
        }


Curve = tuple[Any, Any]  # (frames, classes) activity and (frames + 1,) times


def _curves(
    results: Path, truth: Events, labels: Sequence[str], renamed: Mapping[str, str]
) -> tuple[dict[str, Curve], dict[str, float]]:
    """Activity of every clip of the truth in seconds of the clip, and the clips' lengths."""
    found: dict[str, Curve] = {}
    for outcome in read_outcomes(find_results(results)):
        key = key_of(outcome.clip)
        key = renamed.get(key, key)
        if key in truth and isinstance(outcome, Tagged) and outcome.activity is not None:
            found[key] = _activity(outcome, labels)
    if not found:
        raise UsageError(f"{results}: has no activity for PSDS; tag with --detail")
    silent = {name: _silence(name, events, labels) for name, events in truth.items()}
    curves = silent | found
    return curves, {name: float(times[-1]) for name, (_, times) in curves.items()}


def _activity(tagged: Tagged, labels: Sequence[str]) -> Curve:
    activity = tagged.activity
    assert activity is not None
    known = {label: k for k, label in enumerate(tagged.scores)}
    columns = [
        activity.values[:, known[label]] if label in known else np.zeros(len(activity.values))
        for label in labels
    ]
    start = activity.start_seconds - tagged.clip.start_seconds
    times = max(0.0, start) + np.arange(len(activity.values) + 1) / activity.rate
    return np.nan_to_num(np.stack(columns, axis=1).astype(np.float64)), times


def _silence(name: str, events: Sequence[SoundEvent], labels: Sequence[str]) -> Curve:
    """A clip that was not tagged: nothing is heard in it."""
    named = parse_name(name)
    length = named.end - named.start if named else _ONE_CLIP
    end = max([length, *(event.end for event in events)])
    return np.zeros((1, len(labels))), np.array([0.0, end])


def _frame(library: Any, curve: Curve, labels: Sequence[str]) -> Any:
    values, times = curve
    create = library.base_modules.scores.create_score_dataframe
    return _writable(create(values, times.round(6), list(labels)))


def _writable(frame: Any) -> Any:
    """The frame with arrays that can be written to, as sed_scores_eval needs.

    Those of pandas 3 cannot.
    """
    kind = type(frame)

    def to_numpy(self: Any, *args: Any, **settings: Any) -> Any:
        return np.array(kind.to_numpy(self, *args, **settings))

    constructor = property(lambda _: writable)
    writable = type("WritableFrame", (kind,), {"to_numpy": to_numpy, "_constructor": constructor})
    return writable(frame)


def _listed(name: str, events: Sequence[SoundEvent]) -> list[dict[str, Any]]:
    return [
        {"filename": name, "event_label": e.label, "onset": e.start, "offset": e.end}
        for e in events
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """The libraries warn of classes without events, whose figures are NaN."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _library(name: str) -> Any:
    """sed_eval needs `pkg_resources`, for version strings only; new setuptools lack it."""
    stub = "pkg_resources"
    added = stub not in sys.modules and importlib.util.find_spec(stub) is None
    if added:
        sys.modules[stub] = types.ModuleType(stub)
    try:
        with _quiet():
            return importlib.import_module(name)
    except ImportError as error:
        raise missing_library("event scores need", name, error, "events") from error
    finally:
        if added:
            sys.modules.pop(stub, None)
