from __future__ import annotations

import dataclasses
import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.clip import Clip
from av_tagger.errors import StorageError, TableError, UsageError
from av_tagger.reports.schema import (
    SCHEMA,
    as_json,
    as_line,
    from_json,
    read_documents,
    read_outcomes,
    spectrogram_of,
)
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    KeyFrame,
    Outcome,
    RunInfo,
    Status,
    Tag,
    Tagged,
)

PNG = b"\x89PNG\r\n\x1a\n-made-up"

text = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=12
)
share = st.integers(0, 1_000_000).map(lambda n: round(n / 1_000_000, 6))
seconds = st.integers(0, 40_000_000).map(lambda n: round(n / 1000, 3))
maybe_share = st.none() | share


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    start = draw(st.just(0.0) | seconds)
    return Clip(Path(draw(text)), start, draw(st.none() | st.just(start + 10.0)))


@st.composite
def activities(draw: st.DrawFn, classes: int) -> Activity:
    frames = draw(st.integers(0, 5))
    cells = draw(
        st.lists(st.integers(0, 10_000), min_size=frames * classes, max_size=frames * classes)
    )
    values = np.round(np.asarray(cells, dtype=np.float64).reshape(frames, classes) / 10_000, 4)
    return Activity(values.astype(np.float32), 10.0, draw(seconds))


events = st.builds(Event, seconds, seconds, share)
evidence = st.builds(Evidence, seconds, text, share, share)
branches = st.builds(BranchInfo, st.sampled_from(Status), text, st.none() | text)
keyframes = st.builds(
    KeyFrame,
    seconds,
    share,
    st.lists(st.tuples(text, share), max_size=2).map(tuple),
    st.none() | st.binary(max_size=9).map(b"\x89PNG".__add__),
)
tags = st.builds(
    Tag,
    text,
    share,
    share,
    maybe_share,
    maybe_share,
    st.lists(events, max_size=2).map(tuple),
    st.lists(evidence, max_size=2).map(tuple),
)


@st.composite
def tagged(draw: st.DrawFn) -> Tagged:
    scores = draw(
        st.dictionaries(
            text, st.builds(ClassScore, share, maybe_share, maybe_share, share), max_size=4
        )
    )
    return Tagged(
        clip=draw(clips()),
        duration_seconds=draw(seconds),
        tags=tuple(draw(st.lists(tags, max_size=2))),
        scores=scores,
        keyframes=tuple(draw(st.lists(keyframes, max_size=2))),
        ear=draw(branches),
        eye=draw(branches),
        run=draw(st.builds(RunInfo, text, text, text, seconds)),
        activity=draw(st.none() | activities(len(scores))) if scores else None,
        notes=tuple(draw(st.lists(text, max_size=2))),
    )


outcomes: st.SearchStrategy[Outcome] = st.builds(Failed, clips(), text, text) | tagged()


def same(a: Outcome, b: Outcome) -> bool:
    if isinstance(a, Failed) or isinstance(b, Failed):
        return a == b
    if (a.activity is None) != (b.activity is None):
        return False
    if a.activity is not None and b.activity is not None:
        np.testing.assert_allclose(a.activity.values, b.activity.values, atol=1e-7)
        assert (a.activity.rate, a.activity.start_seconds) == (
            b.activity.rate,
            b.activity.start_seconds,
        )
    assert [k.picture for k in a.keyframes] == [k.picture for k in b.keyframes]
    return dataclasses.replace(a, activity=None) == dataclasses.replace(b, activity=None)


def one(**changes: Any) -> Tagged:
    branch = BranchInfo(Status.OK, "crnn", "ear-1")
    base = Tagged(
        Clip(Path("a.mp4")),
        10.0,
        (),
        {"Bus": ClassScore(0.25, 0.5, None, 0.3)},
        (),
        branch,
        branch,
        RunInfo("0.1", "cpu", "f", 1.0),
    )
    return dataclasses.replace(base, **changes)


@settings(max_examples=60, deadline=None)
@given(outcomes)
def test_what_is_written_is_read_again(outcome: Outcome) -> None:
    assert same(from_json(json.loads(as_line(outcome, detail=True))), outcome)


@settings(max_examples=60, deadline=None)
@given(outcomes)
def test_what_is_written_keeps_to_the_formal_schema(outcome: Outcome) -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    schema = json.loads(
        (files("av_tagger") / "resources" / "schema1.json").read_text(encoding="utf-8")
    )
    for detail in (False, True):
        validator(schema).validate(json.loads(as_line(outcome, detail=detail, spectrogram=PNG)))


def test_the_formal_schema_refuses_what_is_wrong() -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    schema = json.loads(
        (files("av_tagger") / "resources" / "schema1.json").read_text(encoding="utf-8")
    )
    validator.check_schema(schema)
    good = as_json(one())
    for wrong in (
        {**good, "schema": 2},
        {**good, "colour": "red"},
        {k: v for k, v in good.items() if k != "run"},
        {**good, "error": {}},
    ):
        assert not validator(schema).is_valid(wrong)


def test_the_fields_of_a_result_are_those_promised() -> None:
    tag = Tag("Bus", 0.81, 0.3, 0.9, None, (Event(1.0, 2.5, 0.95),), ())
    document = as_json(one(tags=(tag,), keyframes=(KeyFrame(3.2, 0.5),)))
    assert list(document) == [
        "schema",
        "file",
        "duration",
        "tags",
        "scores",
        "keyframes",
        "ear",
        "eye",
        "run",
    ]
    assert document["tags"] == [
        {
            "label": "Bus",
            "probability": 0.81,
            "threshold": 0.3,
            "heard": 0.9,
            "seen": None,
            "events": [{"start": 1.0, "end": 2.5, "peak": 0.95}],
            "evidence": [],
        }
    ]
    assert document["scores"] == {
        "Bus": {"fused": 0.25, "heard": 0.5, "seen": None, "threshold": 0.3}
    }
    assert document["keyframes"] == [{"time": 3.2, "weight": 0.5}]
    assert document["ear"] == {"status": "ok", "weights": "ear-1", "model": "crnn"}
    assert document["run"] == {
        "version": "0.1",
        "device": "cpu",
        "fingerprint": "f",
        "seconds": 1.0,
    }


def test_a_failure_has_its_own_short_form() -> None:
    document = as_json(Failed(Clip(Path("b.mp4")), "media", "cannot be opened"))
    assert document == {
        "schema": SCHEMA,
        "file": "b.mp4",
        "error": {"kind": "media", "message": "cannot be opened"},
    }


def test_nan_and_infinity_are_written_as_null_and_come_back() -> None:
    branch = BranchInfo(Status.NO_TRACK, "none")
    activity = Activity(np.array([[np.nan], [0.5]], np.float32), 10.0)
    line = as_line(
        one(
            scores={"Bus": ClassScore(math.nan, None, math.nan, math.inf)},
            ear=branch,
            activity=activity,
        ),
        detail=True,
    )
    assert "NaN" not in line
    assert "Infinity" not in line
    back = from_json(json.loads(line))
    assert isinstance(back, Tagged)
    assert math.isnan(back.scores["Bus"].fused)
    assert back.scores["Bus"].seen is None
    assert back.scores["Bus"].threshold == math.inf
    assert back.activity is not None
    np.testing.assert_array_equal(back.activity.values, activity.values)


def test_numbers_are_rounded_for_people() -> None:
    document = as_json(
        one(duration_seconds=10.0004999, scores={"Bus": ClassScore(1 / 3, -1e-12, 2 / 3, 0.5)})
    )
    assert document["duration"] == 10.0
    assert (
        json.dumps(document["scores"]["Bus"])
        == '{"fused": 0.333333, "heard": 0.0, "seen": 0.666667, "threshold": 0.5}'
    )


def test_a_part_of_a_file_says_which() -> None:
    document = as_json(one(clip=Clip(Path("a.mp4"), 60.0, 70.0)))
    assert document["clip"] == {"start": 60.0, "end": 70.0}
    assert from_json(document).clip == Clip(Path("a.mp4"), 60.0, 70.0)


def test_a_name_that_is_no_text_survives() -> None:
    odd = Clip(Path("caf\udce9.mp4"))  # how Python shows the byte E9 in a name that is not UTF-8
    line = as_line(Failed(odd, "media", "x")).encode("ascii")
    assert from_json(json.loads(line)).clip == odd


def test_the_spectrogram_travels_in_the_detail() -> None:
    assert spectrogram_of(as_json(one(), detail=True, spectrogram=PNG)) == PNG
    assert spectrogram_of(as_json(one(), spectrogram=PNG)) is None


@pytest.mark.parametrize(
    "uri",
    ["javascript:alert(1)", "data:text/html;base64,AAAA", "data:image/png;base64,<b>", 7, None],
)
def test_a_picture_that_is_none_is_left_out(uri: object) -> None:
    document = as_json(one(keyframes=(KeyFrame(1.0, 1.0),)), detail=True)
    document["detail"]["keyframes"][0]["picture"] = uri
    back = from_json(document)
    assert isinstance(back, Tagged)
    assert back.keyframes[0].picture is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"schema": 2}, "schema 2"),
        ({"tags": None}, "not whole"),
        ({"file": 5}, "should be text"),
        ({"ear": {"status": "asleep", "model": "m", "weights": None}}, "asleep"),
        (
            {"keyframes": [{"time": 1.0, "weight": 1.0}], "detail": {"keyframes": [{}, {}]}},
            "not whole",
        ),
        ({"clip": {"start": -1}}, "not whole"),
    ],
)
def test_a_result_that_is_not_one_is_refused_with_a_sentence(
    change: dict[str, Any], word: str
) -> None:
    with pytest.raises(UsageError, match=word):
        from_json({**as_json(one()), **change})


def test_an_object_of_another_program_is_refused() -> None:
    with pytest.raises(UsageError, match="no field 'schema'"):
        from_json({"a": 1})


def test_a_file_of_lines_is_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(
        as_line(one())
        + "\n\n"
        + as_line(Failed(Clip(Path("b")), "media", "m"))
        + "\n"
        + '{"schema": 1, "fi'
    )
    assert [type(o) for o in read_outcomes(path)] == [Tagged, Failed]
    assert len(list(read_documents(path))) == 2


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(as_line(one()) + "\nnonsense\n" + as_line(one()) + "\n")
    with pytest.raises(TableError, match="line 2"):
        list(read_outcomes(path))


def test_results_that_are_not_there_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        list(read_outcomes(tmp_path / "none.jsonl"))
