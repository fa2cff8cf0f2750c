"""Every format: golden files, validation by other programs, hostile labels and names."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MissingExtra, StorageError, UsageError
from av_tagger.protocols import Writer
from av_tagger.reports import files
from av_tagger.reports.schema import read_outcomes
from av_tagger.reports.writers import WRITERS, check_formats, write_all
from av_tagger.reports.writers import elan as elan_writer
from av_tagger.reports.writers.captions import exact_cues
from av_tagger.reports.writers.tables import JSON
from av_tagger.scores import Event, Failed, Outcome, Tag, Tagged

if TYPE_CHECKING:
    from collections.abc import Sequence

GOLDEN = Path(__file__).with_name("golden")
TEXT_FORMATS = [name for name in WRITERS if name != "parquet"]

EXPECTED = {
    "json": ["results.jsonl"],
    "json-detail": ["results.detail.jsonl"],
    "csv": ["results.tags.csv", "results.events.csv"],
    "csv-raw": ["results.tags.raw.csv", "results.events.raw.csv"],
    "parquet": ["results.tags.parquet", "results.events.parquet"],
    "dcase": ["results.subtask_a.tsv", "results.subtask_b.tsv", "results.subtask_b.txt"],
    "rttm": ["results.rttm"],
    "label-studio": ["results.label-studio.json"],
    "coco": ["results.coco.json"],
    "yolo": ["results.frames.yolo.txt", "results.yolo.names"],
    **{
        name: [
            f"{stem}{suffix}"
            for stem in (
                "street_corner",
                "-5QrBL6MzLg_60.000_190.000_b_60-70",
                "Y-5QrBL6MzLg_60.000_70.000",
            )
        ]
        for name, suffix in {
            "audacity": ".labels.txt",
            "raven": ".selections.txt",
            "elan": ".eaf",
            "jams": ".jams",
            "vtt": ".vtt",
            "srt": ".srt",
            "vtt-scores": ".scores.vtt",
            "srt-scores": ".scores.srt",
            "edl": ".edl",
            "fcpxml": ".fcpxml",
            "premiere": ".premiere.xml",
            "otio": ".otio",
            "ffmetadata": ".ffmetadata",
            "chapters": ".chapters.txt",
            "losslesscut": ".losslesscut.csv",
        }.items()
    },
}


@pytest.fixture(autouse=True)
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elan_writer, "now", lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def golden(path: Path, text: str) -> None:
    """The text equals the golden file; `UPDATE_GOLDEN=1` replaces it (look before committing)."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_text(encoding="utf-8")


def test_every_format_has_expected_files() -> None:
    assert set(EXPECTED) == set(WRITERS)


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_files_equal_the_golden_files(name: str, sample: list[Outcome], tmp_path: Path) -> None:
    written = write_all([name], sample, tmp_path)
    assert [p.name for p in written] == EXPECTED[name]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(EXPECTED[name])
    if name == "otio":  # schema versions depend on the library; its own reader is a test of its own
        return
    if name == "json-detail":  # pictures depend on the version of the library that draws them
        assert list(map(type, read_outcomes(written[0]))) == list(map(type, sample))
        return
    for path in written:
        text = path.read_bytes().decode("utf-8").replace(Path.cwd().as_uri(), "file:///here")
        golden(GOLDEN / path.name, text)


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_writes_an_empty_file_for_no_results(name: str, tmp_path: Path) -> None:
    for writer in WRITERS[name]:
        assert isinstance(writer, Writer)
        path = tmp_path / f"empty{writer.suffix}"
        writer.write([], path)
        assert path.exists()


def test_json_lines_round_trip(sample: list[Outcome], tmp_path: Path) -> None:
    (path,) = write_all(["json"], sample, tmp_path)
    back = list(read_outcomes(path))
    assert [o.clip for o in back] == [o.clip for o in sample]
    assert [o.tags for o in back if isinstance(o, Tagged)] == [
        o.tags for o in sample if isinstance(o, Tagged)
    ]


def test_csv_holds_tags_events_and_errors(sample: list[Outcome], tmp_path: Path) -> None:
    tags, events = write_all(["csv"], sample, tmp_path)
    with tags.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["file"], r["label"], r["error"]) for r in rows] == [
        ("films/street corner.mp4", "Train horn", ""),
        ("films/street corner.mp4", "Bus", ""),
        ("'-5QrBL6MzLg_60.000_190.000 & <b>.mp4", "Train horn", ""),
        ("'-5QrBL6MzLg_60.000_190.000 & <b>.mp4", "Car alarm", ""),
        ("audio/Y-5QrBL6MzLg_60.000_70.000.wav", "", ""),
        ('broken, "quoted".mp4', "", 'broken, "quoted".mp4: cannot be opened'),
    ]
    with events.open(newline="", encoding="utf-8") as file:
        spans = [
            (r["clip_start"], r["label"], float(r["start"]), float(r["end"]))
            for r in csv.DictReader(file)
        ]
    assert spans == [
        ("", "Train horn", 1, 2.5),
        ("", "Train horn", 6, 7.25),
        ("60.0", "Train horn", 61, 64),
        ("60.0", "Car alarm", 63, 66.5),
    ]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_cells_are_no_formulas_unless_raw(first: str, tagged: Tagged, tmp_path: Path) -> None:
    formula = f"{first}HYPERLINK(1)"
    evil = replace(
        tagged,
        clip=Clip(Path(f"{formula}.mp4")),
        tags=(replace(tagged.tags[0], label=formula, probability=0.25),),
    )
    broken = Failed(Clip(Path("a.mp4")), "media", formula)
    cells = {}
    for name in ("csv", "csv-raw"):
        tags, events = write_all([name], [evil, broken], tmp_path / name)
        for kind, path in {"tags": tags, "events": events}.items():
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            cells[name, kind] = [v for row in rows for v in row.values()]
    for kind in ("tags", "events"):
        assert not any(cell.startswith(first) for cell in cells["csv", kind])
        assert f"'{formula}" in cells["csv", kind]
        assert formula in cells["csv-raw", kind]
    assert "0.25" in cells["csv", "tags"], "numbers stay numbers"


def test_parquet_holds_tags_events_and_errors(sample: list[Outcome], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    tags, events = (
        parquet.read_table(p).to_pylist() for p in write_all(["parquet"], sample, tmp_path)
    )
    assert [(r["label"], r["probability"], r["seen"], r["events"]) for r in tags] == [
        ("Train horn", 0.81, 0.42, 2),
        ("Bus", 0.55, 0.64, 0),
        ("Train horn", 0.7, None, 1),
        ("Car alarm", 0.5, None, 1),
        ("", None, None, None),
        ("", None, None, None),
    ]
    assert [r["error"] for r in tags][-2:] == [None, 'broken, "quoted".mp4: cannot be opened']
    assert [(r["clip_start"], r["start"], r["end"]) for r in events] == [
        (None, 1, 2.5),
        (None, 6, 7.25),
        (60, 61, 64),
        (60, 63, 66.5),
    ]


def test_parquet_without_pyarrow_names_it(
    sample: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="pip install pyarrow"):
        write_all(["parquet"], sample, tmp_path)


def test_the_jams_library_validates_the_file(sample: list[Outcome], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jams = pytest.importorskip("jams")
        documents = [
            jams.load(str(path), validate=True, strict=True)
            for path in write_all(["jams"], sample, tmp_path)
        ]
    tags, events = documents[1].annotations
    found = sorted((o.time, o.duration, o.value, o.confidence) for o in tags.data)
    assert found == [(60, 10, "Car alarm", 0.5), (60, 10, "Train horn", 0.7)]
    assert [(o.time, o.duration, o.value) for o in events.data] == [
        (61, 3, "Train horn"),
        (63, 3.5, "Car alarm"),
    ]
    assert documents[2].file_metadata.duration == 10


def test_elan_time_slots_are_sorted_and_used(sample: list[Outcome], tmp_path: Path) -> None:
    first, second, _ = (ET.parse(p).getroot() for p in write_all(["elan"], sample, tmp_path))
    for root in (first, second):
        slots = {
            s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE", "")) for s in root.iter("TIME_SLOT")
        }
        assert list(slots.values()) == sorted(slots.values())
        used = [
            a.get(f"TIME_SLOT_REF{n}") for a in root.iter("ALIGNABLE_ANNOTATION") for n in (1, 2)
        ]
        assert sorted(map(str, used)) == sorted(map(str, slots))
    times = {s.get("TIME_SLOT_ID"): s.get("TIME_VALUE") for s in second.iter("TIME_SLOT")}
    spans = {
        tier.get("TIER_ID"): [
            (times[a.get("TIME_SLOT_REF1")], times[a.get("TIME_SLOT_REF2")])
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in second.iter("TIER")
    }
    assert spans == {"Train horn": [("61000", "64000")], "Car alarm": [("63000", "66500")]}
    media = second.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None
    assert media.get("MIME_TYPE") == "video/mp4"
    assert str(media.get("MEDIA_URL")).startswith("file:///")


def test_submission_rows(sample: list[Outcome], tmp_path: Path) -> None:
    a, b, text = (
        p.read_text(encoding="utf-8").splitlines() for p in write_all(["dcase"], sample, tmp_path)
    )
    assert text == b
    assert [row.split("\t") for row in a if row.startswith("-5Q")][-1] == [
        "-5QrBL6MzLg_60.000_70.000.wav"
    ]
    assert ["street corner.wav", "1.000", "2.500", "Train horn"] in [row.split("\t") for row in b]
    assert any(
        row.endswith("\t1.000\t4.000\tTrain horn") for row in b
    )  # 61 s of the file are 1 s of the clip
    assert not any(row.startswith("Y") or "\t0.000\t0.000" in row for row in (*a, *b))


def test_captions_do_not_overlap_and_list_all_events(sample: list[Outcome]) -> None:
    one = sample[1]
    assert isinstance(one, Tagged)
    assert exact_cues(one) == [
        (61000, 63000, ("Train horn (peak 0.70)",)),
        (63000, 64000, ("Train horn (peak 0.70)", "Car alarm (peak 0.50)")),
        (64000, 66500, ("Car alarm (peak 0.50)",)),
    ]


def test_equal_neighbouring_captions_are_joined(tagged: Tagged) -> None:
    tag = Tag("Bus", 0.5, 0.4, None, None, (Event(1, 2, 0.5), Event(2, 3, 0.5)))
    one = Tagged(tagged.clip, 10.0, (tag,), {}, (), tagged.ear, tagged.eye, tagged.run)
    assert exact_cues(one) == [(1000, 3000, ("Bus (peak 0.50)",))]


def test_ffmpeg_reads_the_captions(sample: list[Outcome], tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    for name in ("vtt-scores", "srt-scores"):
        path = write_all([name], sample, tmp_path)[1]
        with av.open(str(path)) as container:
            packets = [p for p in container.demux() if p.size]
            found = [(float(p.pts * p.time_base), float(p.duration * p.time_base)) for p in packets]
        assert found == [(61.0, 2.0), (63.0, 1.0), (64.0, 2.5)], name


def test_rttm_has_ten_fields(sample: list[Outcome], tmp_path: Path) -> None:
    (path,) = write_all(["rttm"], sample, tmp_path)
    rows = [line.split(" ") for line in path.read_text(encoding="utf-8").splitlines()]
    assert {len(row) for row in rows} == {10}
    assert [(row[1], float(row[3]), float(row[4]), row[7]) for row in rows[:2]] == [
        ("street_corner", 0.0, 10.0, "Bus"),
        ("street_corner", 1.0, 1.5, "Train_horn"),
    ]


def test_raven_and_audacity_hold_the_same_events(sample: list[Outcome], tmp_path: Path) -> None:
    def rows(name: str) -> list[list[str]]:
        return [
            line.split("\t")
            for line in write_all([name], sample, tmp_path)[0].read_text().splitlines()
        ]

    table = [dict(zip(rows("raven")[0], row, strict=True)) for row in rows("raven")[1:]]
    labels = [(r["Begin Time (s)"], r["End Time (s)"], r["Annotation"]) for r in table]
    assert labels == [tuple(row) for row in rows("audacity")]
    assert [r["Selection"] for r in table] == ["1", "2", "3"]


def test_formats_are_checked_before_anything_is_written(
    sample: list[Outcome], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="did you mean 'audacity'"):
        write_all(["json", "audacty"], sample, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert check_formats(["JSON ", "csv", "json"]) == ("json", "csv")


def test_labels_are_escaped_or_flattened(tagged: Tagged, tmp_path: Path) -> None:
    tag = Tag("a\tb\nc --> <i>", 0.5, 0.4, None, None, (Event(1, 2, 0.5),))
    one = Tagged(tagged.clip, 10.0, (tag,), {}, (), tagged.ear, tagged.eye, tagged.run)
    text = {
        p.suffix: p.read_text(encoding="utf-8")
        for p in write_all(["audacity", "vtt", "srt"], [one], tmp_path)
    }
    assert text[".txt"] == "1.000000\t2.000000\ta b c --> <i>\n"
    assert "a b c --&gt; &lt;i&gt;" in text[".vtt"]
    assert "a b c → ‹i›" in text[".srt"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    def broken() -> Sequence[str]:
        yield "half"
        raise RuntimeError

    target = tmp_path / "a.txt"
    target.write_text("before")
    with pytest.raises(RuntimeError):
        files.write_text(target, broken())
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_a_file_is_an_error(sample: list[Outcome], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="choose another folder"):
        JSON.write(sample, tmp_path / "taken" / "x.jsonl")


def test_file_names_are_safe_unique_and_independent_of_order() -> None:
    paths = [
        "a/x.mp4",
        "b/X.mp4",
        "../../etc/passwd",
        "con.mp4",
        "日本 語.mkv",
        "<script>.mp4",
        "caf\udce9.mp4",
        ".mp4",
        "z" * 300,
    ]
    clips = [Clip(Path(p)) for p in paths] + [Clip(Path("a/x.mp4"), 5.0, 10.0)]
    names = files.safe_names(clips)
    assert len({n.casefold() for n in names}) == len(clips)
    for name in names:
        assert re.fullmatch(r"[\w.()+-]{1,110}", name)
        assert not name.startswith(".")
        name.encode("utf-8")
    assert dict(zip(clips, names, strict=True)) == dict(
        zip(clips[::-1], files.safe_names(clips[::-1]), strict=True)
    )
    assert files.safe_names([Clip(Path("x")), Clip(Path("x"))])[1].endswith("-2")


def test_names_that_are_not_utf8_can_be_written_in_every_format(
    tmp_path: Path, tagged: Tagged
) -> None:
    odd = [
        Failed(Clip(Path("caf\udce9\x01.mp4")), "media", "bad \udce9"),
        Tagged(Clip(Path("caf\udce9\x01.mp4")), *list(vars(tagged).values())[1:]),
    ]
    for path in write_all(WRITERS, odd, tmp_path):
        if path.suffix != ".parquet":
            path.read_bytes().decode("utf-8")
        if path.suffix == ".eaf":
            ET.parse(path)


def test_writing_imports_no_heavy_library() -> None:
    modules = "av_tagger.reports.writers, av_tagger.reports.schema"
    heavy = ("torch", "pyarrow", "matplotlib", "PIL")
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_json_has_notes_but_no_detail(sample: list[Outcome], tmp_path: Path) -> None:
    (path,) = write_all(["json"], sample, tmp_path)
    first = json.loads(path.read_text().splitlines()[0])
    assert first["notes"] == ["3 frames could not be decoded"]
    assert "detail" not in first
