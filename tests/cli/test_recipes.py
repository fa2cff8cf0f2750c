"""av-tag recipes: a table for people, JSON lines for programs."""

from __future__ import annotations

import json

from av_tagger.learning.recipe import recipe_names
from tests.cli.conftest import AvTag


def test_json_has_a_line_per_recipe(av_tag: AvTag) -> None:
    done = av_tag("recipes", "--json")
    rows = {row["name"]: row for row in map(json.loads, done.lines)}
    assert set(rows) == set(recipe_names())
    assert rows["crnn-av"]["parameters"] == 382_025
    assert rows["crnn-av"]["paper"] == "AV"
    assert "54.9 test, 50.6 evaluation" in rows["crnn-av"]["published"]
    assert rows["starter"]["learns from"] == "waveform"
    assert rows["own-classes"]["learns from"] == "embeddings"


def test_the_table_names_recipes_and_columns(av_tag: AvTag) -> None:
    done = av_tag("recipes")
    assert done.code == 0
    for word in ("crnn-modern", "starter", "parameters", "published"):
        assert word in done.out.replace("\n", "")
