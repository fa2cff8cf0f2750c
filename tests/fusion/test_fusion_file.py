"""The fusion file: round trips, and invalid files are rejected with place and remedy."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from av_tagger.errors import StorageError, UsageError, WeightsError
from av_tagger.fusion import load_fusion, method_of, read_fusion, write_fusion
from av_tagger.fusion.file import COLUMNS, METHODS, TEXTS, build

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ('Air horn, "truck" horn', "Bus", "Zug, Güter")


def some(method: str) -> Any:
    rng = np.random.default_rng(5)
    names = [*COLUMNS[method], "both", "ear", "eye"]
    table: dict[str, dict[str, Any]] = {
        label: dict(zip(names, rng.random(len(names)).tolist(), strict=True)) for label in LABELS
    }
    for label in LABELS[1:]:
        table[label] |= dict.fromkeys(TEXTS.get(method, ()), "road")
    return build(method, LABELS, table, note='by "me"')


@pytest.mark.parametrize("suffix", [".json", ".toml"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_there_and_back(method: str, suffix: str, tmp_path: Path) -> None:
    path, fusion = tmp_path / f"fusion{suffix}", some(method)
    write_fusion(fusion, path)
    again = load_fusion(path, LABELS, strict=True)
    assert type(again) is type(fusion)
    assert method_of(again) == method
    assert again.note == 'by "me"'
    for row in ("both", "ear", "eye"):
        np.testing.assert_array_equal(getattr(again.rows, row), getattr(fusion.rows, row))
    for column in COLUMNS[method].values():
        np.testing.assert_array_equal(
            getattr(again, column.attribute), getattr(fusion, column.attribute)
        )
    for word in TEXTS.get(method, ()):
        assert getattr(again, word) == getattr(fusion, word) == ("", "road", "road")
    assert list(tmp_path.iterdir()) == [path]  # nothing half-written stays behind


def test_a_person_can_read_it(tmp_path: Path) -> None:
    write_fusion(
        build(
            "weighted", ("Bus",), {"Bus": {"weight": 0.2, "both": 0.25, "ear": 0.5, "eye": 1.01}}
        ),
        tmp_path / "f.json",
    )
    lines = (tmp_path / "f.json").read_text(encoding="utf-8").splitlines()
    assert '    {"label": "Bus", "weight": 0.2, "both": 0.25, "ear": 0.5, "eye": 1.01}' in lines


def test_classes_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    path, fusion = tmp_path / "f.json", some("weighted")
    write_fusion(fusion, path)
    np.testing.assert_array_equal(read_fusion(path, LABELS[::-1]).rows.ear, fusion.rows.ear[::-1])  # type: ignore[attr-defined]
    assert read_fusion(path).labels == LABELS


def good() -> dict[str, Any]:
    rows = [
        {"label": label, "weight": 0.5, "both": 0.5, "ear": 0.5, "eye": 0.5}
        for label in ("Car", "Bus")
    ]
    return {
        "format": "av_tagger fusion",
        "version": 1,
        "method": "weighted",
        "note": "",
        "classes": rows,
    }


def changed(key: str, value: object, row: int | None = None) -> dict[str, Any]:
    content = good()
    where = content if row is None else content["classes"][row]
    if value is None:
        del where[key]
    else:
        where[key] = value
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (changed("format", "other"), "format"),
        (changed("version", 2), "version 2"),
        (changed("ear", 3), "'ear' is 3; write text"),
        (changed("method", "wieghted"), "did you mean 'weighted'"),
        (changed("clases", []), "did you mean 'classes'"),
        (changed("classes", []), "no list of classes"),
        (changed("classes", "Car"), "no list of classes"),
        (
            changed("weigth", 0.1, row=1),
            "class 'Bus' has an unknown key 'weigth'; did you mean 'weight'",
        ),
        (changed("weight", 1.2, row=1), "'weight' of class 'Bus' is 1.2; it lies between 0 and 1"),
        (changed("weight", -0.1, row=0), "'weight' of class 'Car' is -0.1"),
        (changed("weight", float("nan"), row=0), "write a number"),
        (changed("weight", 10**400, row=0), "write a number"),
        (changed("weight", True, row=0), "write a number"),
        (changed("ear", "high", row=0), "'ear' of class 'Car' is 'high'"),
        (changed("both", None, row=0), "class 'Car' has no 'both'"),
        (changed("label", None, row=1), "class 2 has no label"),
        (changed("label", "Car", row=1), "class 'Car' is there twice"),
        (changed("eye", 3, row=1), "'eye' of class 'Bus' is 3"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    content: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "fusion.json"
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=re.escape(says)) as caught:
        load_fusion(path, ("Car", "Bus"))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "no json", "[1, 2]", '{"format": "a", "format": "b"}', "\udcff", "[" * 100_000]
)
def test_what_is_no_fusion_file_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "fusion.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WeightsError, match=r"fusion\.json: is not a fusion file"):
        load_fusion(path, ("Car",))


def test_a_missing_class_is_an_error_when_asked_or_when_it_looks_misspelt(tmp_path: Path) -> None:
    path = tmp_path / "fusion.json"
    path.write_text(json.dumps(good()))
    assert load_fusion(path, ("Car", "Dog")).neutral == ("Dog",)
    with pytest.raises(UsageError, match="has no class 'Dog'; add a line"):
        load_fusion(path, ("Car", "Dog"), strict=True)
    path.write_text(json.dumps(changed("label", "Motorcycel", row=0)))
    with pytest.raises(UsageError, match="has no class 'Motorcycle'; is 'Motorcycel' meant for it"):
        load_fusion(path, ("Motorcycle", "Bus"))


def test_a_class_that_merely_sounds_alike_is_no_slip(tmp_path: Path) -> None:
    path = tmp_path / "fusion.json"
    path.write_text(json.dumps(changed("label", "Train", row=0)))
    assert load_fusion(path, ("Train horn", "Bus")).neutral == ("Train horn",)


def test_a_missing_file_and_an_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        load_fusion(tmp_path / "none.json", ("Car",))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_fusion(some("max"), tmp_path / "file" / "fusion.json")


def test_the_users_own_paper_file_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fusion.paper.json").write_text(json.dumps(changed("weight", 0.125, row=0)))
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path))
    np.testing.assert_array_equal(load_fusion("paper", ("Car", "Bus")).weights, [0.125, 0.5])  # type: ignore[attr-defined]


def test_a_family_is_a_word_that_may_be_left_out(tmp_path: Path) -> None:
    line = {"label": "Bus", "gain": 3.0, "against": 1.0, "both": 0.4, "ear": 0.4, "eye": 0.5}
    head = {"format": "av_tagger fusion", "version": 1, "method": "logit"}
    path = tmp_path / "f.json"
    path.write_text(json.dumps(head | {"classes": [line]}), encoding="utf-8")
    fusion = read_fusion(path)
    assert (fusion.family, fusion.gain.tolist()) == (("",), [3.0])  # type: ignore[attr-defined]
    write_fusion(fusion, path)
    assert "family" not in path.read_text(encoding="utf-8")
    path.write_text(json.dumps(head | {"classes": [line | {"family": 3}]}), encoding="utf-8")
    with pytest.raises(WeightsError, match="'family' of class 'Bus' is 3; write a word"):
        read_fusion(path)


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_the_ear_and_eye_that_it_was_fitted_to_are_kept(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"f{suffix}"
    write_fusion(replace(some("logit"), fitted_ear="crnn (a, b)", fitted_eye="off"), path)
    again = read_fusion(path, LABELS)
    assert (again.fitted_ear, again.fitted_eye) == ("crnn (a, b)", "off")
    write_fusion(some("logit"), path)
    assert '"ear"' not in path.read_text().split("classes")[0], "of any ear"
