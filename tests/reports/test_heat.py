"""Where an object is seen: in the JSON, and as an overlay of the page."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from av_tagger.errors import UsageError
from av_tagger.reports.html import PageOptions
from av_tagger.reports.html.page import page
from av_tagger.reports.schema import as_json, from_json
from av_tagger.scores import SEEN_SILENT, Heat, Tagged

HEAT = Heat(((0.0, 0.5), (1.0, 0.02)), (0.25, 0.0, 0.75, 1.0), (0.25, 0.5, 0.5, 1.0))


@pytest.fixture
def placed(tagged: Tagged) -> Tagged:
    """The bus is seen at the lower left, twice; the train horn's locomotive nowhere."""
    horn, bus = tagged.tags
    evidence = tuple(replace(e, where=HEAT) for e in bus.evidence)
    return replace(tagged, tags=(horn, replace(bus, evidence=evidence)))


def test_json_keeps_the_place(placed: Tagged) -> None:
    document = json.loads(json.dumps(as_json(placed)))
    assert "where" not in document["tags"][0]["evidence"][0]
    assert document["tags"][1]["evidence"][0]["where"] == {
        "area": [0.25, 0.0, 0.75, 1.0],
        "box": [0.25, 0.5, 0.5, 1.0],
        "grid": [[0.0, 0.5], [1.0, 0.02]],
    }
    assert from_json(document).tags[1].evidence[0].where == HEAT  # type: ignore[union-attr]


def test_the_schema_knows_it(placed: Tagged) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((files("av_tagger") / "resources" / "schema1.json").read_text())
    jsonschema.validate(as_json(placed), schema)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("box", [0.5, 0.0, 0.25, 1.0], "where.box is .*left, top, right, bottom"),
        ("area", [0.0, 0.0, 1.0], "where.area is .*left, top, right, bottom"),
        ("grid", [[0.0], [0.1, 0.2]], "where.grid has no rows of equal length"),
        ("grid", [], "where.grid has no rows of equal length"),
        ("grid", [[2.0]], r"where.grid\[0\] is .*numbers from 0 to 1"),
        ("grid", ["ab"], r"where.grid\[0\] is .*numbers from 0 to 1"),
    ],
)
def test_wrong_places_are_refused(placed: Tagged, key: str, value: Any, reason: str) -> None:
    document = json.loads(json.dumps(as_json(placed)))
    document["tags"][1]["evidence"][0]["where"][key] = value
    with pytest.raises(UsageError, match=reason):
        from_json(document)


def test_the_page_draws_it_over_the_key_frame(placed: Tagged, tagged: Tagged) -> None:
    text = str(page(placed, placed.clip.path, None, PageOptions()))
    assert text.count('class="heat"') == 2, "two key frames"
    assert 'viewBox="0 0 200.0 100"' in text, "the square is half as wide as the picture"
    assert text.count('fill-opacity="0.75"') == 2
    assert text.count('fill-opacity="0.38"') == 2
    assert 'fill-opacity="0.02"' not in text, "faint cells are left out"
    assert 'x="50.0" y="50.0" width="50.0" height="50.0" class="place"' in text
    assert 'id="where"' in text
    without = str(page(tagged, tagged.clip.path, None, PageOptions()))
    assert 'class="heat"' not in without
    assert 'id="where"' not in without


def test_marks_are_in_json_page_and_table(tagged: Tagged) -> None:
    from rich.console import Console

    from av_tagger.cli.show import Look, table

    horn, bus = tagged.tags
    silent = replace(bus, mark=SEEN_SILENT)
    score = replace(tagged.scores["Bus"], mark=SEEN_SILENT, ear_threshold=0.3)
    marked = replace(tagged, tags=(horn, silent), scores=tagged.scores | {"Bus": score})
    document = json.loads(json.dumps(as_json(marked)))
    assert "mark" not in document["tags"][0]
    assert document["tags"][1]["mark"] == "seen, silent"
    assert document["scores"]["Bus"]["ear_threshold"] == 0.3
    again = from_json(document)
    assert isinstance(again, Tagged)
    assert again.tags == marked.tags
    assert again.scores["Bus"] == score
    text = str(page(marked, marked.clip.path, None, PageOptions()))
    assert text.count("seen, silent</p>") == 1
    assert text.count("seen, silent</small>") == 1
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table(marked.tags, Look(width=100)))
    assert "seen, silent: trolleybus" in " ".join(captured.get().split())
