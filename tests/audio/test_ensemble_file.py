"""Files of ensembles: what cannot be one is a sentence that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from av_tagger.audio.ensemble_file import Ensemble, Member, read_ensemble, write_ensemble
from av_tagger.errors import WeightsError


def test_members_are_found_beside_the_file(tmp_path: Path) -> None:
    path = write_ensemble(tmp_path, Ensemble("mean", (Member("."),), ("a", "b")))
    (member,) = read_ensemble(path).members
    assert Path(member.path) == tmp_path.resolve()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"members": []}, "an ensemble has members"),
    ({"members": [{"path": ".", "weight": -1}]}, "negative weight"),
    ({"members": [{"path": ".", "weight": float("nan")}]}, "expected a finite"),
    ({"members": [{"path": "x" * 5000}]}, "its member .* is missing"),
    ({"members": [{"path": "a\0b"}]}, "null characters"),
    ({"members": [{"weight": 1}]}, "has no 'path'"),
    ({"labels": 5}, "expected a list"),
    ({"mode": ["mean"]}, "is not a choice"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=lambda v: str(v)[:40])
def test_what_is_no_ensemble(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    table = {"mode": "mean", "members": [{"path": "."}], "labels": ["a", "b"]} | change
    path = tmp_path / "ensemble.json"
    path.write_text(json.dumps(table))
    with pytest.raises(WeightsError, match=words) as caught:
        read_ensemble(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 2 * len(str(path)) + 500
