"""Python, style sheet and scripts of the pages use the same names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from av_tagger.reports.arena import arena_page
from av_tagger.reports.html import write_page, write_site
from av_tagger.reports.html.markup import asset
from av_tagger.scores import SEEN_SILENT, KeyFrame, Outcome, Tagged
from tests.reports.test_arena_page import ROW
from tests.reports.test_heat import HEAT

SET_BY_SCRIPTS = {"on", "item", "file", "tags", "chip", "more", "wanted", "message", "length"}
SET_BY_SCRIPTS |= {"asked", "zoomed", "unplaced"}  # by a key, by the zoom, by "Show where"
FEW_CLASSES = {"filter"}  # is there with many classes only


@pytest.fixture
def written(sample: list[Outcome], tagged: Tagged, tmp_path: Path) -> str:
    """Pages with every part of a page, without their style sheet and scripts."""
    write_site(sample, tmp_path)
    without_picture = replace(tagged, keyframes=(KeyFrame(1.0, 1.0),))
    write_page(without_picture, tmp_path / "page.html", spectrogram=b"\x89PNG not drawn")
    tag = tagged.tags[1]
    evidence = tuple(replace(e, where=HEAT) for e in tag.evidence)
    placed = replace(tagged, tags=(replace(tag, evidence=evidence, mark=SEEN_SILENT),))
    write_page(placed, tmp_path / "placed.html")
    (tmp_path / "arena.html").write_text(arena_page([ROW]))
    pages = "".join(path.read_text() for path in tmp_path.rglob("*.html"))
    return re.sub(r"<(style|script)>.*?</\1>", "", pages, flags=re.DOTALL)


def test_every_class_name_of_a_page_has_a_style_and_the_reverse(written: str) -> None:
    used = {name for names in re.findall(r'class="([^"]*)"', written) for name in names.split()}
    style = re.sub(r"/\*.*?\*/", "", asset("style.css"), flags=re.DOTALL)
    selectors = re.findall(r"([^{}]*)\{", style)
    styled = {name for s in selectors for name in re.findall(r"\.([a-z][\w-]*)", s)}
    states = {"ok", "off", "degraded", "no-track", "no-weights"}
    assert used - styled - states - {"object"} == set(), "class names without a style"
    hues = {f"c{k}" for k in range(8)}
    assert styled - used - SET_BY_SCRIPTS - FEW_CLASSES - hues == {"failed"}, (
        "styles without a class name"
    )


def test_every_name_that_a_script_looks_up_is_in_a_page(written: str) -> None:
    for script in ("page.js", "index.js", "arena.js", "find.js"):
        text = asset(script)
        for identifier in re.findall(r'getElementById\("(\w+)"\)', text):
            assert f'id="{identifier}"' in written, f"{script}: {identifier}"
        for selector in re.findall(r'querySelectorAll\("([^"]+)"\)', text):
            name = re.findall(r"\.([\w-]+)", selector)
            assert not name or re.search(rf'class="[^"]*\b{name[0]}\b', written), selector
