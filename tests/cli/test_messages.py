"""Messages in plain English: phrases that were found hard to read do not come back."""

from __future__ import annotations

import pytest

from av_tagger.cli.help import counted
from tests import ROOT

PHRASES = [
    "Of --shuffle",
    "a second start goes on",
    "Forget what this folder knows",
    "known before,",
    "its weights are not there",
    "off: switched off",
]


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_that_was_hard_to_read_is_gone(phrase: str) -> None:
    files = list((ROOT / "av_tagger").rglob("*.py"))
    assert len(files) > 100
    found = [str(p.relative_to(ROOT)) for p in files if phrase in p.read_text(encoding="utf-8")]
    assert found == []


@pytest.mark.parametrize(("count", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_one_file_is_one_file(count: int, text: str) -> None:
    assert counted(count, "file") == text
