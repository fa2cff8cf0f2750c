"""The tables of DCASE 2017 task 4: all their forms, and the errors of malformed lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.clip import Clip
from av_tagger.dcase import (
    ClipName,
    SoundEvent,
    clip_key,
    from_outcomes,
    parse_name,
    public_name,
    read_class_list,
    read_download_list,
    read_list,
    read_strong,
    read_submission,
    read_weak,
    write_events,
    write_tags,
)
from av_tagger.errors import StorageError, TableError, UsageError
from av_tagger.labels import dcase2017
from av_tagger.scores import BranchInfo, Event, Failed, RunInfo, Status, Tag, Tagged

if TYPE_CHECKING:
    from collections.abc import Callable

LABELS = dcase2017().labels
ids = st.text("abzAZ09_-", min_size=11, max_size=11)


@pytest.mark.parametrize(
    ("name", "id_", "start", "end"),
    [
        ("-5QrBL6MzLg_60.000_70.000.wav", "-5QrBL6MzLg", 60, 70),
        ("Y-5QrBL6MzLg_60.000_70.000.wav", "-5QrBL6MzLg", 60, 70),
        ("YCk9F0Uq3BE_70.000_80.000.wav", "YCk9F0Uq3BE", 70, 80),  # an id that begins with Y
        ("YYCk9F0Uq3BE_70.000_80.000.mp4", "YCk9F0Uq3BE", 70, 80),
        ("0_HnD-rW3lI_170.000_180.000", "0_HnD-rW3lI", 170, 180),
        ("ab_5_6_7_80_5.500_9.250.flac", "ab_5_6_7_80", 5.5, 9.25),
        ("bpdCMWWiB_0_30.000_40.000.wav", "bpdCMWWiB_0", 30, 40),
        ("/some/folder/x70B12Mb-8a_30_40.mkv", "x70B12Mb-8a", 30, 40),
        ("C:\\clips\\x70B12Mb-8a_30_40.3gp", "x70B12Mb-8a", 30, 40),
        ("x70B12Mb-8a_30000_40000.mp4", "x70B12Mb-8a", 30, 40),  # milliseconds
        ("Yx70B12Mb-8a_0_10000.flac", "x70B12Mb-8a", 0, 10),
        ("x70B12Mb-8a_1000_1010.wav", "x70B12Mb-8a", 1000, 1010),  # seconds
        ("x70B12Mb-8a_0.000_3600.000.wav", "x70B12Mb-8a", 0, 3600),
    ],
)
def test_clip_names(name: str, id_: str, start: float, end: float) -> None:
    assert parse_name(name) == ClipName(id_, start, end)
    assert public_name(name) == f"{id_}_{start:.3f}_{end:.3f}.wav"


@pytest.mark.parametrize(
    "name",
    [
        "street.wav",
        "Yshort_1.000_2.000.wav",
        "-5QrBL6MzLg_70.000_60.000.wav",
        "-5QrBL6MzLg.wav",
        "",
    ],
)
def test_other_names_are_kept(name: str) -> None:
    assert parse_name(name) is None
    assert clip_key(name) == name.removesuffix(".wav")


@settings(max_examples=50, deadline=None)
@given(ids, st.integers(0, 9_999_999), st.integers(1, 600_000))
def test_every_spelling_of_a_clip_has_one_key(id_: str, start_ms: int, length_ms: int) -> None:
    name = ClipName(id_, start_ms / 1000, (start_ms + length_ms) / 1000)
    for spelling in (f"{name}", f"Y{name}", f"{name}.wav", f"a/b/Y{name}.mp4", f"{name}.FLAC"):
        assert clip_key(spelling) == str(name)


def test_the_class_list(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(
        b"Class_ID        Confidence        Class_Label\r\n"
        b"/m/05x_td\t9\tAir horn, truck horn\r\n/m/0k4j\t10\tCar\r\n"
    )
    classes = read_class_list(path)
    assert classes.labels == ("Air horn, truck horn", "Car")
    assert classes.ids == ("/m/05x_td", "/m/0k4j")
    assert classes.classes[0].group == "warning"


def test_labels_of_a_download_list_are_found_by_their_ids(tmp_path: Path) -> None:
    """Labels contain unescaped commas: only the last column is reliable."""
    path = tmp_path / "testing_set.csv"
    rows = [
        (
            '-Gbohom8C4Q,30.000,40.000,"Train horn,Air horn, truck horn,Train",'
            '"/m/0284vy3,/m/05x_td,/m/07jdr"'
        ),
        "-GCwoyCnYsY,0.000,10.000,Train horn,/m/0284vy3",
        'Y_a_b_c_d_e_, 1.000, 2.500, "Fire engine, fire truck (siren)", "/m/012ndj"',
    ]
    path.write_bytes(("\ufeff" + "\r\n".join(rows) + "\r\n").encode())
    clips = read_download_list(path)
    three = ("Train horn", "Air horn, truck horn", "Train")
    assert [c.labels for c in clips] == [
        three,
        ("Train horn",),
        ("Fire engine, fire truck (siren)",),
    ]
    assert [c.key for c in clips] == [
        "-Gbohom8C4Q_30.000_40.000",
        "-GCwoyCnYsY_0.000_10.000",
        "_a_b_c_d_e__1.000_2.500",
    ]
    assert read_list(path) == clips


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("y", ["", "Y"])
def test_weak_truth_with_any_line_ends_and_byte_order_mark(
    end: str, mark: str, y: str, tmp_path: Path
) -> None:
    rows = [
        f"{y}-5QrBL6MzLg_60.000_70.000.wav\t60.000\t70.000\tTrain horn",
        f"{y}0_HnD-rW3lI_170.000_180.000.wav\t170.000\t180.000\tAir horn, truck horn",
        f"{y}-5QrBL6MzLg_60.000_70.000.wav\t60.000\t70.000\tTrain",
        f"{y}-5QrBL6MzLg_60.000_70.000.wav\t60.000\t70.000\tTrain",
        "",
        f"{y}zzzzzzzzzzz_0.000_10.000.wav",
    ]
    path = tmp_path / "weak.csv"
    path.write_bytes((mark + end.join(rows) + end).encode())
    expected = {
        "-5QrBL6MzLg_60.000_70.000": ("Train horn", "Train"),
        "0_HnD-rW3lI_170.000_180.000": ("Air horn, truck horn",),
        "zzzzzzzzzzz_0.000_10.000": (),
    }
    assert read_weak(path) == expected
    assert [(c.key, c.labels) for c in read_list(path)] == list(expected.items())


def test_strong_truth_keeps_clips_without_events(tmp_path: Path) -> None:
    path = tmp_path / "strong.csv"
    path.write_text(
        "-GCwoyCnYsY_0.000_10.000.wav\t0.165\t3.8\tTrain horn\n"
        "-GCwoyCnYsY_0.000_10.000.wav\t4.865\t8.7\tTrain horn\n"
        "--zLzL0sq3M_30.000_40.000.wav\t0.000\t0.0\tCar\n"
    )
    assert read_strong(path) == {
        "-GCwoyCnYsY_0.000_10.000": (
            SoundEvent("Train horn", 0.165, 3.8),
            SoundEvent("Train horn", 4.865, 8.7),
        ),
        "--zLzL0sq3M_30.000_40.000": (),
    }
    assert read_weak(path)["--zLzL0sq3M_30.000_40.000"] == ()


GOOD = "-GCwoyCnYsY_0.000_10.000.wav\t0\t10\tTrain\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a.wav\t0\t10", "has 3 columns; expected tab-separated"),
        ("a.wav\t0\t10\tCar\tBus", "has 5 columns"),
        ("a.wav\tzero\t10\tCar", "'zero' is not a time; expected seconds"),
        ("a.wav\t0\tnan\tCar", "'nan' is not a time"),
        ("a.wav\t-1\t10\tCar", "'-1' is not a time"),
        ("a.wav\t0\t7_0\tCar", "'7_0' is not a time"),
        ("a.wav\t0\t１０\tCar", "'１０' is not a time"),
        ("a.wav\t0\tinf\tCar", "'inf' is not a time"),
        ("a.wav\t10\t0\tCar", "ends (0) before it starts (10)"),
        ("a.wav\t0\t10\tMotorcycel", "'Motorcycel' is not a class; did you mean 'Motorcycle'?"),
        ("a.wav\t0\t10\t", "'' is not a class"),
        ("\t0\t10\tCar", "has no file name"),
        ("a.wav,0,10,Car", "is separated by commas"),
    ],
)
@pytest.mark.parametrize("reader", [read_weak, read_strong, read_submission, read_list])
def test_a_malformed_line_is_named(
    reader: Callable[[Path], object], line: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes((GOOD + "\r\n" + line + "\n").encode())
    with pytest.raises(TableError, match=re.escape(says)) as caught:
        reader(path)
    assert caught.value.line == 3
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("-GCwoyCnYsY,0,10,Car", "has 4 columns; expected comma-separated"),
        ("-GCwoyCnYs,0,10,Car,/m/0k4j", "is not a clip; expected an id of 11 characters"),
        ("-GCwoyCnYsY,10,10,Car,/m/0k4j", "from 10 to 10 is not a clip"),
        ("-GCwoyCnYsY,x,10,Car,/m/0k4j", "'x' is not a time"),
        (
            "-GCwoyCnYsY,0,10,Dog,/m/0bt9lr",
            "no class has the id '/m/0bt9lr'; expected ids of the 17 classes",
        ),
    ],
)
def test_a_malformed_line_of_a_download_list_is_named(line: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"-GCwoyCnYsY,0.000,10.000,Train horn,/m/0284vy3\n{line}\n")
    with pytest.raises(TableError, match=re.escape(says)) as caught:
        read_download_list(path)
    assert caught.value.line == 2


def test_a_malformed_line_of_a_class_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("/m/0k4j\t10\tCar\n/m/01bjv 7 Bus\n")
    with pytest.raises(TableError, match=r"line 2: has 1 columns"):
        read_class_list(path)


@pytest.mark.parametrize(
    "reader", [read_weak, read_strong, read_submission, read_download_list, read_class_list]
)
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n \n"])
def test_empty_and_missing_tables(
    reader: Callable[[Path], object], content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(UsageError, match="cannot be read"):
        reader(path)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"table\.csv: (is empty|has no class)"):
        reader(path)


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(GOOD.encode() + b"\xff\xfe\n")
    with pytest.raises(TableError, match="line 2: is not text"):
        read_weak(path)


def test_a_submission_to_subtask_a(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    two = ("Train", "Air horn, truck horn")
    write_tags(
        path,
        {"Y-5QrBL6MzLg_60.000_70.000.mp4": two, "-GCwoyCnYsY_0.000_10.000": (), "my.wav": ("Car",)},
    )
    assert path.read_bytes() == (
        b"-5QrBL6MzLg_60.000_70.000.wav\t60.000\t70.000\tTrain\n"
        b"-5QrBL6MzLg_60.000_70.000.wav\t60.000\t70.000\tAir horn, truck horn\n"
        b"-GCwoyCnYsY_0.000_10.000.wav\n"
        b"my.wav\t0.000\t10.000\tCar\n"
    )
    assert [p.name for p in path.parent.iterdir()] == ["a.csv"]


def test_a_submission_to_subtask_b(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    events = (
        SoundEvent("Train", 0.0, 2.5),
        SoundEvent("Car", 3.0, 3.0001),
        SoundEvent("Car", 0.0, 0.0),
    )
    write_events(path, {"-5QrBL6MzLg_60.000_70.000": events, "-GCwoyCnYsY_0.000_10.000": ()})
    assert (
        path.read_text()
        == "-5QrBL6MzLg_60.000_70.000.wav\t0.000\t2.500\tTrain\n-GCwoyCnYsY_0.000_10.000.wav\n"
    )


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(ids, st.lists(st.sampled_from(LABELS), unique=True), min_size=1, max_size=5))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, tags: dict[str, list[str]]) -> None:
    path = tmp_path_factory.mktemp("round") / "a.csv"
    named = {f"Y{id_}_5.000_15.000.wav": labels for id_, labels in tags.items()}
    write_tags(path, named)
    assert read_weak(path) == {clip_key(name): tuple(labels) for name, labels in named.items()}


def test_wrong_submissions_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(UsageError, match="same clip"):
        write_tags(path, {"-5QrBL6MzLg_60_70.wav": (), "Y-5QrBL6MzLg_60.000_70.000": ()})
    with pytest.raises(UsageError, match="no clip to submit"):
        write_events(path, {})
    with pytest.raises(UsageError, match="does not fit a tab-separated table"):
        write_tags(path, {"a.wav": ("Car\tBus",)})
    assert not path.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_tags(tmp_path / "file" / "a.csv", {"a.wav": ()})


def test_outcomes_become_rows_in_seconds_of_the_clip() -> None:
    """Events are in seconds of the whole video; the submission has seconds of the clip."""
    branch = BranchInfo(Status.OK, "fake")
    tags = (
        Tag("Train", 0.9, 0.5, 0.9, None, (Event(31.0, 33.5, 0.9), Event(29.5, 30.25, 0.6))),
        Tag("Car", 0.6, 0.5, 0.6, None, (Event(30.0, 40.0, 0.6),)),
    )
    tagged = Tagged(
        Clip(Path("v.mp4"), 30.0, 40.0),
        10.0,
        tags,
        {},
        (),
        branch,
        branch,
        RunInfo("0", "cpu", "", 1.0),
    )
    failed = Failed(Clip(Path("w.mp4")), "media", "broken")
    made = from_outcomes([("-5QrBL6MzLg_30.000_40.000", tagged), ("w", failed)])
    assert made.tags == {"-5QrBL6MzLg_30.000_40.000": ("Train", "Car"), "w": ()}
    expected = (
        SoundEvent("Train", 0.0, 0.25),
        SoundEvent("Car", 0.0, 10.0),
        SoundEvent("Train", 1.0, 3.5),
    )
    assert made.events == {"-5QrBL6MzLg_30.000_40.000": expected, "w": ()}
    assert made.remarks == ("1 clip that failed is a bare name in the submission: untagged",)
