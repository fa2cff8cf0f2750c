"""Markers, chapters and labels for other programs, read back by their own readers."""

from __future__ import annotations

import csv
import io
import json
import random
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import MissingExtra, UsageError
from av_tagger.reports.timecode import FrameRate, parse_rate, rate_of
from av_tagger.reports.writers import WRITERS, write_all
from av_tagger.reports.writers.chapters import chapters
from av_tagger.reports.writers.timeline import (
    TimelineSettings,
    film_timeline,
    timeline_settings,
)
from av_tagger.scores import Event, Failed, Outcome, Tag, Tagged
from tests.assets import make_audio, make_video
from tests.reports.test_captioning import HOSTILE

RATES = ["23.976", "24", "25", "29.97", "29.97df", "30", "50", "59.94", "59.94df", "60"]
OTIO_ADAPTERS = {
    "edl": "cmx_3600",
    "fcpxml": "fcpx_xml",
    "premiere": "fcp_xml",
    "otio": "otio_json",
}


def write(name: str, tagged: Tagged, folder: Path, rate: str = "25", start: str = "") -> Path:
    settings = timeline_settings(parse_rate(rate), start or None)
    return write_all([name], [tagged], folder, timeline=settings)[0]


def otio() -> Any:
    return pytest.importorskip("opentimelineio")


# Timecodes


@pytest.mark.parametrize(
    ("rate", "frame", "timecode"),
    [
        ("25", 90_000, "01:00:00:00"),
        ("23.976", 86_400, "01:00:00:00"),
        ("29.97", 107_892, "00:59:56:12"),
        ("29.97df", 107_892, "01:00:00;00"),
        ("29.97df", 1799, "00:00:59;29"),
        ("29.97df", 1800, "00:01:00;02"),
        ("29.97df", 17_981, "00:09:59;29"),
        ("29.97df", 17_982, "00:10:00;00"),
        ("59.94df", 3599, "00:00:59;59"),
        ("59.94df", 3600, "00:01:00;04"),
        ("59.94df", 215_784, "01:00:00;00"),
        ("25", 24 * 3600 * 25, "00:00:00:00"),
    ],
)
def test_timecodes(rate: str, frame: int, timecode: str) -> None:
    assert parse_rate(rate).timecode(frame) == timecode


@pytest.mark.parametrize("name", RATES)
def test_timecodes_agree_with_a_library_and_go_back(name: str) -> None:
    rate, library = parse_rate(name), otio().opentime
    rng = random.Random(0)
    for frame in [0, 1, 1800, 17_982, *(rng.randrange(23 * 3600 * 23) for _ in range(300))]:
        shown = rate.timecode(frame)
        assert rate.frame_of(shown) == frame
        time = library.RationalTime(frame, float(rate.rate))
        assert shown == library.to_timecode(time, float(rate.rate), rate.drop)


def test_frames_are_counted_exactly() -> None:
    rate = parse_rate("29.97")
    assert rate.frames(3600.0) == round(3600 * Fraction(30000, 1001)) == 107_892
    assert rate.seconds(30) == Fraction(1001, 1000)
    assert (rate.nominal, rate.is_ntsc) == (30, True)


@pytest.mark.parametrize("text", ["1:0:0", "25:00:00:00", "00:60:00:00", "00:00:00:25", "x"])
def test_wrong_timecodes_and_rates_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no timecode"):
        parse_rate("25").frame_of(text)
    with pytest.raises(UsageError, match="no frame rate"):
        parse_rate("29.98")
    with pytest.raises(UsageError, match=r"only 29\.97"):
        FrameRate(Fraction(25), drop=True)


def test_the_rate_is_that_of_the_film(tmp_path: Path, tagged: Tagged) -> None:
    film = make_video(tmp_path / "a.mp4", seconds=1.0, fps=30.0)
    assert rate_of(replace(tagged, clip=Clip(film))) == parse_rate("30")
    sound = make_audio(tmp_path / "a.wav", seconds=1.0)
    assert rate_of(replace(tagged, clip=Clip(sound))) == parse_rate("25")
    assert rate_of(tagged) == parse_rate("25"), "there is no such file"


# Editors


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", OTIO_ADAPTERS)
def test_an_editors_library_finds_the_markers(
    name: str, rate: str, tagged: Tagged, tmp_path: Path
) -> None:
    if name == "fcpxml" and "." in rate:
        pytest.skip("its adapter rounds 29.97 to 29 frames per second; see the test of seconds")
    library, exact = otio(), parse_rate(rate)
    path = write(name, tagged, tmp_path, rate)
    more = {"rate": float(exact.rate)} if name == "edl" else {}
    read = library.adapters.read_from_file(str(path), OTIO_ADAPTERS[name], **more)
    clips = list(read.find_clips())
    if name == "edl":
        found = [
            (c.metadata["cmx_3600"]["comments"][0].split("|M:")[1], c.source_range) for c in clips
        ]
        starts = [(label.partition(" |D:")[0], r.start_time.value) for label, r in found]
        lengths = [int(label.partition(" |D:")[2]) for label, _ in found]
    else:
        markers = read.tracks.markers if name == "premiere" else clips[0].markers
        starts = [(m.name, m.marked_range.start_time.value) for m in markers]
        lengths = [m.marked_range.duration.value for m in markers]
    expected = [("Bus", 0.0, 10.0), ("Train horn", 1.0, 2.5), ("Train horn", 6.0, 7.25)]
    assert starts == [(label, exact.frames(start)) for label, start, _ in expected]
    assert lengths == [exact.frames(end) - exact.frames(start) for _, start, end in expected]


def test_an_edl_as_resolve_reads_it(tagged: Tagged, tmp_path: Path) -> None:
    text = write("edl", tagged, tmp_path, "29.97df", "01:00:00:00").read_text()
    assert text.splitlines()[:6] == [
        "TITLE: street corner.mp4",
        "FCM: DROP FRAME",
        "",
        "001  001      V     C        01:00:00;00 01:00:00;01 01:00:00;00 01:00:00;01",
        "probability 0.55 |C:ResolveColorBlue |M:Bus |D:300",
        "",
    ]
    assert "NON-DROP" in write("edl", tagged, tmp_path, "23.976").read_text()
    many = replace(tagged, tags=(replace(tagged.tags[0], events=(Event(1, 2, 0.5),) * 1001),))
    numbers = [
        line[:3]
        for line in write("edl", many, tmp_path).read_text().splitlines()
        if line[:1].isdigit()
    ]
    assert numbers[:2] + numbers[998:1000] == ["001", "002", "999", "001"]


@pytest.mark.parametrize("rate", RATES)
def test_fcpxml_times_are_whole_frames(rate: str, tagged: Tagged, tmp_path: Path) -> None:
    exact = parse_rate(rate)
    root = ET.parse(write("fcpxml", tagged, tmp_path, rate, "01:00:00:00")).getroot()
    times = [
        Fraction(value.removesuffix("s"))
        for e in root.iter()
        for key, value in e.attrib.items()
        if key in ("start", "duration", "offset", "tcStart")
    ]
    assert len(times) > 10
    assert all((t * exact.rate).denominator == 1 for t in times)
    (frame,) = (f.get("frameDuration", "") for f in root.iter("format"))
    assert Fraction(frame.removesuffix("s")) == 1 / exact.rate
    markers = [(m.get("value"), Fraction(m.get("start", "")[:-1])) for m in root.iter("marker")]
    assert markers[1] == ("Train horn", exact.seconds(exact.frames(1.0)))
    (sequence,) = root.iter("sequence")
    assert sequence.get("tcFormat") == ("DF" if exact.drop else "NDF")
    assert [c.get("offset") for c in root.iter("asset-clip")] == [sequence.get("tcStart")]
    ids = {e.get("id") for e in root.iter() if e.get("id")}
    refs = {e.get(k) for e in root.iter() for k in ("ref", "format") if e.get(k)}
    assert refs <= ids


def test_xmeml_names_its_file_once(tagged: Tagged, tmp_path: Path) -> None:
    root = ET.parse(write("premiere", tagged, tmp_path, "29.97df")).getroot()
    files = list(root.iter("file"))
    assert [f.get("id") for f in files] == ["file-1", "file-1"]
    assert [f.findtext("pathurl") is not None for f in files] == [True, False]
    assert {r.findtext("ntsc") for r in root.iter("rate")} == {"TRUE"}
    assert root.findtext("sequence/timecode/displayformat") == "DF"


def test_otio_without_its_library(
    tagged: Tagged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(MissingExtra, match="pip install opentimelineio"):
        write_all(["otio"], [tagged], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_starts_are_refused() -> None:
    with pytest.raises(UsageError, match="is no timecode"):
        timeline_settings(None, "one hour")
    with pytest.raises(UsageError, match="is no timecode"):
        timeline_settings(parse_rate("25"), "01:00:00:25")
    assert timeline_settings(None, None) == TimelineSettings()


# Chapters


def film(*spans: tuple[str, float, float], seconds: float = 120.0) -> Tagged:
    from tests.reports.conftest import street

    tags = tuple(Tag(name, 0.8, 0.4, 0.9, None, (Event(a, b, 0.9),)) for name, a, b in spans)
    return replace(street(), tags=tags, duration_seconds=seconds)


def test_chapters_cover_the_film() -> None:
    found = chapters(film(("Dog", 20, 40), ("Rain", 60, 100), ("Siren", 102, 104)))
    assert [(c.start, c.end, c.title) for c in found] == [
        (0, 20_000, "Intro"),
        (20_000, 60_000, "Dog"),
        (60_000, 102_000, "Rain"),
        (102_000, 120_000, "Siren"),
    ]
    assert [c.title for c in chapters(film(("Dog", 2, 4), ("Rain", 5, 8)))] == ["Dog"]
    assert chapters(film()) == []


def test_chapter_text_and_ffmpeg_metadata(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    long = film(("Dog; #1 = \\best", 20, 40), ("Rain", 3700, 3720), seconds=4000.0)
    text, metadata = write_all(["chapters", "ffmetadata"], [long], tmp_path)
    assert text.read_text() == "0:00 Intro\n0:20 Dog; #1 = \\best\n1:01:40 Rain\n"
    with av.open(str(metadata), format="ffmetadata") as container:
        read = container.chapters()
    assert [c["metadata"]["title"] for c in read] == ["Intro", "Dog; #1 = \\best", "Rain"]
    assert [(c["start"], c["end"]) for c in read][1] == (20_000, 3_700_000)


# Labels


def test_losslesscut_rows(tagged: Tagged, tmp_path: Path) -> None:
    evil = replace(tagged, tags=(replace(tagged.tags[0], label='=1+1, "x"\ny'),))
    rows = list(csv.reader(io.StringIO(write("losslesscut", evil, tmp_path).read_text())))
    assert rows == [["1.000", "2.500", '\'=1+1, "x" y'], ["6.000", "7.250", '\'=1+1, "x" y']]


def test_coco_numbers_fit(sample: list[Outcome], tmp_path: Path) -> None:
    document = json.loads(write_all(["coco"], sample, tmp_path)[0].read_text())
    audios = {a["id"]: a for a in document["audios"]}
    categories = {c["id"]: c["name"] for c in document["categories"]}
    found = [
        (audios[a["audio_id"]]["file_name"], categories[a["category_id"]], a["start"], a["end"])
        for a in document["annotations"]
    ]
    assert ("films/street corner.mp4", "Train horn", 1.0, 2.5) in found
    assert len(found) == 5
    assert len({a["id"] for a in document["annotations"]}) == 5
    assert len(audios) == 3, "a file that failed has no row"


def test_label_studio_tasks_have_what_its_format_asks_for(
    sample: list[Outcome], tmp_path: Path
) -> None:
    tasks = json.loads(write_all(["label-studio"], sample, tmp_path)[0].read_text())
    assert tasks[0]["data"]["audio"] == "films/street corner.mp4"
    assert [len(t["predictions"][0]["result"]) for t in tasks] == [3, 2, 0]
    for task in tasks:
        for region in task["predictions"][0]["result"]:
            assert region["type"] == "labels"
            assert {"start", "end", "labels"} <= set(region["value"])
            assert region["to_name"] in task["data"]
            assert 0 <= region["score"] <= 1


def test_yolo_rows_name_classes(sample: list[Outcome], tmp_path: Path) -> None:
    rows, names = write_all(["yolo"], sample, tmp_path)
    labels = names.read_text().splitlines()
    found = [
        (line.split()[0], labels[int(line.split()[1])]) for line in rows.read_text().splitlines()
    ]
    assert found == [("street_corner_000003200.jpg", "Bus"), ("street_corner_000008100.jpg", "Bus")]
    assert all(
        line.split()[2:] == ["0.5", "0.5", "1", "1"] for line in rows.read_text().splitlines()
    )


# Hostile names and texts, in every format


def hostile(text: str, tagged: Tagged) -> list[Outcome]:
    name = text.replace("\x00", "").replace("/", "")[:200]
    tag = replace(tagged.tags[0], label=text)
    one = replace(tagged, clip=Clip(Path(f"{name}.mp4")), tags=(tag, tagged.tags[1]))
    return [one, Failed(Clip(Path(f"../{name}.mp4")), "media", text), film()]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_every_format_survives_hostile_texts(text: str, tagged: Tagged, tmp_path: Path) -> None:
    written = write_all(WRITERS, hostile(text, tagged), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"], "no path leaves the folder"
    assert {p.parent for p in written} == {tmp_path / "out"}
    for path in written:
        assert path.is_file()
        if path.suffix == ".parquet":
            continue
        content = path.read_bytes().decode("utf-8")
        if path.suffix in (".eaf", ".fcpxml", ".xml"):
            ET.fromstring(content)
        elif path.suffix in (".json", ".jams", ".otio"):
            json.loads(content)
        elif path.suffix == ".jsonl":
            assert len([json.loads(line) for line in content.split("\n")[:-1]]) == 3
        if path.suffix == ".csv" and ".raw." not in path.name:
            cells = [cell for row in csv.reader(io.StringIO(content, newline="")) for cell in row]
            assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in cells)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_labels_do_not_add_lines_or_markers(
    text: str, tagged: Tagged, tmp_path: Path
) -> None:
    one = replace(tagged, tags=(replace(tagged.tags[0], label=text),))
    lines = {
        name: write(name, one, tmp_path).read_text(encoding="utf-8").split("\n")
        for name in ("edl", "losslesscut", "chapters", "ffmetadata", "audacity", "srt")
    }
    assert len([line for line in lines["edl"] if line[:3] in ("001", "002", "003")]) == 2
    assert len([line for line in lines["losslesscut"] if line]) == 2
    assert len([line for line in lines["chapters"] if line]) == 1
    assert len([line for line in lines["ffmetadata"] if line.startswith("title=")]) == 1
    assert len([line for line in lines["audacity"] if line]) == 2
    assert len([line for line in lines["srt"] if "-->" in line]) == 2
    markers = film_timeline(one, TimelineSettings(parse_rate("25"))).markers
    assert len(markers) == 2
    assert all(m.label == " ".join(m.label.split()) and len(m.label) <= 240 for m in markers)
    for name, adapter in OTIO_ADAPTERS.items():
        path = write(name, one, tmp_path)
        otio().adapters.read_from_file(str(path), adapter)
