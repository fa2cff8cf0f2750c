"""av-tag classes: listed, searched, and with what knows each."""

from __future__ import annotations

import json

import pytest

from av_tagger import weights
from tests.cli.conftest import AvTag

pytestmark = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)


def test_all_classes_fit_80_columns_and_keep_their_names(av_tag: AvTag) -> None:
    done = av_tag("classes")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.lines)) <= 80
    assert "527 classes; ✓ known, · not known" in done.out
    assert "Fire engine, fire truck (siren)" in done.out


def test_a_search_looks_at_labels_ids_and_what_is_seen(av_tag: AvTag) -> None:
    by_label, by_id, by_sight = (
        av_tag("classes", word, "--json").lines for word in ("siren", "/m/0bt9lr", "puppy")
    )
    assert "Fire engine, fire truck (siren)" in {json.loads(row)["label"] for row in by_label}
    assert [json.loads(row)["label"] for row in by_id] == ["Dog"]
    assert all("puppy" in " ".join(json.loads(r)["eye"]).casefold() for r in by_sight) or by_sight


def test_each_ear_and_the_eye_have_a_mark(av_tag: AvTag) -> None:
    (row,) = [json.loads(row) for row in av_tag("classes", "/m/07jdr", "--json").lines]
    assert row["label"] == "Train"
    assert row["ears"] == ["starter", "yamnet", "efficientat"]
    assert row["eye"]
    head, line, *_ = av_tag("classes", "/m/07jdr").lines
    assert head.split() == ["class", "id", "starter", "yamnet", "efficientat", "eye"]
    assert line.count("✓") == 4


def test_nothing_found_is_one_sentence(av_tag: AvTag) -> None:
    done = av_tag("classes", "Motorcycel")
    assert (done.code, done.out) == (2, "")
    assert done.err == "av-tag: no class matches 'Motorcycel'; did you mean 'Motorcycle'?\n"
