"""Completion: `tag` is the default command there too, and three shells show what it finds."""

from __future__ import annotations

import os
import pty
import select
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from av_tagger.cli.completion import name_the_default
from av_tagger.cli.main import COMMANDS, FLAGS
from tests import ROOT

LONGEST_WAIT = 120.0  # seconds, on a machine with much else to do
KNOWN = {*COMMANDS, *FLAGS}


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("av-tag film.mp4 --re", "av-tag tag film.mp4 --re"),
        ("av-tag film.mp4 ", "av-tag tag film.mp4 "),
        ("av-tag --re", "av-tag tag --re"),
        ("av-tag\nfilm.mp4\n--re", "av-tag\ntag\nfilm.mp4\n--re"),
        ("av-tag batch --fo", "av-tag batch --fo"),
        ("av-tag --help", "av-tag --help"),
        ("av-tag re", "av-tag re"),
        ("av-tag ", "av-tag "),
    ],
)
def test_the_default_command_is_named_once_a_first_word_is_complete(
    typed: str, completed: str
) -> None:
    bash = {"_AV_TAG_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": "2"}
    name_the_default(bash, KNOWN)
    assert bash["COMP_WORDS"] == completed
    assert bash["COMP_CWORD"] == ("2" if typed == completed else "3")
    zsh = {"_AV_TAG_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": typed}
    name_the_default(zsh, KNOWN)
    assert zsh["_TYPER_COMPLETE_ARGS"] == completed


def test_without_a_shell_that_asks_nothing_is_changed() -> None:
    plain = {"COMP_WORDS": "av-tag film.mp4 --re", "COMP_CWORD": "2"}
    name_the_default(plain, KNOWN)
    assert plain == {"COMP_WORDS": "av-tag film.mp4 --re", "COMP_CWORD": "2"}


@contextmanager
def shell_in(home: Path, name: str) -> Iterator[int]:
    """An interactive shell with `av-tag` on its path; its terminal as a file descriptor."""
    environment = {
        "HOME": str(home),
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm",
        "PS1": "$ ",
    }
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(home)
        os.execvpe(name, [name, "-i"], environment)
    try:
        yield terminal
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def read_until(terminal: int, word: str, keys: bytes = b"") -> str:
    """What the terminal shows until a word appears; all that it showed if it does not.

    The keys are pressed again whenever nothing happens: a shell that starts may lose some, and
    zsh only loads its completion at the first Tab.
    """
    shown, end = "", time.monotonic() + LONGEST_WAIT
    while word not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 5.0)[0]:
            shown += os.read(terminal, 65536).decode("utf-8", "replace")
        elif keys:
            os.write(terminal, keys)
    return shown


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "av-tag"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m av_tagger "$@"\n')
    script.chmod(0o755)
    (tmp_path / ".zshrc").write_text("PS1='$ '\n")  # else zsh asks for its settings
    (tmp_path / "film.mp4").touch()
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_completes_flags_of_a_file_after_the_described_command(
    name: str, home: Path
) -> None:
    """As docs/install.md says: `av-tag --install-completion`, then a new shell."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    assert "av-tag --install-completion" in (ROOT / "docs" / "install.md").read_text("utf-8")
    with shell_in(home, name) as terminal:
        os.write(terminal, b"av-tag --install-completion\n")
        shown = read_until(terminal, "installed in")
        assert "completion installed in" in shown, shown
    with shell_in(home, name) as terminal:
        os.write(terminal, b"av-tag film.mp4 --ann")
        shown = read_until(terminal, "--annotate", keys=b"\t")
        assert "--annotate" in shown, shown
