"""Colours of the terminal can be read on white and on black, and are named in one place."""

from __future__ import annotations

import ast
import re

import pytest
from rich.color import Color
from rich.progress import Progress
from rich.style import Style
from rich.table import Table
from rich.text import Text

from av_tagger.cli import styles
from av_tagger.cli.console import Console
from av_tagger.cli.progress import BYTES, SECONDS, ProgressBars
from tests import ROOT
from tests.cli.conftest import Terminal

LEAST_CONTRAST = 4.0  # with white and with black; the best that one colour can have is 4.58
COLOURS = re.compile(r"\x1b\[([0-9;]+)m")
NAMED = {n: v for n, v in vars(styles).items() if n.isupper() and isinstance(v, str)}


@pytest.fixture(autouse=True)
def fresh_styles() -> None:
    """Rich keeps the codes of a style for the kind of terminal that it was first shown on."""
    Style.parse.cache_clear()
    Style._add.cache_clear()


def luminance(colour: Color) -> float:
    """Relative luminance of sRGB as contrast is defined by it."""
    parts = (c / 255 for c in colour.get_truecolor())
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def readable(style: Style) -> bool:
    """The first 16 colours are not: each terminal has its own."""
    if style.color is not None and style.color.number is not None and style.color.number < 16:
        return False
    if style.dim or style.bgcolor is not None:
        return False
    if style.color is None or style.color.is_default:
        return True
    light = luminance(style.color)
    return min(1.05 / (light + 0.05), (light + 0.05) / 0.05) >= LEAST_CONTRAST


@pytest.mark.parametrize("name", ["yellow", "white", "bright_yellow", "cyan", "black", "dim"])
def test_what_vanishes_is_found(name: str) -> None:
    assert not readable(Style.parse(name))


@pytest.mark.parametrize("name", NAMED)
def test_every_style_can_be_read_on_white_and_on_black(name: str) -> None:
    assert readable(Style.parse(NAMED[name]))


@pytest.mark.parametrize("name", styles.OF_RICH)
def test_what_rich_draws_itself_can_be_read(name: str) -> None:
    assert readable(Style.parse(styles.OF_RICH[name]))


def drawn(*things: object) -> list[Style]:
    """The styles in what a console writes for these."""
    shown = Terminal()
    console = Console(file=shown, width=80, color_system="256", force_terminal=True)
    for thing in things:
        console.print(thing)
    return [_style(codes) for codes in COLOURS.findall(shown.getvalue())]


def _style(codes: str) -> Style:
    found = re.search(r"(?:^|;)38;5;(\d+)", codes)
    plain = {int(c) for c in re.sub(r"[34]8;5;\d+", "", codes).split(";") if c}
    simple = [n for n in plain if 30 <= n <= 37 or 90 <= n <= 97]
    number = (
        int(found[1]) if found else simple[0] - (30 if simple[0] < 90 else 82) if simple else -1
    )
    colour = f"color({number})" if number >= 0 else "default"
    return Style.parse(f"{colour} dim" if 2 in plain else colour)


@pytest.mark.parametrize("unit", ["clips", SECONDS, BYTES])
@pytest.mark.parametrize(("done", "total"), [(0, 10), (5, 10), (10, 10), (5, None)])
def test_progress_bars_can_be_read(unit: str, done: int, total: int | None) -> None:
    console = Console(file=Terminal(), width=80, color_system="256", force_terminal=True)
    with ProgressBars(unit, console=console) as bars:
        bars.add("film.mp4")(done, total, failed=1)
        found = drawn(Progress.get_renderable(bars.progress))
    assert found
    assert all(map(readable, found))


def test_tables_can_be_read() -> None:
    from av_tagger.cli.tables import plain_table

    grid: Table = plain_table(title="title", caption="caption")
    grid.add_column("head")
    grid.add_row(Text("cell", style=styles.NAME))
    found = drawn(grid)
    assert found
    assert all(map(readable, found))


def test_commands_take_their_styles_from_one_place() -> None:
    """No colour is named elsewhere as an argument `style`."""
    found = []
    view = ROOT / "av_tagger" / "live" / "outputs" / "view.py"
    for path in [*(ROOT / "av_tagger" / "cli").glob("*.py"), view]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words = {k.arg: k.value for k in node.keywords} if isinstance(node, ast.Call) else {}
            style = words.get("style")
            literals = (
                {c.value for c in ast.walk(style) if isinstance(c, ast.Constant)} if style else {""}
            )
            if path.name != "styles.py" and literals - {"", "bold"}:
                found.append(f"{path.name}:{node.lineno}: {literals}")
    assert found == []
