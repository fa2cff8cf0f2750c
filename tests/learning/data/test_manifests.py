from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import TableError, UsageError
from av_tagger.labels import ClassList, SoundClass, dcase2017
from av_tagger.learning.data.examples import Example, summary, targets_of
from av_tagger.learning.data.manifests import classes_in, read_examples

PETS = ClassList((SoundClass("Dog"), SoundClass("Cat, tame"), SoundClass("Owl")))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")


def test_a_manifest_gives_clips_with_labels_and_times(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.mp4")
    table = tmp_path / "train.csv"
    table.write_bytes(
        '\ufefffile,labels,start,end\r\na.wav,"dog|Cat, tame",,\r\nb.mp4,,2.5,4\r\n'.encode()
    )
    found = read_examples(table, PETS)
    assert found.examples == (
        Example(Clip(tmp_path / "a.wav"), ("Dog", "Cat, tame")),
        Example(Clip(tmp_path / "b.mp4", 2.5, 4.0), ()),
    )
    assert found.skipped == ()
    assert found.targets().tolist() == [[1, 1, 0], [0, 0, 0]]


def test_rows_of_one_clip_are_one_example(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    table = tmp_path / "train.csv"
    table.write_text("file,labels\na.wav,Dog\na.wav,Owl\na.wav,Dog\n")
    assert [e.labels for e in read_examples(table, PETS).examples] == [("Dog", "Owl")]


def test_unknown_labels_have_nan_targets(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    table = tmp_path / "train.csv"
    table.write_text("file,labels,unknown\na.wav,Dog,Owl|Dog\n")
    assert np.array_equal(read_examples(table, PETS).targets(), [[1, 0, np.nan]], equal_nan=True)


def test_unusable_rows_are_skipped_and_listed(tmp_path: Path) -> None:
    touch(tmp_path / "good.wav", tmp_path / "mislabelled.wav", tmp_path / "times.wav")
    (tmp_path / "empty.wav").touch()
    table = tmp_path / "train.csv"
    table.write_text(
        "file,labels,start,end\ngood.wav,Dog,,\nmissing.wav,Dog,,\nempty.wav,Owl,,\nmislabelled.wav,Dgo,,\ntimes.wav,Dog,5,2\n,Dog,,\n"
    )
    found = read_examples(table, PETS)
    assert [e.clip.path.name for e in found.examples] == ["good.wav"]
    assert (
        summary(found.skipped) == "5 skipped: 2 unreadable row, 1 mislabelled, 1 missing, 1 empty"
    )
    by_kind = {s.kind: s for s in found.skipped}
    assert by_kind["missing"].name.endswith("missing.wav")
    assert by_kind["empty"].name.endswith("empty.wav")
    assert "line 5 (mislabelled.wav)" in by_kind["mislabelled"].name
    assert "did you mean 'Dog'?" in by_kind["mislabelled"].reason


def test_the_summary_of_nothing_is_empty() -> None:
    assert summary(()) == ""


def test_folder_names_match_classes_in_any_spelling(tmp_path: Path) -> None:
    touch(
        tmp_path / "dog" / "1.wav",
        tmp_path / "cat_tame" / "deep" / "2.wav",
        tmp_path / "none" / "3.wav",
        tmp_path / "Fish" / "4.wav",
    )
    touch(tmp_path / "dog" / ".hidden")
    found = read_examples(tmp_path, PETS)
    assert {e.clip.path.name: e.labels for e in found.examples} == {
        "1.wav": ("Dog",),
        "2.wav": ("Cat, tame",),
        "3.wav": (),
    }
    assert [(Path(s.name).name, s.kind) for s in found.skipped] == [("4.wav", "mislabelled")]


def test_a_dcase_list_finds_its_clips_and_lists_missing_ones(tmp_path: Path) -> None:
    touch(tmp_path / "audio" / "Y-5QrBL6MzLg_60.000_70.000.wav")
    table = tmp_path / "weak.csv"
    rows = [
        ("-5QrBL6MzLg", 60, 70, "Train horn"),
        ("-5QrBL6MzLg", 60, 70, "Train"),
        ("abcdefghijk", 30, 40, "Bus"),
    ]
    lines = [f"{v}_{a}.000_{b}.000.wav\t{a}.000\t{b}.000\t{label}\r\n" for v, a, b, label in rows]
    table.write_text("".join(lines))
    found = read_examples(table, dcase2017(), tmp_path / "audio")
    assert [e.labels for e in found.examples] == [("Train horn", "Train")]
    assert [s.kind for s in found.skipped] == ["missing"]
    assert "abcdefghijk_30.000_40.000" in found.skipped[0].name


def test_classes_can_be_taken_from_the_data(tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("file,labels\na.wav,Owl|Dog\nb.wav,\n")
    touch(tmp_path / "folders" / "Cat" / "1.wav", tmp_path / "folders" / "none" / "2.wav")
    assert classes_in([table, tmp_path / "folders"]).labels == ("Cat", "Dog", "Owl")


def test_missing_data_is_one_sentence(tmp_path: Path) -> None:
    for read in (lambda path: classes_in([path]), lambda path: read_examples(path, PETS)):
        with pytest.raises(UsageError, match="nothing: there is no such data; give a folder"):
            read(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("file,tags\na,b\n", TableError, "'labels' is missing"),
        ("file,labels\n", UsageError, "no labels"),
    ],
)
def test_unusable_tables_are_errors(
    tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    table = tmp_path / "train.csv"
    table.write_text(text)
    with pytest.raises(error, match=said):
        classes_in([table])


def test_missing_data_are_an_error() -> None:
    with pytest.raises(UsageError, match="nowhere"):
        read_examples(Path("nowhere.csv"), PETS)


def test_targets_are_in_the_order_of_the_labels() -> None:
    examples = [Example(Clip(Path("x")), ("Owl",))]
    assert targets_of(examples, ("Owl", "Dog")).tolist() == [[1, 0]]
