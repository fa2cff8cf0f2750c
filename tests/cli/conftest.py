"""`av_tag`: runs the command in this process, 80 columns wide."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from av_tagger import cache
from av_tagger.cli.main import main


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


AvTag = Callable[..., Done]


@pytest.fixture(autouse=True)
def nothing_said_before() -> None:
    """Remarks that are said once a day are said in every test."""
    shutil.rmtree(cache.folder("said"), ignore_errors=True)


@pytest.fixture
def av_tag(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> AvTag:
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["av-tag", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Done(int(ended.value.code or 0), out, err)

    return run
