"""`av_tag` and `on_terminal`: run a command in this process, 80 columns wide."""

from __future__ import annotations

import io
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from av_tagger import cache
from av_tagger.cli.main import main

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")  # colours, and the cursor of a spinner


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
    return _runner(capfd, monkeypatch)


class Terminal(io.StringIO):
    """What a command takes for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> AvTag:
    """As `av_tag`, but stdout and stderr are terminals of 80 columns without colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = _runner(capfd, monkeypatch)

    def run(*words: object) -> Done:
        out, err = Terminal(), Terminal()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            done = plain(*words)
        shown = (ESCAPE.sub("", t.getvalue()) for t in (out, err))
        return Done(done.code, *shown)

    return run


def _runner(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> AvTag:
    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["av-tag", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Done(int(ended.value.code or 0), out, err)

    return run
