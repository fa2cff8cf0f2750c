"""The section of a model card that an arena measured, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from av_tagger.reports.arena.rows import (
    Row,
    calibration,
    digits,
    loss,
    mean_ap,
    micro_f1,
    variants_of,
)

BEGIN, END = "<!-- arena: begin -->", "<!-- arena: end -->"
_SECTION = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def arena_card(rows: Sequence[Row], command: str) -> str:
    """Tables of all contestants and of their losses, and the command that measured them."""
    listed = list(rows)
    clips = max(row["clips"] for row in listed)
    recordings = max(row["intervals"]["recordings"] for row in listed)
    lines = [
        BEGIN,
        "",
        f"Measured on {clips} clips of {recordings} recordings by",
        "",
        f"    {command}",
        "",
        *_table(
            ("contestant", "mAP", "micro-F1", "ECE", "ECE, 0.1 or more", "x", "MiB"),
            [_figures(row) for row in listed],
        ),
        "",
        "mAP and micro-F1 (at the shipped thresholds) with 95 % intervals, drawing recordings with",
        "replacement. ECE: expected calibration error over all pairs of clip and class, and over",
        "those with a score of 0.1 or more. x: seconds of clips per second of processor time.",
        "MiB: peak memory.",
        *_losses(listed),
        "",
        END,
        "",
    ]
    return "\n".join(lines)


def put_section(path: Path, section: str) -> str:
    """The text of the card with its old section replaced, or with this one at the end."""
    if not path.exists():
        return section
    text = path.read_text(encoding="utf-8")
    if _SECTION.search(text):
        return _SECTION.sub(lambda _: section.strip(), text)
    return f"{text.rstrip()}\n\n{section}"


def _figures(row: Row) -> tuple[str, ...]:
    found = calibration(row) or {}
    return (
        row["name"],
        mean_ap(row).text,
        micro_f1(row).text,
        digits(found.get("ece"), 3),
        digits(found.get("ece_claimed"), 3),
        digits(row["speed"], 0),
        digits(row["memory_mib"], 0),
    )


def _losses(rows: list[Row]) -> list[str]:
    degraded = [row for row in rows if row["variants"]]
    if not degraded:
        return []
    names = variants_of(degraded)
    clips = max(v["clips"] for row in degraded for v in row["variants"].values())
    table = [(name, *(loss(row, name).signed for row in degraded)) for name in names]
    heads = ("variant", *(row["name"] for row in degraded))
    words = f"Change of micro-F1 against the undegraded sound of the same clips ({clips}):"
    return ["", words, "", *_table(heads, table)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
