"""The end of the program: quick with torch, after everything that is registered with `atexit`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import ROOT

CODE = """
import atexit, sys, threading, time, types
from av_tagger import __main__ as program
import av_tagger.cli.main as command_line

class Late:
    def __del__(self):
        print("interpreter taken down")

def ended(code):
    print("command")
    threading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()
    atexit.register(print, "registered")
    sys.exit(code)

kept = Late()
if sys.argv[1] == "torch":
    sys.modules["torch"] = types.ModuleType("torch")
command_line.main = lambda: ended({"0": 0, "3": 3, "none": None, "text": "a sentence"}[sys.argv[2]])
program.main()
"""


def run(*words: str) -> tuple[int, list[str], str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(("word", "code"), [("0", 0), ("3", 3), ("none", 0)])
def test_with_torch_the_interpreter_is_not_taken_down(word: str, code: int) -> None:
    assert run("torch", word) == (code, ["command", "thread", "registered"], "")


def test_without_torch_the_program_ends_as_usual() -> None:
    code, lines, _ = run("plain", "3")
    assert (code, lines[:3]) == (3, ["command", "thread", "registered"])
    assert lines[3:] == ["interpreter taken down"]


def test_a_text_as_exit_code_is_printed_by_python() -> None:
    code, lines, errors = run("torch", "text")
    assert (code, errors.strip()) == (1, "a sentence")
    assert lines[-1] == "interpreter taken down"
