"""Predictions read from submissions and from results, and the errors of malformed files."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.dcase import SoundEvent
from av_tagger.errors import TableError, UsageError
from av_tagger.evaluation.labelled import labelled_scores
from av_tagger.evaluation.predictions import read_predictions
from av_tagger.labels import ClassList, SoundClass
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, ClassScore, Event, Failed, RunInfo, Status, Tag, Tagged

CLASSES = ClassList(tuple(SoundClass(label) for label in ("Car", "Bus")))
KEY = "-5QrBL6MzLg_30.000_40.000"


def tagged(clip: Clip, heard: float | None = 0.8) -> Tagged:
    branch, tag = (
        BranchInfo(Status.OK, "fake"),
        Tag("Car", 0.7, 0.5, heard, 0.6, (Event(31.5, 33.0, 0.7),)),
    )
    scores = {"Car": ClassScore(0.7, heard, 0.6, 0.5), "Bus": ClassScore(0.1, 0.1, None, 0.5)}
    return Tagged(clip, 10.0, (tag,), scores, (), branch, branch, RunInfo("0", "cpu", "x", 0.1))


def lines(path: Path, *documents: object) -> Path:
    path.write_text(
        "".join(f"{d if isinstance(d, str) else json.dumps(d)}\n" for d in documents),
        encoding="utf-8",
    )
    return path


def test_results_of_a_run_are_read(tmp_path: Path) -> None:
    """A folder of a run: a part of a whole video, a clip that failed, one that was done again."""
    broken = Failed(Clip(Path("Yzzzzzzzzzzz_0.000_10.000.wav")), "media", "is empty")
    again = Clip(Path("Yaaaaaaaaaaa_5_15.wav"))
    whole = tagged(Clip(Path("v/Night [-5QrBL6MzLg].mp4"), 30.0, 40.0))
    lines(
        tmp_path / "results.jsonl",
        as_line(whole),
        as_line(broken),
        as_line(Failed(again, "media", "slow")),
        as_line(tagged(again)),
    )
    for source in (tmp_path, tmp_path / "results.jsonl"):
        read = read_predictions(source, CLASSES)
        assert read.clips.keys() == {KEY, "aaaaaaaaaaa_5.000_15.000"}
        assert read.failed == {"zzzzzzzzzzz_0.000_10.000": "is empty"}
        assert read.repeated == 1
        clip = read.clips[KEY]
        assert clip.tags == ("Car",)
        assert clip.events == (
            SoundEvent("Car", 1.5, 3.0),
        )  # seconds of the clip, not of the video
        assert clip.scores["heard"] == {"Car": 0.8, "Bus": 0.1}
        assert math.isnan(clip.scores["seen"]["Bus"])


def test_a_line_with_file_and_tags_only_is_read(tmp_path: Path) -> None:
    least = {"schema": 1, "file": "street.mp4", "tags": [{"label": "Bus", "probability": 0.9}]}
    read = read_predictions(lines(tmp_path / "r.jsonl", least), CLASSES)
    assert read.clips["street"].tags == ("Bus",)
    assert not read.has_scores


def test_a_submission_of_events_gives_tags_too(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text(f"Y{KEY}.wav\t0\t1\tCar\n{KEY}.wav\t2\t3.5\tCar\nstreet.wav\n")
    read = read_predictions(path, CLASSES)
    assert read.clips[KEY].tags == ("Car",)
    assert read.clips[KEY].events == (SoundEvent("Car", 0, 1), SoundEvent("Car", 2, 3.5))
    assert read.clips["street"].tags == ()


def document(**changes: Any) -> dict[str, Any]:
    good = {
        "schema": 1,
        "file": "a.wav",
        "tags": [{"label": "Car", "probability": 0.9}],
        "scores": {"Car": {"fused": 0.9, "heard": 0.9}},
    }
    return good | changes


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (document(tags=[{"label": "Dog", "probability": 0.5}], scores={}), "'Dog' is not a class"),
        (document(tags=[{"label": "Cra", "probability": 0.5}], scores={}), "did you mean 'Car'"),
        (
            document(tags=[{"label": "Car", "probability": 1.5}]),
            "tags[0].probability is 1.5; expected a number from 0 to 1",
        ),
        (document(scores={"Car": {"fused": -0.1}}), "scores['Car'].fused is -0.1"),
        (
            document(scores={"Car": {"fused": "high"}}),
            "fused is 'high'; expected a number from 0 to 1",
        ),
        (document(scores={"Car": 0.5}), "scores['Car'] is 0.5; expected an object"),
        (document(scores=[]), "scores is []; expected an object"),
        (document(tags=[], scores={"Dog": {}}), "'Dog' is not a class"),
        (document(tags="Car"), "tags is 'Car'; expected a list"),
        (
            document(tags=[{"label": "Car", "events": [{"start": 2, "end": 1}]}]),
            "tags[0].events[0] ends (1) before it starts (2)",
        ),
        (
            document(tags=[{"label": "Car", "events": [7]}]),
            "tags[0].events[0] is 7; expected an object",
        ),
        (document(clip={"start": "x", "end": 3}), "clip.start is 'x'; expected a number from 0"),
        (document(error="bad"), "error is 'bad'; expected an object"),
        ({"schema": 1, "tags": []}, "has no field 'file'"),
        ("[1]", "is not a result of av-tag"),
        ("{", "is not JSON"),
    ],
)
def test_a_malformed_line_is_named(line: object, says: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", document(file="first.wav"), line)
    with pytest.raises(TableError, match=re.escape(says)) as caught:
        read_predictions(path, CLASSES)
    assert caught.value.line == 2


def test_results_with_more_classes_are_scored_on_those_of_the_truth(tmp_path: Path) -> None:
    """An ear with 527 classes and a ground truth of 17: no error, the others are named."""
    both = [{"label": "Car", "probability": 0.9}, {"label": "Dog", "probability": 0.8}]
    path = lines(tmp_path / "r.jsonl", document(tags=both))
    read = read_predictions(path, CLASSES)
    assert [p.tags for p in read.clips.values()] == [("Car",)]
    assert read.left_out == ("Dog",)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no results\.jsonl"):
        read_predictions(tmp_path, CLASSES)
    with pytest.raises(UsageError, match="no such file or folder"):
        read_predictions(tmp_path / "none.csv", CLASSES)
    (tmp_path / "results.jsonl").write_bytes(b"")
    with pytest.raises(UsageError, match="is empty"):
        read_predictions(tmp_path, CLASSES)


def test_scores_are_joined_with_the_truth(tmp_path: Path) -> None:
    other = Clip(Path("Y-5QrBL6MzLg_50_60.wav"))
    path = lines(
        tmp_path / "r.jsonl",
        as_line(tagged(Clip(Path(f"{KEY}.wav")))),
        as_line(tagged(other, None)),
        document(scores={}),
    )
    truth = {
        "zzzzzzzzzzz_0.000_10.000": ("Car",),
        "-5QrBL6MzLg_50.000_60.000": (),
        "a": ("Car",),
        KEY: ("Bus",),
    }
    table = labelled_scores(read_predictions(path, CLASSES), truth, CLASSES.labels)
    assert table.names == ("-5QrBL6MzLg_50.000_60.000", KEY)
    assert table.groups == ("-5QrBL6MzLg", "-5QrBL6MzLg")  # of one video
    assert table.truth.tolist() == [[False, False], [False, True]]
    assert table.heard[1].tolist() == [0.8, 0.1]
    assert math.isnan(table.heard[0, 0])
    assert table.unanswered == 2
    with pytest.raises(UsageError, match="no clip in common"):
        labelled_scores(read_predictions(path, CLASSES), {"other": ()}, CLASSES.labels)


def test_tags_without_scores_cannot_be_ranked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a.wav\t0\t10\tCar\n")
    with pytest.raises(UsageError, match="has tags but no scores"):
        labelled_scores(read_predictions(path, CLASSES), {"a": ("Car",)}, CLASSES.labels)
