"""One number, one name: an object, a tag and an event say the same in table, page, video, JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.cli.console import Console
from av_tagger.cli.show import show, why
from av_tagger.reports.annotate import Annotator
from av_tagger.reports.html import write_page
from av_tagger.reports.schema import as_json, read_outcomes
from av_tagger.scores import Tagged

Said = dict[tuple[str, str], set[str]]  # (object, minutes and seconds) -> its numbers


class Reader(Annotator):
    """Keeps what is written into the pictures."""

    def __init__(self, tagged: Tagged) -> None:
        super().__init__(tagged)
        self.texts: list[str] = []

    def _draw_badge(self, text: str, colour: Any, letters: int) -> Any:
        self.texts.append(text)
        return super()._draw_badge(text, colour, letters)


def of_evidence(tagged: Tagged) -> Said:
    """What is to be said: of objects that speak for a tag."""
    said: Said = {}
    for tag in tagged.tags:
        for e in tag.evidence:
            said.setdefault((e.object, f"{e.seconds:.1f}"), set()).add(f"{e.probability:.2f}")
    return said


def of_table(tagged: Tagged) -> Said:
    text = ", ".join(part for tag in tagged.tags for e in tag.evidence for part in why([e]))
    found = re.findall(r"([a-z][a-z ]*) (\d\.\d\d) at (\d+\.\d) s", text)
    return collected((name, seconds, number) for name, number, seconds in found)


def of_json(tagged: Tagged) -> Said:
    document = json.loads(json.dumps(as_json(tagged, detail=True)))
    reasons = [e for tag in document["tags"] for e in tag["evidence"]]
    frames = zip(document["keyframes"], document["detail"]["keyframes"], strict=True)
    seen = [(o, frame["time"]) for frame, detail in frames for o in detail["objects"]]
    return collected(
        (o["object"], f"{time:.1f}", f"{o['probability']:.2f}")
        for o, time in [*((e, e["time"]) for e in reasons), *seen]
    )


def of_page(tagged: Tagged, folder: Path) -> Said:
    """Of the cards, and of the key frames."""
    write_page(tagged, folder / "page.html")
    text = (folder / "page.html").read_text()
    html = re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)
    said = []
    number = r"<small[^>]*>([\d.]+)</small></span>"
    card = rf'<span class="object">([^<]+) {number}<button[^>]*data-seek="([\d.]+)"'
    for name, number, seconds in re.findall(card, html):
        said.append((name, f"{float(seconds):.1f}", number))
    for frame in re.split(r'class="shot" ', html)[1:]:
        (seconds, *_) = re.findall(r'data-seek="([\d.]+)"', frame)
        objects = r'(?:<span class="object">|<li>)([a-z ]+) <small title="probability[^>]*>([\d.]+)'
        for name, number in re.findall(objects, frame.split("<footer")[0]):
            said.append((name, f"{float(seconds):.1f}", number))
    return collected(said)


def of_video(tagged: Tagged) -> Said:
    reader = Reader(tagged)
    for keyframe in tagged.keyframes:
        reader(np.full((360, 640, 3), 90, np.uint8), keyframe.seconds)
    found = [re.fullmatch(r"key frame: ([a-z ]+)  ([\d.]+)", text) for text in reader.texts]
    named = [match for match in found if match]
    assert len(named) == len(tagged.keyframes)
    times = [f"{k.seconds:.1f}" for k in tagged.keyframes]
    return collected((m[1], t, m[2]) for m, t in zip(named, times, strict=True))


def collected(said: object) -> Said:
    numbers: Said = {}
    for name, seconds, number in said:  # type: ignore[attr-defined]
        numbers.setdefault((name, seconds), set()).add(number)
    return numbers


def test_an_object_has_one_probability_everywhere(tagged: Tagged, tmp_path: Path) -> None:
    expected = of_evidence(tagged)
    assert len(expected) == 3
    outputs = {
        "table": of_table(tagged),
        "json": of_json(tagged),
        "page": of_page(tagged, tmp_path),
        "video": of_video(tagged),
    }
    for name, said in outputs.items():
        assert said, name
        assert all(len(numbers) == 1 for numbers in said.values()), (name, said)
        shared = said.keys() & expected.keys()
        assert {key: said[key] for key in shared} == {key: expected[key] for key in shared}, name
        wanted = expected.keys() if name != "video" else {("minibus", "8.1")}
        assert shared >= wanted, name
    other = {**outputs["json"], **expected}
    assert {key: numbers for key, numbers in outputs["page"].items() if other[key] != numbers} == {}


def test_two_numbers_for_an_object_would_be_found(tagged: Tagged, tmp_path: Path) -> None:
    horn, bus = tagged.tags
    wrong = replace(bus.evidence[0], probability=0.27)  # 0.30 in the key frame
    other = replace(tagged, tags=(horn, replace(bus, evidence=(wrong,))))
    assert of_json(other)["trolleybus", "3.2"] == {"0.27", "0.30"}
    assert of_page(other, tmp_path)["trolleybus", "3.2"] == {"0.27"}


def test_a_tag_has_one_probability_and_an_event_one_peak(tagged: Tagged, tmp_path: Path) -> None:
    """The tag's number is called probability, an event's highest activity its peak."""
    printed = StringIO()
    show(tagged, Console(file=printed, width=200), Console(file=StringIO(), width=200))
    table = printed.getvalue()
    write_page(tagged, tmp_path / "page.html")
    page = re.sub(r"<[^>]*>", " ", (tmp_path / "page.html").read_text())
    page = " ".join(page.split())
    document = as_json(tagged, detail=True)
    reader = Reader(tagged)
    for tag, written in zip(tagged.tags, document["tags"], strict=True):
        (first,) = re.findall(rf"^\W*{tag.label}\W+(\d\.\d\d)", table, flags=re.MULTILINE)
        assert first == f"{tag.probability:.2f}", "the first number of a row is the probability"
        assert f"{tag.label} probability {tag.probability:.2f}" in page
        assert written["probability"] == pytest.approx(tag.probability, abs=1e-6)
        for event, as_written in zip(tag.events, written["events"], strict=True):
            assert f"peak {event.peak:.2f}" in page
            assert as_written["peak"] == pytest.approx(event.peak, abs=1e-6)
            reader(np.full((360, 640, 3), 90, np.uint8), event.start + 0.1)
            assert f"{tag.label}  peak {event.peak:.2f}" in reader.texts
    assert "probability" in table
    for number in (tag.probability for tag in tagged.tags):
        assert f"peak {number:.2f}" not in page
        assert not [text for text in reader.texts if f"peak {number:.2f}" in text]


def test_what_is_read_back_makes_the_same_page(tagged: Tagged, tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text(json.dumps(as_json(tagged, detail=True)) + "\n")
    (again,) = read_outcomes(tmp_path / "results.jsonl")
    assert isinstance(again, Tagged)
    assert of_evidence(again) == of_evidence(tagged)
    assert of_page(again, tmp_path) == of_page(tagged, tmp_path)
