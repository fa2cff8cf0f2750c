"""The arena's page and card: figures, intervals and losses, escaped, nothing fetched."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from av_tagger.reports.arena import arena_card, arena_page, put_section
from av_tagger.reports.reliability import reliability_svg

CALIBRATION = {
    "bins": [
        {"low": 0.0, "high": 0.1, "pairs": 90, "score": 0.02, "share": 0.01, "bounds": [0.0, 0.1]},
        {"low": 0.8, "high": 0.9, "pairs": 10, "score": 0.85, "share": 0.8, "bounds": [0.4, 1.0]},
    ],
    "ece": 0.011,
    "ece_claimed": None,
}
ROW = {
    "name": "ear <tone> & co",
    "clips": 40,
    "values": {
        "micro_f1": 0.5,
        "map": {"fused": 0.75},
        "classes": {"Siren": {"f1": 0.5, "ap": 0.75}, "Bus": {"f1": 0.0, "ap": None}},
    },
    "intervals": {
        "recordings": 30,
        "micro_f1": [0.4, 0.6],
        "map": {"fused": [0.7, 0.8]},
        "calibration": {"fused": CALIBRATION},
        "classes": {"Siren": {"ap": [0.6, 0.9]}, "Bus": {"ap": [None, None]}},
    },
    "speed": 120.0,
    "memory_mib": 500.0,
    "variants": {
        "noise 0 dB": {
            "clips": 12,
            "micro_f1": {"difference": -0.3, "interval": [-0.4, -0.2]},
            "map": None,
        }
    },
}


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    blind = copy.deepcopy(ROW)
    blind |= {"name": "eye", "variants": {}}
    blind["intervals"]["calibration"] = {}
    blind["values"]["map"] = {}
    return [copy.deepcopy(ROW), blind]


def test_the_page_has_every_figure_and_is_escaped(rows: list[dict[str, Any]]) -> None:
    text = str(arena_page(rows))
    assert "<tone>" not in text
    assert "ear &lt;tone&gt; &amp; co" in text
    assert "0.75 [0.70, 0.80]" in text
    assert "0.50 [0.40, 0.60]" in text
    assert "noise 0 dB: -0.30 [-0.40, -0.20]" in text
    assert text.count('class="losses') == 1, "none for the eye, which heard no degraded sound"
    assert text.count('class="diagram"') == 1
    assert "scores 0.8 to 0.9: 10 pairs, mean 0.85, positive 0.80, 95 % 0.40 to 1.00" in text


def test_the_page_fetches_nothing(rows: list[dict[str, Any]]) -> None:
    text = str(arena_page(rows))
    assert "default-src &#x27;none&#x27;" in text
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text)
    assert " style=" not in text, "the policy of the page allows no style attributes"


def test_bars_show_the_interval(rows: list[dict[str, Any]]) -> None:
    text = str(arena_page(rows))
    (box,) = re.findall(r'class="interval"[^>]*><rect x="84.0" y="3" width="12.0"', text)
    assert box


def test_the_card_names_the_command(rows: list[dict[str, Any]]) -> None:
    text = arena_card(rows, "av-tag arena clips --truth t.csv")
    assert "Measured on 40 clips of 30 recordings by" in text
    assert "    av-tag arena clips --truth t.csv\n" in text
    line = "0.75 [0.70, 0.80] | 0.50 [0.40, 0.60] | 0.011 | – | 120 | 500 |"
    assert f"| ear <tone> & co | {line}" in text
    assert "| noise 0 dB | -0.30 [-0.40, -0.20] |" in text
    assert "sound of the same clips (12)" in text


def test_a_second_section_replaces_the_first(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    assert put_section(card, "a section") == "a section"
    card.write_text("# Card\n")
    card.write_text(put_section(card, arena_card(rows, "one \\1")))
    card.write_text(card.read_text() + "\n## Licence\n")
    text = put_section(card, arena_card(rows, "another \\1"))
    assert text.startswith("# Card\n")
    assert text.rstrip().endswith("## Licence")
    assert "one \\1" not in text
    assert text.count("another \\1") == 1


def test_a_diagram_is_a_drawing_of_its_own() -> None:
    text = reliability_svg({"before <x>": CALIBRATION, "after": CALIBRATION})
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{http://www.w3.org/2000/svg}circle")) == 4
    assert "before &lt;x&gt;" in text
    assert "error 0.011, scores of 0.1 or more none" in text
