"""The numbers of an arena row as page and card show them. Rows: `av-tag arena --json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval; None: not measured."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        if self.value is None:
            return "–"
        bounds = "" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{bounds}"

    @property
    def signed(self) -> str:
        if self.value is None:
            return "–"
        bounds = "" if self.low is None else f" [{self.low:+.2f}, {self.high:+.2f}]"
        return f"{self.value:+.2f}{bounds}"


def mean_ap(row: Row) -> Figure:
    return _figure(row["values"]["map"].get("fused"), row["intervals"]["map"].get("fused"))


def micro_f1(row: Row) -> Figure:
    return _figure(row["values"]["micro_f1"], row["intervals"]["micro_f1"])


def class_ap(row: Row, label: str) -> Figure:
    interval = row["intervals"]["classes"][label]["ap"]
    return _figure(row["values"]["classes"][label]["ap"], interval)


def calibration(row: Row) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = row["intervals"]["calibration"].get("fused")
    return found


def loss(row: Row, variant: str) -> Figure:
    """Change of micro-F1 against the clean sound."""
    found = row["variants"].get(variant)
    if found is None:
        return Figure(None)
    return _figure(found["micro_f1"]["difference"], found["micro_f1"]["interval"])


def loss_of_ap(row: Row, variant: str) -> Figure:
    found = (row["variants"].get(variant) or {}).get("map")
    return Figure(None) if found is None else _figure(found["difference"], found["interval"])


def variants_of(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["variants"]))


def digits(value: float | None, places: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{places}f}"


def _figure(value: float | None, interval: list[float | None] | None) -> Figure:
    low, high = interval or (None, None)
    known = low is not None and high is not None and math.isfinite(low)
    if value is not None and not math.isfinite(value):
        value = None
    return Figure(value, *((low, high) if known else (None, None)))
