"""Settings: types, unknown keys, messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from av_tagger.errors import UsageError
from av_tagger.settings import (
    check_range,
    fingerprint,
    from_table,
    parse_json,
    read_toml,
    shown,
    to_table,
)


@dataclass(frozen=True)
class Inner:
    size: int = 1
    name: str | None = None


@dataclass(frozen=True)
class Outer:
    rate: float = 1.0
    on: bool = False
    kind: Literal["a", "b"] = "a"
    pair: tuple[int, int] = (0, 0)
    many: tuple[str, ...] = ()
    where: Path | None = None
    inner: Inner = field(default_factory=Inner)
    free: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("a rate is not negative")


def test_all_types_are_read() -> None:
    table = {
        "rate": 2,
        "on": True,
        "kind": "b",
        "pair": [1, 2],
        "many": ["x"],
        "where": "f",
        "inner": {"size": 3, "name": "n"},
        "free": {"k": 1},
    }
    expected = Outer(2.0, True, "b", (1, 2), ("x",), Path("f"), Inner(3, "n"), {"k": 1})
    assert from_table(Outer, table, "t") == expected
    assert from_table(Outer, to_table(expected), "t") == expected


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"raet": 1}, "t: there is no setting 'raet'; did you mean 'rate'"),
        ({"rate": "fast"}, "t.rate: expected a number, got 'fast'"),
        ({"on": 1}, "t.on: expected true or false"),
        ({"kind": "c"}, "t.kind: 'c' is not a choice"),
        ({"pair": [1]}, "t.pair: expected 2 values"),
        ({"many": "x"}, "t.many: expected a list"),
        ({"inner": {"siz": 1}}, "t.inner: there is no setting 'siz'; did you mean 'size'"),
        ({"inner": {"size": True}}, "t.inner.size: expected a whole number"),
        ({"inner": 3}, "t.inner: expected a table"),
        ({"rate": -1.0}, "t: a rate is not negative"),
        ({"rate": float("nan")}, "t.rate: expected a finite, plausible number, got nan"),
        ({"rate": float("inf")}, "t.rate: expected a finite, plausible number, got inf"),
        ({"rate": 10**400}, "t.rate: expected a finite, plausible number, got 1000"),
        ({"inner": {"size": 10**18}}, "t.inner.size: expected a finite, plausible number"),
        ({"inner": {"size": int("f" * 5000, 16)}}, "t.inner.size: expected a finite, plausible"),
        ({"inner": {"name": 5}}, "t.inner.name: expected text, got 5"),
        ({"where": 5}, "t.where: expected a path, got 5"),
        ({"where": "a\0b"}, "t.where: expected a path, got 'a\\x00b'"),
        ({"many": ["a\0b"]}, "t.many[0]: expected text without null characters"),
        ({"kind": True}, "t.kind: True is not a choice"),
        ({"kind": ["a"]}, "t.kind: ['a'] is not a choice"),
        ({"free": [1]}, "t.free: expected a table, got [1]"),
        ({"many": "x" * 5000}, "t.many: expected a list, got 'xxx"),
    ],
)
def test_errors_name_the_setting(table: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_table(Outer, table, "t")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@dataclass(frozen=True)
class Needy:
    name: str


def test_what_must_be_given_is_named() -> None:
    with pytest.raises(UsageError, match=r"^t: has no 'name'$"):
        from_table(Needy, {}, "t")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "9" * 5000,
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "[" * 60 + "]" * 60,
        "a = " + "{b = " * 60 + "1" + "}" * 60,
    ],
    ids=["digits", "brackets", "deep list", "deep table"],
)
def test_toml_without_end_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"s\.toml: is not valid TOML") as caught:
        read_toml(path)
    assert len(str(caught.value)) < len(str(path)) + 150


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 60 + "]" * 60, "9" * 5000, "{", "\x00"])
def test_json_without_end_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)


def test_values_are_shown_short() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, int("f" * 9999, 16), "x" * 9999, {str(n): n for n in range(999)}):
        assert len(shown(value)) < 200
    while deep:  # one level at a time: freeing it at once would be as deep
        deep = deep[0]


def test_ranges_name_the_setting() -> None:
    check_range(Inner(3), 1, 5, "size", "name")
    with pytest.raises(ValueError, match=r"^size must lie between 1 and 5, not 7$"):
        check_range(Inner(7), 1, 5, "size")


def test_toml_files(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("rate = 2.5\n")
    assert read_toml(path) == {"rate": 2.5}
    path.write_text("rate = \n")
    with pytest.raises(UsageError, match=r"s.toml: is not valid TOML"):
        read_toml(path)
    with pytest.raises(UsageError, match=r"none.toml: cannot be read"):
        read_toml(tmp_path / "none.toml")


def test_fingerprint_depends_on_content_not_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
