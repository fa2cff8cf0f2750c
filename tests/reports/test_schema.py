"""Schema 1: round trips, the formal JSON Schema, and refusal of malformed documents."""

from __future__ import annotations

import contextlib
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
    find_results,
    from_json,
    read_outcomes,
    read_results,
    spectrogram_of,
)
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    Heat,
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


events = st.builds(lambda a, b, peak: Event(min(a, b), max(a, b), peak), seconds, seconds, share)
cell = st.integers(0, 100).map(lambda n: n / 100)
grids = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.tuples(*[cell] * n), min_size=1, max_size=3).map(tuple)
)
boxes = st.just((0.125, 0.0, 0.875, 1.0)) | st.just((0.0, 0.25, 0.0, 0.25))
heats = st.builds(Heat, grids, boxes, boxes)
evidence = st.builds(Evidence, seconds, text, share, share, st.none() | heats)
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
def test_round_trip(outcome: Outcome) -> None:
    assert same(from_json(json.loads(as_line(outcome, detail=True))), outcome)


@settings(max_examples=60, deadline=None)
@given(outcomes)
def test_output_validates_against_the_json_schema(outcome: Outcome) -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    schema = json.loads(
        (files("av_tagger") / "resources" / "schema1.json").read_text(encoding="utf-8")
    )
    for detail in (False, True):
        validator(schema).validate(json.loads(as_line(outcome, detail=detail, spectrogram=PNG)))


def test_the_json_schema_rejects_malformed_documents() -> None:
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


def test_fields_of_a_tagged_result() -> None:
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


def test_fields_of_a_failed_result() -> None:
    document = as_json(Failed(Clip(Path("b.mp4")), "media", "cannot be opened"))
    assert document == {
        "schema": SCHEMA,
        "file": "b.mp4",
        "error": {"kind": "media", "message": "cannot be opened"},
    }


def test_nan_and_infinity_round_trip_as_null() -> None:
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


def test_numbers_are_rounded() -> None:
    document = as_json(
        one(duration_seconds=10.0004999, scores={"Bus": ClassScore(1 / 3, -1e-12, 2 / 3, 0.5)})
    )
    assert document["duration"] == 10.0
    assert (
        json.dumps(document["scores"]["Bus"])
        == '{"fused": 0.333333, "heard": 0.0, "seen": 0.666667, "threshold": 0.5}'
    )


def test_a_part_of_a_file_round_trips() -> None:
    document = as_json(one(clip=Clip(Path("a.mp4"), 60.0, 70.0)))
    assert document["clip"] == {"start": 60.0, "end": 70.0}
    assert from_json(document).clip == Clip(Path("a.mp4"), 60.0, 70.0)


def test_a_file_name_that_is_not_utf8_round_trips() -> None:
    odd = Clip(Path("caf\udce9.mp4"))  # byte E9, as Python decodes a name that is not UTF-8
    line = as_line(Failed(odd, "media", "x")).encode("ascii")
    assert from_json(json.loads(line)).clip == odd


def test_the_spectrogram_is_stored_in_the_detail() -> None:
    assert spectrogram_of(as_json(one(), detail=True, spectrogram=PNG)) == PNG
    assert spectrogram_of(as_json(one(), spectrogram=PNG)) is None


@pytest.mark.parametrize(
    "uri",
    ["javascript:alert(1)", "data:text/html;base64,AAAA", "data:image/png;base64,<b>", 7, None],
)
def test_an_invalid_picture_is_dropped(uri: object) -> None:
    document = as_json(one(keyframes=(KeyFrame(1.0, 1.0),)), detail=True)
    document["detail"]["keyframes"][0]["picture"] = uri
    back = from_json(document)
    assert isinstance(back, Tagged)
    assert back.keyframes[0].picture is None


def tag_document(**changes: Any) -> dict[str, Any]:
    tag = Tag(
        "Bus", 0.81, 0.3, 0.9, None, (Event(1.0, 2.5, 0.95),), (Evidence(1, "bus", 0.5, 0.5),)
    )
    document = as_json(one(tags=(tag,)))
    document["tags"][0] |= changes
    return document


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (7, "no field 'schema'"),
        ([], "no field 'schema'"),
        (None, "no field 'schema'"),
        ({"a": 1}, "no field 'schema'"),
        ({"schema": 2}, r"schema 2, but this version .* reads schema 1; update av-tag"),
        ({"schema": 0}, r"schema 0, .*; tag the file again"),
        ({"schema": "1"}, r"schema '1', .*; tag the file again"),
        ({"schema": True}, "schema True"),
        ({"schema": None}, "schema None"),
        ({"schema": [1] * 1000}, r"schema \[1, 1"),
    ],
)
def test_what_is_no_result_or_a_later_one_is_rejected(document: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        from_json(document)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tags": None}, "tags is None; expected a list"),
        ({"tags": [3]}, r"tags\[0\] is 3; expected an object"),
        ({"file": 5}, "file is 5; expected text"),
        ({"scores": []}, r"scores is \[\]; expected an object"),
        ({"scores": {"Bus": 0.5}}, r"scores\['Bus'\] is 0.5; expected an object"),
        ({"scores": {"Bus": {"fused": -0.1}}}, r"scores\['Bus'\].fused is -0.1; expected a number"),
        ({"duration": "10 s"}, "duration is '10 s'; expected a number from 0 to 31622400, or null"),
        ({"duration": 10**400}, "duration is 1000000"),
        ({"duration": math.inf}, "duration is inf"),
        ({"duration": True}, "duration is True"),
        ({"ear": None}, "ear is None; expected an object"),
        ({"ear": {}}, "no field 'ear.status'"),
        ({"ear": {"status": "asleep", "model": "m", "weights": None}}, "'asleep'; known: degraded"),
        ({"ear": {"status": "of", "model": "m", "weights": None}}, "did you mean 'off'"),
        ({"eye": {"status": "ok", "model": "m", "weights": 7}}, "eye.weights is 7; expected text"),
        ({"run": {"version": "1", "device": "cpu"}}, "no field 'run.fingerprint'"),
        ({"notes": "none"}, "notes is 'none'; expected a list"),
        ({"notes": ["a", 1]}, r"notes\[1\] is 1; expected text"),
        ({"clip": 3}, "clip is 3; expected an object"),
        ({"clip": {"start": -1, "end": None}}, "clip.start is -1"),
        ({"clip": {"start": 5, "end": 5}}, "expected 0 <= start < end"),
        ({"clip": {"start": None, "end": 5}}, "expected 0 <= start < end"),
        ({"keyframes": [{"time": 1.0, "weight": 2.0}]}, r"keyframes\[0\].weight is 2.0"),
        ({"detail": 1}, "detail is 1; expected an object"),
        ({"detail": {"keyframes": [{}, {}]}}, "0 key frames and details of 2"),
        ({"error": "bad"}, "error is 'bad'; expected an object"),
        ({"error": {"kind": "media"}}, "no field 'error.message'"),
    ],
)
def test_a_malformed_result_is_rejected(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        from_json({**as_json(one()), **change})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": None}, r"tags\[0\].label is None; expected text"),
        ({"probability": 1.5}, r"tags\[0\].probability is 1.5; expected a number from 0 to 1"),
        ({"probability": "high"}, "'high'; expected a number from 0 to 1, or null"),
        ({"heard": float("nan")}, "heard is nan"),
        ({"threshold": "low"}, "threshold is 'low'; expected a number, or null"),
        ({"events": {}}, r"tags\[0\].events is \{\}; expected a list"),
        ({"events": [7]}, r"tags\[0\].events\[0\] is 7; expected an object"),
        ({"events": [{"start": 2, "end": 1}]}, r"events\[0\] ends \(1\) before it starts \(2\)"),
        ({"events": [{"start": "x", "end": 1}]}, r"events\[0\].start is 'x'"),
        ({"events": [{"start": 1, "end": 2, "peak": 3}]}, r"events\[0\].peak is 3"),
        ({"evidence": [{"object": 1}]}, r"evidence\[0\].object is 1; expected text"),
        ({"evidence": [{"object": "bus", "similarity": -2}]}, "-2; expected a number from -1 to 1"),
    ],
)
def test_a_malformed_tag_is_rejected(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        from_json(tag_document(**change))


@pytest.mark.parametrize(
    ("activity", "sentence"),
    [
        (5, "detail.activity is 5; expected an object"),
        ({"rate": 0, "start": 0, "values": {"Bus": []}}, "rate is 0; expected frames per second"),
        ({"rate": None, "start": 0, "values": {"Bus": []}}, "rate is None"),
        ({"rate": 10, "start": 0, "values": {"Bus": "aaa"}}, "values.Bus is 'aaa'"),
        ({"rate": 10, "start": 0, "values": {"Bus": [0.5, "0.5"]}}, "not a list of numbers"),
        ({"rate": 10, "start": 0, "values": {"Bus": [0.5, True]}}, "not a list of numbers"),
        ({"rate": 10, "start": 0, "values": {"Bus": [0.5, 7]}}, "outside 0 to 1"),
        ({"rate": 10, "start": 0, "values": {"Bus": [10**400]}}, "outside 0 to 1"),
    ],
)
def test_malformed_activity_is_rejected(activity: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        from_json({**as_json(one()), "detail": {"activity": activity}})


def test_activity_columns_of_unequal_length_are_rejected() -> None:
    scores = {label: ClassScore(0.1, 0.1, None, 0.5) for label in ("Bus", "Car")}
    document = as_json(one(scores=scores))
    values = {"Bus": [0.1, 0.2], "Car": [0.1]}
    document["detail"] = {"activity": {"rate": 10, "start": 0, "values": values}}
    with pytest.raises(UsageError, match="unequal length"):
        from_json(document)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = ("file", "duration", "tags", "scores", "keyframes", "ear", "eye", "run", "clip", "detail")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from((*FIELDS, "notes", "error")), anything)
def test_any_value_in_any_field_is_read_or_rejected(field: str, value: object) -> None:
    """Read, or rejected with a sentence that names the field; no other exception."""
    with contextlib.suppress(UsageError):
        assert isinstance(from_json({**as_json(one()), field: value}), Tagged | Failed)


def test_only_file_and_tags_are_required() -> None:
    least = {"schema": 1, "file": "a.mp4", "tags": [{"label": "Bus"}], "made by": "another program"}
    outcome = from_json(least)
    assert isinstance(outcome, Tagged)
    assert [tag.label for tag in outcome.tags] == ["Bus"]
    assert math.isnan(outcome.duration_seconds)
    assert math.isnan(outcome.tags[0].probability)
    assert outcome.tags[0].threshold == math.inf
    assert (outcome.scores, outcome.keyframes, outcome.activity) == ({}, (), None)
    assert (outcome.ear.model, outcome.eye.model, outcome.run.version) == ("unknown",) * 3
    for field in ("file", "tags"):
        with pytest.raises(UsageError, match=f"no field '{field}'"):
            from_json({key: value for key, value in least.items() if key != field})


def write_lines(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return path


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    failed = as_line(Failed(Clip(Path("b")), "media", "m"))
    path = write_lines(
        tmp_path / "r.jsonl", as_line(one()), "", failed, '{"schema": 1, "fi', end=""
    )
    assert [type(o) for o in read_outcomes(path)] == [Tagged, Failed]
    assert [(n, document["file"]) for n, document, _ in read_results(path)] == [
        (1, "a.mp4"),
        (3, "b"),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "line 3: is not JSON"),
        ('{"schema": 1, "file": "a"', "line 3: is not JSON"),
        ('{"schema": 99, "file": "a"}', "line 3: has schema 99"),
        ('{"schema": 1, "file": "a", "duration": NaN, "tags": []}', "NaN is not a number in JSON"),
        ("[" * 100_000, "line 3: is not JSON"),
        ("[1]", "line 3: is not a result of av-tag"),
        ('{"schema": 1, "tags": []}', "line 3: has no field 'file'"),
    ],
)
def test_an_unreadable_line_is_named(line: str, sentence: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "results.jsonl", as_line(one()), "", line, as_line(one()))
    with pytest.raises(TableError, match=sentence) as caught:
        list(read_outcomes(path))
    assert caught.value.line == 3
    assert str(path) in str(caught.value)


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'{"schema": 1, "file": "\xff\xfe"}\n')
    with pytest.raises(TableError, match="line 1: is not JSON"):
        list(read_outcomes(tmp_path / "r.jsonl"))


def test_a_byte_order_mark_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\xef\xbb\xbf" + as_line(one()).encode() + b"\n")
    assert len(list(read_outcomes(tmp_path / "r.jsonl"))) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.jsonl: cannot be read"):
        list(read_outcomes(tmp_path / "none.jsonl"))


def test_results_are_found_in_a_folder_or_as_a_file(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "results.jsonl", as_line(one()))
    assert find_results(tmp_path) == find_results(path) == path
    with pytest.raises(UsageError, match="no such file or folder"):
        find_results(tmp_path / "none")
    path.unlink()
    with pytest.raises(UsageError, match=r"has no results\.jsonl"):
        find_results(tmp_path)
