"""The pseudo-terminal of the tests: its width, what stays on it, and Ctrl-C."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.terminal import run, what_stays


def test_a_command_sees_a_terminal_of_that_width(tmp_path: Path) -> None:
    show = "import os, sys; print(os.get_terminal_size().columns, sys.stderr.isatty())"
    done = run([sys.executable, "-c", show], columns=67, folder=tmp_path, environment=os.environ)
    assert (done.code, done.text.split()) == (0, ["67", "True"])


def test_a_command_can_be_interrupted(tmp_path: Path) -> None:
    wait = "import time; print('ready', flush=True); time.sleep(200)"
    command = [sys.executable, "-c", wait]
    environment = os.environ
    done = run(command, columns=80, folder=tmp_path, environment=environment, interrupt_at="ready")
    assert done.code != 0
    assert "KeyboardInterrupt" in done.text


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        ("one\r\ntwo", ["one", "two"]),
        ("bar 10 %\rbar 90 %\r\x1b[2Kdone\r\n", ["done", ""]),
        ("a\r\nb\r\x1b[2K\x1b[1A\x1b[2Kc", ["c", ""]),
        ("\x1b[1mbold\x1b[0m  ", ["bold"]),
        ("abc\rx", ["xbc"]),
        ("abcdef\rab\x1b[K", ["ab"]),
    ],
)
def test_what_is_drawn_over_does_not_stay(raw: str, lines: list[str]) -> None:
    assert what_stays(raw) == lines
