"""The run card as Markdown."""

from __future__ import annotations

from typing import Any

import pytest

from av_tagger.learning.card import markdown
from av_tagger.learning.recipe import read_recipe
from av_tagger.settings import to_table


def card(**changes: Any) -> dict[str, Any]:
    data = {"sha256": "d1", "clips": 20, "skipped": {}, "skipped_files": []}
    found = {
        "recipe": to_table(read_recipe("crnn-av")),
        "fingerprint": "abc",
        "origin": "av-tag train crnn-av",
        "seed": 3,
        "data": {"training": data, "validation": data | {"sha256": "d2"}},
        "warnings": [],
        "steps": 60,
        "best_step": 40,
        "seconds": 90.0,
        "device": "cpu",
        "precision": "float32",
        "processes": 1,
        "parameters": 382_025,
        "versions": {"torch": "2"},
        "figures": {"micro_f1": 0.5, "macro_f1": 0.25, "map": 0.125, "loss": 1.0},
        "classes": [
            {
                "label": "Bus",
                "training": 7,
                "validation": 2,
                "average_precision": 0.5,
                "threshold": 0.3123,
            },
            {
                "label": "Train",
                "training": 1,
                "validation": 0,
                "average_precision": None,
                "threshold": 0.5,
            },
        ],
    }
    return found | changes


def test_the_card_starts_with_recipe_paper_and_published_result() -> None:
    lines = markdown(card()).splitlines()
    assert lines[0] == "# crnn-av"
    assert lines[2].startswith("AV audio only (Table 1); published: micro-F1 54.9")
    assert lines[4] == "Command: `av-tag train crnn-av`"


def test_results_are_in_percent() -> None:
    text = markdown(card())
    assert "micro-F1 50.0 %, macro-F1 25.0 %, mean average precision 12.5 %" in text
    assert "(step 40 of 60;" in text
    assert "| Bus | 7 | 2 | 50.0 % | 0.312 |" in text
    assert "| Train | 1 | 0 | – | 0.5 |" in text


def test_conditions_are_one_line() -> None:
    expected = "382,025 parameters, seed 3, cpu, float32, 1 process(es), 1.5 min, torch 2"
    assert expected in markdown(card()).splitlines()


def test_skipped_files_are_listed() -> None:
    data = {
        "sha256": "d1",
        "clips": 20,
        "skipped": {"broken": 1, "missing": 1},
        "skipped_files": [
            {"name": "a.wav", "kind": "broken", "reason": "is not media"},
            {"name": "b.wav", "kind": "missing", "reason": "there is no such file"},
        ],
    }
    text = markdown(card(data={"training": data}))
    assert "training: 20 clips, sha256 `d1`; skipped: 1 broken, 1 missing" in text
    assert "\n- a.wav: is not media\n- b.wav: there is no such file" in text


def test_the_teacher_is_named() -> None:
    assert "teacher:" not in markdown(card())
    text = markdown(card(teacher={"ear": "efficientat:mn04", "sha256": "t1"}))
    assert "teacher: `efficientat:mn04`, sha256 of its scores `t1`" in text


@pytest.mark.parametrize("warnings", [[], ["class 'Bus' has no training clip"]])
def test_warnings_stand_below_the_result(warnings: list[str]) -> None:
    text = markdown(card(warnings=warnings))
    assert text.count("**Warning:**") == len(warnings)
    if warnings:
        assert text.index("**Validation:**") < text.index("**Warning:** class 'Bus'")


def test_without_a_command_there_is_no_line_for_it() -> None:
    assert "Command:" not in markdown(card(origin=""))
