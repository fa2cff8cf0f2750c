"""Settings: types, unknown keys, messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from av_tagger.errors import UsageError
from av_tagger.settings import fingerprint, from_table, read_toml, to_table


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
    ],
)
def test_errors_name_the_setting(table: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_table(Outer, table, "t")
    assert words in str(caught.value)


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
