"""Hits as JSON, CSV, playlist and page: hostile names and texts stay text."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from av_tagger.collection.page import hits_page
from av_tagger.collection.search import Found, FoundEvent, Hit
from av_tagger.collection.tables import csv_table, json_lines, location, playlist

EVENT = FoundEvent("Dog", 1.0, 2.5, 0.75)
HIT = Hit("run", "films/a.mp4", 0.0, None, 60.0, None, 0.8, (("Dog", 0.8),), (EVENT,))
HOSTILE = (
    "=cmd()|x.mp4",
    "<script>alert(1)</script>.mp4",
    "a\"b'c&d.mp4",
    "line\nbreak\r\n#EXTM3U.mp4",
    "#EXTM3U.mp4",
    "../../etc/passwd.mp4",
    "\x1b[31mred\x07.mp4",
    os.fsdecode(b"caf\xe9.mp4"),
    "\u202egpj.mp4",
    "http://host/x.mp4",
    " ,;\t.mp4",
)


def hostile(name: str) -> Hit:
    event = replace(EVENT, label=f"@{name}")
    return replace(HIT, file=name, source=f"+{name}", tags=((name, 0.5),), events=(event,))


def test_json_is_an_object_per_hit() -> None:
    (line,) = json_lines([HIT])
    assert json.loads(line) == {
        "file": "films/a.mp4",
        "source": "run",
        "score": 0.8,
        "date": None,
        "tags": [{"label": "Dog", "probability": 0.8}],
        "events": [{"label": "Dog", "start": 1.0, "end": 2.5, "peak": 0.75}],
    }
    part = replace(HIT, start=5.0, end=15.0, score=None, moment=0.0)
    found = json.loads(next(json_lines([part])))
    assert found["clip"] == {"start": 5.0, "end": 15.0}
    assert found["score"] is None
    assert found["date"].startswith(("1970-01-01T", "1969-12-31T"))


def test_csv_has_a_row_per_event_and_one_for_a_hit_without() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(csv_table([HIT, replace(HIT, events=())])))))
    assert [(r["label"], r["start"], r["end"]) for r in rows] == [
        ("Dog", "1.0", "2.5"),
        ("Dog", "0.0", "60.0"),
    ]


def test_a_playlist_has_times_for_players(tmp_path: Path) -> None:
    target = tmp_path / "lists" / "a.m3u"
    hit = replace(HIT, file=str(tmp_path / "films" / "a.mp4"))
    assert "".join(playlist([hit], target)) == (
        "#EXTM3U\n#EXTINF:2,Dog 1.0 s, a.mp4\n#EXTVLCOPT:start-time=1.000\n"
        "#EXTVLCOPT:stop-time=2.500\n../films/a.mp4\n"
    )
    live = replace(hit, live=True)
    assert "".join(playlist([live], target)) == "#EXTM3U\n", "there is nothing to play"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_json_and_csv(name: str) -> None:
    (line,) = json_lines([hostile(name)])
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line)["file"] == name
    (row,) = csv.DictReader(io.StringIO("".join(csv_table([hostile(name)])), newline=""))
    for cell in (row["file"], row["label"], row["source"]):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row["file"].removeprefix("'") == name


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_a_playlist(name: str, tmp_path: Path) -> None:
    text = "".join(playlist([hostile(name)], tmp_path / "a.m3u"))
    lines = text.splitlines()
    assert len(lines) == 5, "one entry, whatever the name holds"
    assert lines[0] == "#EXTM3U"
    assert not lines[4].startswith("#")
    if lines[4].startswith("file://"):
        path = unquote(lines[4].removeprefix("file://"), errors="surrogateescape")
        assert path == str(Path(name).absolute())
    elif "://" not in name:
        assert (tmp_path / lines[4]).resolve() == Path(name).resolve()


class Parsed(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_a_page(name: str, tmp_path: Path) -> None:
    found = Found(1, (hostile(name),))
    page = hits_page(name, [name], found, tmp_path / "page.html")
    parsed = Parsed(page)
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert not any(key.startswith("on") for _, attributes in parsed.tags for key in attributes)
    sources = [a["src"] for _, a in parsed.tags if "src" in a]
    assert len(sources) == 1
    assert not re.match(r"[a-z]+:", str(sources[0])), "a relative path, never another scheme"
    policy = next(a["content"] for _, a in parsed.tags if "http-equiv" in a)
    assert policy is not None
    assert "default-src 'none'" in policy


def test_a_page_has_a_player_per_hit_and_a_button_per_event(tmp_path: Path) -> None:
    many = replace(HIT, events=tuple(FoundEvent("Dog", n, n + 1.0, 0.5) for n in range(20)))
    sound = replace(HIT, file="b.wav")
    page = Parsed(hits_page("dog", [], Found(3, (many, sound)), tmp_path / "page.html"))
    players = {a["id"]: tag for tag, a in page.tags if tag in ("video", "audio")}
    assert players == {"p0-0": "video", "p1-0": "audio"}
    seeks = [(a["data-player"], a["data-seek"]) for _, a in page.tags if "data-seek" in a]
    assert len(seeks) == 21
    assert seeks[3] == ("p0-0", "3.000")
    assert "3 found, the best 2 here" in page.texts
    nothing = Parsed(hits_page("dog", [], Found(0, ()), tmp_path / "page.html"))
    assert "Nothing was found." in nothing.texts


def test_a_live_hit_plays_what_was_kept(tmp_path: Path) -> None:
    kept = replace(EVENT, media="kept.wav", media_start=0.5)
    hit = replace(HIT, live=True, events=(kept, replace(EVENT, start=9.0)))
    page = Parsed(hits_page("dog", [], Found(1, (hit,)), tmp_path / "page.html"))
    sources = [a["src"] for tag, a in page.tags if tag == "audio"]
    assert sources == [location("kept.wav", tmp_path / "page.html")]
    assert [a["data-seek"] for _, a in page.tags if "data-seek" in a] == ["0.500"]
