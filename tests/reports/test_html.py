"""Pages and index as HTML: complete, escaped, self-contained, bounded."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.reports.html import PageOptions, PageSource, write_page, write_pages, write_site
from av_tagger.reports.html.markup import data_block, h
from av_tagger.reports.html.page import page
from av_tagger.reports.html.parts import clock
from av_tagger.reports.html.timeline import lanes_of, scale_of
from av_tagger.scores import (
    Activity,
    ClassScore,
    Event,
    Evidence,
    Failed,
    KeyFrame,
    Outcome,
    Tag,
    Tagged,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028"
PNG = b"\x89PNG\r\n\x1a\n-not-drawn-"


class Reader(HTMLParser):
    """The elements, texts and data of a page, read by the standard library's parser."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.data = ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "elements are not nested"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and self.elements[-1][1].get("id") == "data":
            self.data += data
        else:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(
    tagged: Tagged, tmp_path: Path, spectrogram: bytes | None = None, **options: Any
) -> Reader:
    write_page(tagged, tmp_path / "page.html", spectrogram, PageOptions(**options))
    return Reader(tmp_path / "page.html")


def test_text_is_escaped_and_markup_is_not() -> None:
    assert (
        h("p", {"title": 'a"b', "hidden": True, "id": None}, "1 < 2", h("b", None, "x"))
        == '<p title="a&quot;b" hidden>1 &lt; 2<b>x</b></p>'
    )


def test_no_text_can_end_a_data_block() -> None:
    block = data_block("data", {"a": HOSTILE})
    assert block.count("<") == 2
    assert json.loads(block.partition(">")[2].rpartition("<")[0]) == {"a": HOSTILE}


def test_a_page_shows_everything_of_a_result(tagged: Tagged, tmp_path: Path) -> None:
    reader = read(tagged, tmp_path, PNG)
    text = " ".join(reader.texts)
    for word in (
        "street corner.mp4",
        "Train horn",
        "0.81",
        "electric locomotive",
        "0.61",
        "trolleybus",
        "3 frames could not be decoded",
        "crnn · starter-1",
        "stands for 60 % of the clip",
        "0123456789ab",
        *tagged.scores,
    ):
        assert word in text
    assert len(reader.all("tr")) == 18
    assert len([i for i in reader.all("img") if str(i["src"]).startswith("data:image/jpeg")]) == 2
    assert len([i for i in reader.all("img") if str(i["src"]).startswith("data:image/png")]) == 1
    assert {"1.000", "6.000", "3.200", "8.100"} <= {
        str(b.get("data-seek")) for b in reader.all("button")
    }
    assert all(i.get("alt") for i in reader.all("img"))
    assert (
        reader.all("video")[0]["poster"] == reader.all("img")[1]["src"]
    )  # the key frame with the largest weight


def test_a_page_loads_only_its_media_file(tagged: Tagged, tmp_path: Path) -> None:
    reader = read(tagged, tmp_path)
    links = [
        str(value)
        for _, a in reader.elements
        for key, value in a.items()
        if key in ("src", "href", "action", "data")
    ]
    assert {link for link in links if not link.startswith(("data:image/", "#"))} == {
        str(reader.all("video")[0]["src"])
    }
    policy = next(
        str(m["content"])
        for m in reader.all("meta")
        if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [
        a for _, a in reader.elements if "style" in a or any(key.startswith("on") for key in a)
    ]


@pytest.mark.parametrize("folder", ["a b", "ümlaut#?%", "javascript:alert(1)"])
def test_the_link_points_to_the_media_file(folder: str, tagged: Tagged, tmp_path: Path) -> None:
    media = tmp_path / folder / "film's <b>.mp4"
    reader = read(replace(tagged, clip=Clip(media)), tmp_path)
    link = str(reader.all("video")[0]["src"])
    assert not re.match(r"[a-z]+:", link)
    assert (tmp_path / unquote(link)).resolve() == media.resolve()


def test_the_media_can_be_embedded(tagged: Tagged, tmp_path: Path) -> None:
    media = tmp_path / "film.mp4"
    media.write_bytes(b"film")
    film = replace(tagged, clip=Clip(media))
    assert (
        read(film, tmp_path, embed=True).all("video")[0]["src"] == "data:video/mp4;base64,ZmlsbQ=="
    )
    assert read(film, tmp_path, embed=True, embed_limit=3).all("video")[0]["src"] == "film.mp4"


def test_the_copy_of_an_address_is_in_the_page(tagged: Tagged, tmp_path: Path) -> None:
    """It is deleted after tagging: a link to it would be dead."""
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(b"film")
    address = "https://host/film.mp4"
    found = replace(tagged, clip=replace(tagged.clip, path=copy, source=address))
    (player,) = read(found, tmp_path).all("video")
    assert str(player["src"]).startswith("data:video/mp4;base64,")
    copy.unlink()
    (player,) = read(found, tmp_path).all("video")
    assert "src" not in player
    (lost,) = [p for p in read(found, tmp_path).all("p") if p.get("id") == "lost"]
    assert "hidden" not in lost
    assert address in " ".join(read(found, tmp_path).texts)


def test_hostile_names_labels_and_notes_are_escaped(tagged: Tagged, tmp_path: Path) -> None:
    tag = Tag(HOSTILE, 0.9, 0.1, 0.9, 0.1, (Event(1, 2, 0.9),), (Evidence(1, HOSTILE, 0.5, 0.5),))
    bad = replace(
        tagged,
        clip=Clip(Path(f"{HOSTILE}.mp4".replace("/", "∕"))),
        tags=(tag,),
        scores={HOSTILE: ClassScore(0.9, 0.9, 0.1, 0.1)},
        keyframes=(KeyFrame(1.0, 1.0, ((HOSTILE, 0.5),)),),
        notes=(HOSTILE,),
        activity=None,
        run=replace(tagged.run, version=HOSTILE),
        ear=replace(tagged.ear, model=HOSTILE),
    )
    calm = read(tagged, tmp_path)
    reader = read(bad, tmp_path)
    assert len(reader.all("script")) == len(calm.all("script")) == 2
    assert not [i for i in reader.all("img") if i.get("src") == "x"]
    assert sum(HOSTILE in text for text in reader.texts) >= 5
    json.loads(reader.data)
    index = write_site([bad, Failed(bad.clip, "media", HOSTILE)], tmp_path / "site")
    rows = json.loads(Reader(index).data)["rows"]
    assert len(Reader(index).all("script")) == 2
    assert [row[0] for row in rows] == [bad.clip.path.name] * 2
    assert rows[1][4] == HOSTILE


def test_names_that_are_not_utf8_make_a_page(tagged: Tagged, tmp_path: Path) -> None:
    reader = read(replace(tagged, clip=Clip(Path("caf\udce9.mp4"))), tmp_path)
    assert str(reader.all("video")[0]["src"]).endswith("caf%E9.mp4")


@pytest.mark.parametrize(
    "change",
    [
        {"activity": None},
        {"keyframes": ()},
        {"tags": (), "activity": None},
        {"scores": {}, "activity": None, "tags": (), "keyframes": ()},
        {"duration_seconds": 0.0},
        {"duration_seconds": math.nan},
        {"activity": Activity(np.full((50, 17), np.nan, np.float32), 10.0)},
        {"keyframes": (KeyFrame(1.0, math.nan),)},
    ],
)
def test_a_page_without_some_parts_is_valid(
    change: dict[str, Any], tagged: Tagged, tmp_path: Path
) -> None:
    reader = read(replace(tagged, **change), tmp_path)
    assert not reader.open
    data = json.loads(reader.data)
    assert data["end"] > data["start"]
    assert "nan" not in " ".join(reader.texts).replace("nance", "")


def test_a_sound_file_gets_an_audio_player(sample: Sequence[Outcome], tmp_path: Path) -> None:
    alone = sample[2]
    assert isinstance(alone, Tagged)
    reader = read(alone, tmp_path)
    assert len(reader.all("audio")) == 1
    assert "No class reaches its threshold. The nearest is" in " ".join(reader.texts)


def test_a_part_of_a_file_is_shown_in_seconds_of_the_file(
    sample: Sequence[Outcome], tmp_path: Path
) -> None:
    window = sample[1]
    assert isinstance(window, Tagged)
    reader = read(window, tmp_path)
    data = json.loads(reader.data)
    assert (data["start"], data["end"]) == (60.0, 70.0)
    event = next(r for r in reader.all("rect") if r.get("class") == "event")
    assert (event["x"], event["width"]) == ("10.0%", "30.0%")  # 61 s to 64 s of 60 s to 70 s
    assert {"1:00", "1:05", "1:10"} <= set(reader.texts)


def test_activity_of_long_files_keeps_peaks_and_gaps(tagged: Tagged) -> None:
    values = np.zeros((36_000, 17), np.float32)  # an hour
    values[20_000, 0] = 0.9  # a tenth of a second
    values[30_000:33_000, 0] = np.nan
    long = replace(tagged, activity=Activity(values, 10.0), duration_seconds=3600.0)
    curve = lanes_of(long, scale_of(long))[0].activity
    assert curve is not None
    assert len(curve) == 1200
    assert np.nanargmax(curve) == 20_000 // 30
    assert np.nanmax(curve) == pytest.approx(0.9)
    assert np.flatnonzero(np.isnan(curve)).tolist() == list(range(1000, 1100))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (3.25, "0:03.2"), (59.97, "1:00.0"), (3723.2, "1:02:03.2"), (math.nan, "?")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_site_has_a_page_per_result(sample: Sequence[Outcome], tmp_path: Path) -> None:
    index = write_site(sample, tmp_path / "site")
    data = json.loads(Reader(index).data)
    assert data["labels"] == ["Bus", "Car alarm", "Train horn"]
    for row, outcome in zip(data["rows"], sample, strict=True):
        assert isinstance(outcome, Tagged) == (row[2] is not None)
        if row[2] is not None:
            reader = Reader(index.parent / unquote(row[2]))
            assert outcome.clip.path.name in " ".join(reader.texts)
            assert "../index.html" in {a.get("href") for a in reader.all("a")}
    assert data["rows"][0][3:] == [10.0, [[2, 0.81], [0, 0.55]]]
    assert data["rows"][1][0].endswith("[60 – 70 s]")
    assert data["rows"][3][4] == "cannot be opened"


def test_a_site_is_written_one_result_at_a_time(tagged: Tagged, tmp_path: Path) -> None:
    alive: list[int] = []

    def source() -> Any:
        for n in range(5):
            alive.append(n)
            yield PageSource(replace(tagged, clip=Clip(Path(f"{n}.mp4"))), PNG)

    write_pages(source, tmp_path)
    assert alive == [0, 1, 2, 3, 4] * 2
    assert len(list((tmp_path / "pages").iterdir())) == 5


def test_pages_are_deterministic(tagged: Tagged) -> None:
    assert page(tagged, Path("a.html"), PNG, PageOptions()) == page(
        tagged, Path("a.html"), PNG, PageOptions()
    )


def test_many_classes_and_key_frames_are_limited(tagged: Tagged, tmp_path: Path) -> None:
    """An hour with all of AudioSet's classes."""
    scores = {f"class {k}": ClassScore(k / 1000, k / 1000, None, 0.9) for k in range(527)}
    evidence = (Evidence(7.0, "bus", 0.5, 0.5),)
    tag = Tag("class 3", 0.95, 0.9, 0.95, None, (), evidence)
    keyframes = tuple(KeyFrame(float(n), 0.9 if n % 2 else 0.1, (), PNG) for n in range(400))
    activity = Activity(np.zeros((36_000, 527), np.float32), 10.0)
    long = replace(
        tagged,
        duration_seconds=3600.0,
        scores=scores,
        tags=(tag,),
        keyframes=keyframes,
        activity=activity,
    )
    reader = read(long, tmp_path)
    assert [lane.label for lane in lanes_of(long, scale_of(long))][:2] == ["class 3", "class 526"]
    assert len([a for a in reader.all("path") if a["class"] == "line"]) == 41
    assert len(reader.all("tr")) == 528
    shots = [float(str(b["data-seek"])) for b in reader.all("button") if b.get("class") == "shot"]
    assert len(shots) == 48
    assert 7.0 in shots
    assert shots == sorted(shots)
    assert (tmp_path / "page.html").stat().st_size < 2_000_000
