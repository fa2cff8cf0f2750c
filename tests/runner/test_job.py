"""Records: plain data whose documents do not depend on how a clip was scheduled."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from av_tagger.clip import Clip
from av_tagger.reports.schema import from_json
from av_tagger.runner.job import DONE, FAILED, Item, Job, failure, record
from av_tagger.scores import Failed, Tagged
from tests.fakes import tagger, window

CLIP = Clip(Path("96.mp4"))
JOB = Job(7, CLIP)


def tagged(seconds: float) -> Tagged:
    plain = tagger()
    return plain.merge_windows(CLIP, plain.score([window(CLIP)]), seconds)


def test_a_record_has_the_state_of_ear_and_eye() -> None:
    made = record(JOB, tagged(1.5), 1.5)
    assert (made.position, made.status, made.kind) == (7, DONE, "")
    assert (made.heard, made.seen, made.seconds) == ("ok", "ok", 1.5)


def test_the_document_does_not_depend_on_run_time() -> None:
    assert record(JOB, tagged(1.0), 1.0).document == record(JOB, tagged(9.0), 9.0).document
    assert "\n" not in record(JOB, tagged(1.0), 1.0).document


def test_a_document_can_be_read_back() -> None:
    outcome = from_json(json.loads(record(JOB, tagged(1.0), 1.0).document))
    assert isinstance(outcome, Tagged)
    assert outcome.clip == CLIP
    assert [tag.label for tag in outcome.tags] == ["Siren"]
    assert outcome.activity is None


def test_detail_keeps_curves() -> None:
    outcome = from_json(json.loads(record(JOB, tagged(1.0), 1.0, detail=True).document))
    assert isinstance(outcome, Tagged)
    assert outcome.activity is not None


def test_a_failure_has_kind_and_message() -> None:
    made = failure(JOB, "media", "96.mp4: is broken")
    assert (made.status, made.kind, made.heard, made.seen) == (FAILED, "media", "", "")
    outcome = from_json(json.loads(made.document))
    assert outcome == Failed(CLIP, "media", "96.mp4: is broken")


@pytest.mark.parametrize("thing", [Item(CLIP, "a_b.wav", "missing"), JOB, failure(JOB, "x", "y")])
def test_all_of_it_can_be_sent_to_another_process(thing: object) -> None:
    assert pickle.loads(pickle.dumps(thing)) == thing
