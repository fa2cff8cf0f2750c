"""The fusion file (JSON or TOML): one readable, editable line per class, strictly validated."""

from __future__ import annotations

import difflib
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from av_tagger.errors import StorageError, UsageError, WeightsError, did_you_mean, sentence
from av_tagger.fusion.logit import NEUTRAL_AGAINST, NEUTRAL_GAIN, LogitFusion
from av_tagger.fusion.scales import KEYS, read_scales
from av_tagger.fusion.weighing import (
    NEUTRAL_THRESHOLD,
    NEUTRAL_WEIGHT,
    EarOnly,
    EyeOnly,
    MaxFusion,
    StackedFusion,
    Thresholds,
    Weighing,
    WeightedFusion,
)
from av_tagger.settings import parse_toml, shown

if TYPE_CHECKING:
    from av_tagger.fusion.thresholds import Floats

FORMAT = "av_tagger fusion"
VERSION = 1
_TOP = ("format", "version", "method", "note", "ear", "eye", "classes")
_ROWS = ("both", "ear", "eye")
_MISSPELT = 0.85  # similarity above which an unused class in the file counts as a typo
_LARGEST = 1e300  # beyond it a number is no float, and NaN is not within either
_HIGHEST_THRESHOLD = 1.01  # above 1: the class is never tagged
_LARGEST_SHIFT = 20.0  # log-odds; more is certainty

Row = Mapping[str, float | str]  # what a file says of a class


@dataclass(frozen=True)
class Column:
    """A number per class of a method: attribute of the fusion, range, and value for unknown
    classes.
    """

    attribute: str
    lowest: float
    highest: float
    neutral: float


_UNBOUNDED = math.inf
COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "logit": {
        "gain": Column("gain", 0.0, _LARGEST_SHIFT, NEUTRAL_GAIN),
        "against": Column("against", 0.0, _LARGEST_SHIFT, NEUTRAL_AGAINST),
    },
    "weighted": {"weight": Column("weights", 0.0, 1.0, NEUTRAL_WEIGHT)},
    "stacked": {  # neutral: log-odds of the mean, steep enough to reach both ends
        "ear_coefficient": Column("ear", -_UNBOUNDED, _UNBOUNDED, 4.0),
        "eye_coefficient": Column("eye", -_UNBOUNDED, _UNBOUNDED, 4.0),
        "intercept": Column("intercept", -_UNBOUNDED, _UNBOUNDED, -4.0),
    },
    "max": {},
    "ear": {},
    "eye": {},
}
TEXTS: Mapping[str, tuple[str, ...]] = {  # words that a class can have under a method, or not
    "logit": ("family",),
}
METHODS: Mapping[str, type[Weighing]] = {
    "logit": LogitFusion,
    "weighted": WeightedFusion,
    "stacked": StackedFusion,
    "max": MaxFusion,
    "ear": EarOnly,
    "eye": EyeOnly,
}


def read_fusion(path: Path, labels: Sequence[str] | None = None, strict: bool = False) -> Weighing:
    """Read a fusion for these classes, in this order; missing classes are neutral, or an error if
    strict.
    """
    content = _parse(path)
    method = _header(path, content)
    table = _classes(path, content.get("classes"), method)
    wanted = tuple(labels) if labels is not None else tuple(table)
    missing = tuple(label for label in wanted if label not in table)
    _refuse_missing(path, missing, [name for name in table if name not in wanted], strict)
    note, ear, eye = (_top_text(path, content, key) for key in ("note", "ear", "eye"))
    known = {label: table[label] for label in wanted if label in table}
    fusion = build(method, wanted, known, neutral=missing, note=note)
    scales = read_scales(path, content["classes"], wanted)
    return replace(fusion, fitted_ear=ear, fitted_eye=eye, scales=scales)


def _top_text(path: Path, content: Mapping[str, Any], key: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise WeightsError(sentence(path, f"{key!r} is {value!r:.40}", "write text"))
    return value


def build(
    method: str,
    labels: tuple[str, ...],
    table: Mapping[str, Row],
    neutral: tuple[str, ...] = (),
    note: str = "",
) -> Weighing:
    """A fusion from its numbers; classes without any get the neutral ones."""
    columns = COLUMNS[method]
    rest = {name: column.neutral for name, column in columns.items()} | dict.fromkeys(
        _ROWS, NEUTRAL_THRESHOLD
    )
    full: list[Row] = [table.get(label, rest) for label in labels]
    rows = Thresholds(*(_column(full, name) for name in _ROWS))
    extra: dict[str, Any] = {c.attribute: _column(full, name) for name, c in columns.items()}
    extra |= {name: tuple(str(row.get(name, "")) for row in full) for name in TEXTS.get(method, ())}
    return METHODS[method](labels, rows, neutral=neutral, note=note, **extra)


def write_fusion(fusion: Weighing, path: Path) -> None:
    """All or nothing: the file appears whole under its name."""
    text = _to_toml(fusion) if path.suffix.casefold() == ".toml" else _to_json(fusion)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise StorageError(
            sentence(
                path,
                f"cannot be written ({error.strerror})",
                "free some space or choose another place",
            )
        ) from error


def method_of(fusion: Weighing) -> str:
    return next(name for name, kind in METHODS.items() if type(fusion) is kind)


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = (
            parse_toml(text)
            if path.suffix.casefold() == ".toml"
            else json.loads(text, object_pairs_hook=_no_key_twice)
        )
    except OSError as error:
        raise WeightsError(
            sentence(path, f"cannot be read ({error.strerror})", "name a fusion file")
        ) from error
    except (ValueError, RecursionError) as error:  # of JSON, of TOML, of the encoding
        raise WeightsError(
            sentence(path, f"is not a fusion file ({error})", "make one with `av-tag tune`")
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(sentence(path, "is not a fusion file", "make one with `av-tag tune`"))
    return content


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return result


def _header(path: Path, content: Mapping[str, Any]) -> str:
    if content.get("format") != FORMAT:
        raise WeightsError(
            sentence(
                path, f"does not say format = {FORMAT!r}", "make a fusion file with `av-tag tune`"
            )
        )
    if content.get("version") != VERSION:
        reason = f"has version {shown(content.get('version'))}, this program reads {VERSION}"
        raise WeightsError(sentence(path, reason, "make it again with `av-tag tune`"))
    _refuse_unknown(path, "the file", content, _TOP)
    method = content.get("method")
    if not isinstance(method, str) or method not in METHODS:
        raise WeightsError(
            sentence(
                path, f"there is no method {shown(method)}", did_you_mean(shown(method), METHODS)
            )
        )
    return str(method)


def _classes(path: Path, rows: object, method: str) -> dict[str, Row]:
    if not isinstance(rows, list) or not rows:
        raise WeightsError(
            sentence(path, "has no list of classes", "give `classes`, one entry a class")
        )
    table: dict[str, Row] = {}
    for number, row in enumerate(rows, 1):
        label = row.get("label") if isinstance(row, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise WeightsError(
                sentence(path, f"class {number} has no label", "write label = its name")
            )
        if label in table:
            raise WeightsError(
                sentence(path, f"class {label!r} is there twice", "keep one of the two")
            )
        table[label] = _numbers(path, label, row, method)
    return table


def _numbers(path: Path, label: str, row: Mapping[str, Any], method: str) -> Row:
    limits = {name: (column.lowest, column.highest) for name, column in COLUMNS[method].items()}
    limits |= dict.fromkeys(_ROWS, (0.0, _HIGHEST_THRESHOLD))
    words = TEXTS.get(method, ())
    _refuse_unknown(path, f"class {label!r}", row, ("label", *limits, *words, *KEYS))
    numbers: dict[str, float | str] = {
        name: _number(path, label, name, row.get(name), bounds) for name, bounds in limits.items()
    }
    return numbers | {name: _word(path, label, name, row[name]) for name in words if name in row}


def _word(path: Path, label: str, name: str, value: object) -> str:
    if not isinstance(value, str):
        reason = f"{name!r} of class {label!r} is {shown(value)}"
        raise WeightsError(sentence(path, reason, "write a word, or leave it out"))
    return value


def _number(path: Path, label: str, name: str, value: object, bounds: tuple[float, float]) -> float:
    if value is None:
        raise WeightsError(sentence(path, f"class {label!r} has no {name!r}", "write a number"))
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -_LARGEST < value < _LARGEST
    ):
        raise WeightsError(
            sentence(path, f"{name!r} of class {label!r} is {shown(value)}", "write a number")
        )
    if not bounds[0] <= value <= bounds[1]:
        raise WeightsError(
            sentence(
                path,
                f"{name!r} of class {label!r} is {value:g}",
                f"it lies between {bounds[0]:g} and {bounds[1]:g}",
            )
        )
    return float(value)


def _refuse_unknown(path: Path, where: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            raise WeightsError(
                sentence(
                    path, f"{where} has an unknown key {shown(key)}", did_you_mean(key[:100], known)
                )
            )


def _refuse_missing(path: Path, missing: Sequence[str], spare: Sequence[str], strict: bool) -> None:
    """A missing class is neutral, but one that looks misspelt in the file is not passed over."""
    for label in missing:
        misspelt = difflib.get_close_matches(label, spare, n=1, cutoff=_MISSPELT)
        if misspelt or strict:
            remedy = f"is {misspelt[0]!r} meant for it?" if misspelt else "add a line for it"
            raise UsageError(sentence(path, f"has no class {label!r}", remedy))


def _column(rows: Sequence[Row], name: str) -> Floats:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _lines(fusion: Weighing) -> list[dict[str, Any]]:
    columns = {
        name: getattr(fusion, column.attribute)
        for name, column in COLUMNS[method_of(fusion)].items()
    }
    columns |= {name: getattr(fusion.rows, name) for name in _ROWS}
    words = {name: getattr(fusion, name) for name in TEXTS.get(method_of(fusion), ())}
    return [
        {"label": label}
        | {name: float(values[k]) for name, values in columns.items()}
        | {name: values[k] for name, values in words.items() if values[k]}
        | ({} if fusion.scales is None else fusion.scales.columns(k))
        for k, label in enumerate(fusion.labels)
    ]


def _head(fusion: Weighing) -> dict[str, Any]:
    head = {"format": FORMAT, "version": VERSION, "method": method_of(fusion), "note": fusion.note}
    fitted = {"ear": fusion.fitted_ear, "eye": fusion.fitted_eye}
    return head | {key: name for key, name in fitted.items() if name}


def _to_json(fusion: Weighing) -> str:
    top = "".join(
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n"
        for key, value in _head(fusion).items()
    )
    rows = ",\n".join("    " + json.dumps(line, ensure_ascii=False) for line in _lines(fusion))
    return "{\n" + top + '  "classes": [\n' + rows + "\n  ]\n}\n"


def _to_toml(fusion: Weighing) -> str:
    top = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in _head(fusion).items()
    )
    tables = [
        "".join(f"{k} = {json.dumps(v, ensure_ascii=False)}\n" for k, v in line.items())
        for line in _lines(fusion)
    ]
    return top + "".join(f"\n[[classes]]\n{table}" for table in tables)
