"""Corrected labels come back: readers, round trips with the writers, and their users."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from av_tagger.annotations import (
    AnnotatedFile,
    AnnotatedSound,
    is_annotation,
    labels_of,
    read_annotations,
)
from av_tagger.annotations.files import media_name
from av_tagger.clip import Clip
from av_tagger.errors import TableError, UsageError
from av_tagger.evaluation.report import EventReport, TagReport, score
from av_tagger.evaluation.truth import read_true_events, read_truth
from av_tagger.labels import ClassList, SoundClass, dcase2017
from av_tagger.learning.data.manifests import classes_in, read_examples
from av_tagger.reports.writers import write_all
from av_tagger.scores import Event, Outcome, Tag, Tagged
from tests.assets import make_audio
from tests.reports.conftest import street

ROUND_TRIP = {
    "audacity": ".labels.txt",
    "label-studio": ".json",
    "elan": ".eaf",
    "csv": ".events.csv",
}
HORN, BUS = "Train horn", "Bus"


def film(name: str, *spans: tuple[str, float, float]) -> Tagged:
    labels = dict.fromkeys(label for label, _, _ in spans)
    tags = tuple(
        Tag(label, 0.8, 0.4, 0.9, None, tuple(Event(a, b, 0.9) for x, a, b in spans if x == label))
        for label in labels
    )
    return replace(street(), clip=Clip(Path(name)), tags=tags)


def corrected(path: Path) -> Path:
    """What a person does in Label Studio: the predictions become an annotation."""
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks):
        result = task.pop("predictions")[0]["result"]
        task["annotations"] = [{"id": number, "was_cancelled": False, "result": result}]
    path.write_text(json.dumps(tasks))
    return path


def exported(name: str, outcomes: list[Outcome], folder: Path) -> Path:
    written = write_all([name], outcomes, folder)
    path = next(p for p in written if p.name.endswith(ROUND_TRIP[name]))
    if name == "label-studio":
        return corrected(path)
    return folder if name in ("audacity", "elan") else path


SOUNDS = (
    AnnotatedSound(1.0, 2.5, HORN),
    AnnotatedSound(2.0, 4.0, BUS),
    AnnotatedSound(6.0, 7.25, HORN),
)
ELAN_SOUND = """<A><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="{start}"/>
<TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="{end}"/></TIME_ORDER><TIER TIER_ID="Dog"><ANNOTATION>
<ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"/></ANNOTATION></TIER></A>"""
LABEL_STUDIO_SOUND = (
    '[{{"audio": "a.wav", "label": [{{"start": 0, "end": {end}, "labels": {labels}}}]}}]'
)
SPANS = ((HORN, 1.0, 2.5), (BUS, 2.0, 4.0), (HORN, 6.0, 7.25))


@pytest.mark.parametrize("name", ROUND_TRIP)
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    one, two = film("one.wav", *SPANS), film("two.wav", (BUS, 0.5, 1.0))
    path = exported(name, [one, two], tmp_path / "out")
    assert is_annotation(path)
    first, second = sorted(read_annotations(path), key=lambda f: Path(f.media).name)
    assert Path(first.media).stem == "one"
    assert first.sounds == SOUNDS
    assert second.sounds == (AnnotatedSound(0.5, 1.0, BUS),)
    assert labels_of([first, second]) == (BUS, HORN)


@pytest.mark.parametrize("name", ["audacity", "label-studio", "elan"])
def test_a_file_without_sounds_is_truth_too(name: str, tmp_path: Path) -> None:
    path = exported(name, [film("one.wav"), film("two.wav", (BUS, 0.5, 1.0))], tmp_path)
    assert sorted(len(f.sounds) for f in read_annotations(path)) == [0, 1]


@pytest.mark.parametrize(
    "label", ["=1+1", "-x", "+y", "@z", "Dog, cat; bird", 'say "hi"', "a & <b>"]
)
@pytest.mark.parametrize("name", ROUND_TRIP)
def test_hostile_labels_come_back_as_they_were(name: str, label: str, tmp_path: Path) -> None:
    path = exported(name, [film("one.wav", (label, 1.0, 2.0))], tmp_path)
    assert read_annotations(path)[0].labels == (label,)


# Formats


def test_audacity_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.labels.txt"
    path.write_text("1,5\t2,5\tDog\n\\\t100.0\t2000.0\n3.0\t3.0\tTwo words\n4.0\t5.0\t\n")
    (file,) = read_annotations(path)
    assert file.media == "a"
    assert file.sounds == (AnnotatedSound(1.5, 2.5, "Dog"), AnnotatedSound(3.0, 3.0, "Two words"))
    make_audio(tmp_path / "a.wav", seconds=0.2)
    assert read_annotations(path)[0].media == str(tmp_path / "a.wav")
    other = tmp_path / "b.txt"
    other.write_text("0.0\t1.0\tDog\n")
    assert is_annotation(other)
    other.write_text("")
    assert not is_annotation(other)


def test_event_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("file;start;end;label;peak\na.wav;1,5;2;Dog;0.3\nb.wav;;;;\na.wav;0;1;Cat;\n")
    first, second = read_annotations(path)
    assert first.sounds == (AnnotatedSound(0, 1, "Cat"), AnnotatedSound(1.5, 2, "Dog"))
    assert second == AnnotatedFile("b.wav")
    path.write_text("file,labels\na.wav,Dog\n")
    assert not is_annotation(path), "a manifest"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("a/b.wav", "a/b.wav"),
        ("file:///a/b%20c.wav", "/a/b c.wav"),
        ("/data/upload/3/0a1b2c3d-b c.wav", "b c.wav"),
        ("/data/local-files/?d=films/b.wav", "films/b.wav"),
        ("https://host.example/x/b.wav", "/x/b.wav"),
    ],
)
def test_media_names_in_addresses(address: str, name: str) -> None:
    assert media_name(address) == name


def test_label_studio_exports(tmp_path: Path) -> None:
    value = {"start": 1, "end": 2, "labels": ["Dog", "Cat"]}
    done = {"was_cancelled": False, "result": [{"value": value}, {"value": {"choices": ["x"]}}]}
    skipped = {"was_cancelled": True, "result": [{"value": value}]}
    tasks = [
        {"data": {"audio": "a.wav"}, "annotations": [done]},
        {"data": {"audio": "b.wav"}, "annotations": [skipped]},
        {"data": {"video": "c.mp4"}, "annotations": [{"result": []}]},
        {"data": {"audio": "d.wav"}, "predictions": [done]},
        {"audio": "e.wav", "label": [{"start": 0, "end": 1, "labels": ["Dog"]}]},
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    found = {f.media: f.labels for f in read_annotations(path)}
    assert found == {"a.wav": ("Cat", "Dog"), "c.mp4": (), "e.wav": ("Dog",)}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.labels.txt", "one\ttwo\tDog\n", "line 1: has the time 'one'"),
        ("a.labels.txt", "1.0\n", "line 1: has no start and end"),
        ("a.labels.txt", "2.0\t1.0\tDog\n", "line 1: ends at 1 s and starts at 2 s"),
        ("a.labels.txt", "nan\t1.0\tDog\n", "has the time 'nan'"),
        ("a.csv", "file,start,end,label\n,0,1,Dog\n", "line 2: has no file name"),
        ("a.csv", "file,start,end,label\na.wav,x,1,Dog\n", "line 2: has the time 'x'"),
        ("a.eaf", "<a>", "is not XML"),
        ("a.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "has a document type"),
        ("a.json", "[1]", "line 1: is no task"),
        ("a.json", "[", "is not JSON"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.json", '[{"label": [], "audio": 3}]', "names no media file"),
        ("a.labels.txt", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("a.labels.txt", "-1\t1\tDog\n", "line 1: ends at 1 s and starts at -1 s"),
        ("a.csv", "file,start,end,label\na.wav,0,1,Dog\nb.wav,0", "line 3: ends before its label"),
        ("a.csv", 'file,start,end,label\n"a.wav,0,1,Dog\n', "is not a table"),
        ("a.csv", f"file,start,end,label\n{'a' * 200_000},0,1,Dog\n", "is not a table"),
        ("a.csv", b"file,start,end,label\na.wav,0,1,\xff\n", "is not UTF-8 text"),
        ("a.eaf", "", "is not XML"),
        ("a.eaf", ELAN_SOUND.format(start="2000", end="1000"), "ends at 1 s and starts at 2 s"),
        ("a.eaf", ELAN_SOUND.format(start="0", end="9" * 400), "has the time '9{40}', which"),
        ("a.eaf", ELAN_SOUND.format(start="0", end="9" * 5000), "has the time '9{40}', which"),
        (
            "a.json",
            '[{"audio": "a.wav", "annotations": [{"result": 5}]}]',
            "a result that is no list",
        ),
        ("a.json", LABEL_STUDIO_SOUND.format(end="null", labels='["Dog"]'), "has the time 'None'"),
        ("a.json", LABEL_STUDIO_SOUND.format(end="9" * 400, labels='["Dog"]'), "time '9{40}', wh"),
        ("a.json", LABEL_STUDIO_SOUND.format(end="1", labels="5"), "labels that are no list"),
        ("a.json", LABEL_STUDIO_SOUND.format(end="1", labels='"Dog"'), "labels that are no list"),
        ("a.json", LABEL_STUDIO_SOUND.format(end="1", labels="[null]"), "labels that are no list"),
        ("a.json", LABEL_STUDIO_SOUND.format(end="1", labels='[" "]'), "labels that are no list"),
    ],
)
def test_damaged_files_are_one_sentence(
    name: str, text: str | bytes, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TableError, match=sentence) as caught:
        read_annotations(path)
    said = str(caught.value)
    assert said.startswith(f"{path}, line ")
    assert "\n" not in said
    assert len(said) < len(str(path)) + 200


def test_a_wrong_address_of_a_media_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"audio": "http://[x/a.wav", "label": []}]')
    assert read_annotations(path) == [AnnotatedFile("http://[x/a.wav")]


def test_one_damaged_file_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.labels.txt").write_text("0\t1\tDog\n")
    (tmp_path / "b.eaf").write_text("<cut off")
    with pytest.raises(TableError, match=r"b\.eaf, line 1: is not XML"):
        read_annotations(tmp_path)


def test_other_files_are_no_annotations(tmp_path: Path) -> None:
    for name, text in {"a.txt": "hello\n", "b.json": '{"a": 1}', "c.csv": "x,y\n1,2\n"}.items():
        (tmp_path / name).write_text(text)
        assert not is_annotation(tmp_path / name)
    assert not is_annotation(tmp_path), "a folder without label files"
    assert not is_annotation(tmp_path / "none")
    with pytest.raises(UsageError, match="is no label file"):
        read_annotations(tmp_path / "a.txt")
    with pytest.raises(UsageError, match="has no label files"):
        read_annotations(tmp_path)


# Users: evaluate, tune, train


@pytest.mark.parametrize("name", ROUND_TRIP)
def test_corrected_labels_are_ground_truth(name: str, tmp_path: Path) -> None:
    said = [film("one.wav", *SPANS), film("two.wav", (BUS, 0.5, 1.0))]
    (results,) = write_all(["json"], said, tmp_path / "run")
    true = [film("one.wav", (HORN, 1.0, 2.5)), film("two.wav", (BUS, 0.5, 1.0), (HORN, 2.0, 3.0))]
    truth = exported(name, true, tmp_path / "truth")
    assert read_truth(truth).tags == {"one": (HORN,), "two": (BUS, HORN)}
    report = score(results, truth, dcase2017(), "a")
    assert isinstance(report, TagReport)
    counts = report.scores.counts
    assert (counts.right.sum(), counts.false_positives.sum()) == (2, 1)
    assert counts.false_negatives.sum() == 1
    events = score(results, truth, dcase2017(), "b")
    assert isinstance(events, EventReport)
    assert 0 < events.scores.overall.f1 < 1
    spans = read_true_events(truth, dcase2017())
    assert [(e.label, e.start, e.end) for e in spans["one"]] == [(HORN, 1.0, 2.5)]


def test_unknown_labels_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.labels.txt").write_text("0.0\t1.0\tTrain hron\n")
    with pytest.raises(UsageError, match="did you mean 'Train horn'"):
        read_truth(tmp_path, dcase2017())
    (tmp_path / "a.labels.txt").write_text("")
    with pytest.raises(UsageError, match="has no label"):
        read_truth(tmp_path)


@pytest.mark.parametrize("name", ROUND_TRIP)
def test_corrected_labels_are_training_data(name: str, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for stem in ("one", "two", "three"):
        make_audio(media / f"{stem}.wav", seconds=8.0)
    true = [
        film(str(media / "one.wav"), *SPANS),
        film("two.wav", ("Kettle", 0.5, 0.6)),
        film("three.wav"),
        film("gone.wav", ("Kettle", 0.5, 0.6)),
    ]
    truth = exported(name, true, tmp_path / "truth")
    classes = classes_in([truth])
    assert classes.labels == (BUS, "Kettle", HORN)
    read = read_examples(truth, classes, media)
    found = {
        (e.clip.path.name, e.clip.start_seconds, e.clip.end_seconds): e.labels
        for e in read.examples
    }
    expected = {
        ("one.wav", 1.0, 2.5): (HORN, BUS),
        ("one.wav", 2.0, 4.0): (HORN, BUS),
        ("one.wav", 6.0, 7.25): (HORN,),
        ("two.wav", 0.5, 1.5): ("Kettle",),
    }
    if name != "csv":  # a table of events does not name a file without events
        expected["three.wav", 0.0, None] = ()
    assert found == expected
    assert [s.kind for s in read.skipped] == ["missing"]


def test_labels_that_are_no_classes_are_skipped(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav", seconds=2.0)
    (tmp_path / "a.labels.txt").write_text("0.0\t1.0\tKettle\n")
    read = read_examples(tmp_path, ClassList((SoundClass("Dog"),)))
    assert read.examples == ()
    assert [s.kind for s in read.skipped] == ["mislabelled"]
