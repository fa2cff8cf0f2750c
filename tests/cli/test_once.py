"""Remarks that are said once a day."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from av_tagger import cache
from av_tagger.cli.once import DAY_SECONDS, is_due


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))


def test_the_same_remark_is_due_once() -> None:
    assert is_due("no weights")
    assert not is_due("no weights")
    assert is_due("another remark")


def test_it_is_due_again_after_a_day() -> None:
    assert is_due("no weights")
    (marker,) = cache.folder("said").iterdir()
    before = marker.stat().st_mtime - DAY_SECONDS - 1
    os.utime(marker, (before, before))
    assert is_due("no weights")
    assert not is_due("no weights")


def test_a_cache_that_cannot_be_written_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert is_due("no weights")
    assert is_due("no weights")
