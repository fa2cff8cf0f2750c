"""The pages of the papers: every recipe, and figures that are those of the printed tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from av_tagger.learning.recipe import read_recipe, recipe_names
from av_tagger.metrics import d_prime
from tests import ROOT
from tests.conftest import SHARED

PAGES = {path.stem: path for path in sorted((ROOT / "docs" / "papers").glob("*.md"))}
TEXTS = {
    "small": "000_259d57815b10f0a3.txt",
    "av": "001_5c4328432e381de6.txt",
    "att": "002_a0cbb0dcee2f34bb.txt",
    "fuse": "003_2272176e417241e6.txt",
    "prob": "004_b32e406cf352f464.txt",
}
PAPERS = ("small", "prob", "att", "fuse")
COMMAND = re.compile(r"av-tag train ([\w/-]+)")


Row = list[tuple[str, str]]  # headings and cells


def rows(page: str) -> Iterator[Row]:
    """The rows of the tables with a column of published figures."""
    heading: list[str] = []
    for line in PAGES[page].read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            heading = []
        elif not heading:
            heading = [cell.strip() for cell in line.strip("|").split("|")]
        elif "---" not in line and any("published" in name for name in heading):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            yield list(zip(heading, cells, strict=True))


def published(row: Row) -> str:
    return " ".join(cell for name, cell in row if "published" in name)


def numbers(text: str) -> list[str]:
    return re.findall(r"(?<![\w.])\d[\d,]*\.?\d*|(?<![\w.])\.\d+", text)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_recipe_has_a_row_and_every_row_a_recipe(paper: str) -> None:
    text = PAGES[paper].read_text(encoding="utf-8")
    named = set(COMMAND.findall(text))
    own = {name for name in recipe_names() if name.startswith(f"{paper}/")}
    assert named == own


@pytest.mark.parametrize("paper", PAPERS)
def test_the_figure_of_a_recipe_stands_in_a_row_with_its_command(paper: str) -> None:
    for name in recipe_names():
        if not name.startswith(f"{paper}/"):
            continue
        figures = re.findall(r"\d*\.\d+", read_recipe(name).about.published)
        beside = [published(row) for row in rows(paper) if name in str(row)]
        found = {number for text in beside for number in numbers(text)}
        if figures:
            assert found & set(figures), name


@pytest.mark.parametrize("paper", [*PAPERS, "av"])
def test_published_figures_are_printed_in_the_paper(paper: str) -> None:
    source = SHARED / "papers" / TEXTS[paper]
    if not source.is_file():
        pytest.skip("the text of the paper is not here")
    printed = source.read_text(encoding="utf-8").replace(" ×10−", "e-")
    known = {number.lstrip("0") for number in numbers(printed)}
    seen = 0
    for row in rows(paper):
        for number in numbers(published(row).replace("e-", " ")):
            assert number.lstrip("0") in known, f"{row}: {number}"
            seen += 1
    assert seen >= {"av": 6, "small": 17 + 8 * 3, "prob": 20, "att": 80, "fuse": 45}[paper]


@pytest.mark.parametrize("paper", ["prob", "att"])
def test_d_prime_of_the_papers_follows_from_their_mean_auc(paper: str) -> None:
    """Every printed pair fits sqrt(2) Phi^-1(mAUC) to within its digits: d' is that of the mean
    AUC, as `av_tagger.metrics.d_prime` computes it, and not the mean over the classes.
    """
    found = 0
    for row in rows(paper):
        if match := re.search(r"\.\d{3} / (\.\d{3}) / (\d\.\d{3})", published(row)):
            auc, printed = float(match[1]), float(match[2])
            low, high = d_prime(auc - 5e-4), d_prime(auc + 5e-4)
            assert low - 5e-4 <= printed <= high + 5e-4, row
            found += 1
    assert found >= {"prob": 9, "att": 30}[paper]


def test_class_counts_of_small_are_those_of_its_table() -> None:
    text = PAGES["small"].read_text(encoding="utf-8")
    table = text.split("## Table 1")[1].split("## Table 2")[0]
    counts = [int(n.replace(",", "")) for n in re.findall(r"\| ([\d,]+) ", table)]
    assert len(counts) == 17
    assert max(counts) / min(counts) == pytest.approx(94, abs=0.5)  # SMALL §3.2: 1:94
    assert not math.isnan(sum(counts))


def test_pages_are_there_for_all_papers() -> None:
    assert set(PAGES) == set(TEXTS)
    assert all(isinstance(path, Path) for path in PAGES.values())
