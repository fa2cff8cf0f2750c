"""Figures: colours, short titles, panels, and pictures in several formats."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from av_tagger.errors import MissingExtra, StorageError
from av_tagger.reports.plots.figure import (
    BRANCHES,
    CYCLE,
    colour_of,
    grid,
    panels_of,
    png,
    save,
    short,
    single,
)


def test_branches_have_their_own_colours() -> None:
    assert [colour_of(name, 0) for name in BRANCHES] == list(BRANCHES.values())
    assert [colour_of("other", n) for n in range(len(CYCLE) + 1)] == [*CYCLE, CYCLE[0]]


@pytest.mark.parametrize(
    ("label", "rest", "text"),
    [
        ("Train horn", "", "Train horn"),
        ("Fire engine, fire truck (siren)", "", "Fire engine, fire truc…"),
        ("Air horn, truck horn", " (12)", "Air horn, truck h… (12)"),
        ("Fire engine, (siren)", " (1234567)", "Fire engine… (1234567)"),
    ],
)
def test_long_labels_are_shortened(label: str, rest: str, text: str) -> None:
    assert short(label, rest) == text
    assert len(short(label, rest)) <= 23


@pytest.mark.parametrize(("count", "drawn"), [(0, 1), (1, 1), (5, 5), (7, 10), (17, 20)])
def test_unused_panels_are_hidden(count: int, drawn: int) -> None:
    with panels_of(count) as (figure, panels):
        assert len(figure.axes) == len(panels) == drawn
        assert [axes.axison for axes in panels].count(True) == count


def test_rows_share_their_time_axis() -> None:
    with grid(4, 3, [1.0, 2.0]) as (_, (top, bottom)):
        bottom.set_xlim(3, 9)
        assert top.get_xlim() == (3, 9)


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_the_suffix_chooses_the_format(suffix: str, start: bytes, tmp_path: Path) -> None:
    with single(2, 1) as (figure, _):
        save(figure, tmp_path / "new" / f"a{suffix}")
    assert (tmp_path / "new" / f"a{suffix}").read_bytes().startswith(start)


def test_notebooks_show_a_png() -> None:
    with single(2, 1) as (figure, _):
        assert png(figure).startswith(b"\x89PNG")
        shown = figure._repr_png_()  # type: ignore[attr-defined]
        assert shown.startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with single(2, 1) as (figure, _), pytest.raises(StorageError, match="cannot be written"):
        save(figure, tmp_path / "file" / "a.png")


def test_without_matplotlib_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"figures need matplotlib.*pip install"), single(2, 1):
        pass
