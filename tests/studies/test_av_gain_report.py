"""Results of the fusion-gain study as Markdown, figure and list of clips."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from av_tagger.studies.av_gain_clips import Deal, SoundSource, TwoShotFilm
from av_tagger.studies.av_gain_measure import WAYS
from av_tagger.studies.av_gain_report import draw, markdown, write_clips


@pytest.fixture
def results() -> dict[str, Any]:
    f1 = {way: {"mean": 0.1 * k, "std": 0.02} for k, way in enumerate(WAYS, 4)}
    row = {way: 0.1 * k for k, way in enumerate(WAYS, 4)} | {"clips": 9, "ear_weight": 0.25}
    return {
        "settings": {"clips": 100},
        "fits": 6,
        "clips": {
            "recordings_with_a_class": 30,
            "scenes_with_a_class": 50,
            "without_a_class": 20,
            "of_a_class_with_pictures": 60,
            "show_their_source": 41.7,
        },
        "micro_f1": f1,
        "gain": {way: {"mean": 0.05, "std": 0.01} for way in WAYS[1:]},
        "micro_f1_by_sound": {
            "recordings": dict.fromkeys(WAYS, 0.5),
            "scenes": dict.fromkeys(WAYS, 0.75),
        },
        "classes": {
            "Bus": row | {"trusts_eye": 4, "can_be_seen": True},
            "Screaming": row | {"trusts_eye": 0, "can_be_seen": False},
        },
    }


def test_markdown_has_a_row_per_way(results: dict[str, Any]) -> None:
    lines = markdown(results, "the command").splitlines()
    assert lines[0] == "    the command"
    assert lines[2].startswith("100 clips: 30 recordings and 50 synthetic scenes with a class, 20")
    assert "The pictures of 42 clips show the source, out of 60" in lines[2]
    assert lines[6] == "| ear alone | 40.0 ± 2.0 |  | 50.0 | 75.0 |"
    assert lines[10] == "| both, fitted weights | 80.0 ± 2.0 | +5.0 ± 1.0 | 50.0 | 75.0 |"
    assert "over 6 fits" in lines[12]


def test_markdown_has_a_row_per_class(results: dict[str, Any]) -> None:
    lines = markdown(results, "c").splitlines()
    assert "| Bus | 9 | 40 | 50 | 80 | 0.25 | 4 of 6 |" in lines
    assert "| Screaming (no picture) | 9 | 40 | 50 | 80 | 0.25 | 0 of 6 |" in lines


def test_the_figure_is_a_picture(results: dict[str, Any], tmp_path: Path) -> None:
    draw(results, tmp_path / "gain.png")
    with Image.open(tmp_path / "gain.png") as picture:
        assert min(picture.size) > 200


def test_the_list_of_clips_has_a_row_per_clip_and_deal(tmp_path: Path) -> None:
    sounds = [SoundSource("a", ("Bus", "Truck"), "r1"), SoundSource("b", (), "r2")]
    films = (
        TwoShotFilm(("minibus", "thing"), shows=True, seed=(0,)),
        TwoShotFilm(("thing", "thing"), shows=False, seed=(1,)),
    )
    deals = [Deal(np.array([0, 1]), films), Deal(np.array([1, 0]), films)]
    write_clips(tmp_path / "clips.csv", sounds, deals)
    with (tmp_path / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["deal"], r["half"], r["sound"]) for r in rows] == [
        ("0", "0", "a"),
        ("0", "1", "b"),
        ("1", "1", "a"),
        ("1", "0", "b"),
    ]
    assert rows[0]["labels"] == "Bus|Truck"
    assert (rows[0]["first shot"], rows[0]["shows"], rows[1]["shows"]) == ("minibus", "1", "0")
