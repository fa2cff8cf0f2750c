"""Text that a terminal does not obey; a standard output that is full, closed or a closed pipe."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from av_tagger.cli.console import Console
from av_tagger.cli.output import CANNOT_WRITE, CLOSED_PIPE, guarded_output, visible
from av_tagger.clip import Clip
from av_tagger.errors import UsageError
from av_tagger.scores import Failed
from tests import ROOT
from tests.cli.conftest import AvTag

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\r\u202e\u2028\udcff.mp4"
SHOWN = r"a\x1b]0;owned\x07\x1b[2J\r\u202e\u2028\udcff.mp4"


def test_control_characters_are_escaped_and_others_are_not() -> None:
    assert visible(HOSTILE + "\n") == SHOWN + r"\n"
    assert visible("a\nb", keep="\n") == "a\nb"
    for text in ("Žluťoučký kůň 馬 🐎 [x]\\n.mp4", "a\u00a0b", "plain"):
        assert visible(text) == text


def test_a_console_escapes_what_it_is_given() -> None:
    """Whatever way the text takes: print, tables, titles, markup."""
    from rich.table import Table
    from rich.text import Text

    written = io.StringIO()
    console = Console(file=written, width=200)
    table = Table(title=Text(HOSTILE))
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE))
    console.print(HOSTILE, table, Text(HOSTILE))
    assert [c for c in written.getvalue() if visible(c) != c and c != "\n"] == []
    assert written.getvalue().count(r"\x1b]0;own") == 5


def test_a_console_keeps_its_own_colours() -> None:
    written = io.StringIO()
    Console(file=written, force_terminal=True, color_system="standard").print("x\x1b", style="red")
    assert written.getvalue() == "\x1b[31mx\\x1b\x1b[0m\n"


def test_every_command_escapes_names_in_its_error(av_tag: AvTag, tmp_path: Path) -> None:
    name = tmp_path / "none\x1b[2J.x"
    commands = (
        ["report", name],
        ["tag", name, "--ear", name],
        ["vote", name, name, "-o", tmp_path / "out"],
        ["analyse", name, "-o", tmp_path / "out"],
        ["evaluate", name, "--truth", name],
        ["batch", name, "-o", tmp_path / "out"],
        ["train", name, "--data", name, "--valid", name, "-o", tmp_path / "out"],
        ["tag", name, "--none\x1b[2J"],
    )
    for words in commands:
        done = av_tag(*words)
        assert done.code != 0
        assert r"none\x1b[2J" in done.err, words
        assert "\x1b" not in done.out + done.err, words


def test_a_failed_clip_is_shown_escaped() -> None:
    from av_tagger.cli.show import show

    errors = Console(file=io.StringIO(), width=80)
    show(Failed(Clip(Path(HOSTILE)), "media", f"{HOSTILE}: is broken"), errors, errors)
    assert isinstance(errors.file, io.StringIO)
    assert errors.file.getvalue() == f"av-tag: {SHOWN}: is broken\n"


def shell(tail: str, words: str = "classes") -> tuple[int, str]:
    """Exit code and stderr of `av-tag WORDS TAIL` in a shell."""
    code = "from av_tagger.cli.main import main; main()"
    command = f"'{sys.executable}' -c '{code}' {words} {tail}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["classes", "--help"])
def test_a_full_standard_output_is_one_sentence(words: str) -> None:
    code, said = shell(">/dev/full", words)
    assert said == "av-tag: standard output cannot be written (No space left on device)\n"
    assert code == CANNOT_WRITE


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_closed_standard_output_is_one_sentence() -> None:
    code, said = shell(">&-")
    assert said == "av-tag: standard output cannot be written (Bad file descriptor)\n"
    assert code == CANNOT_WRITE


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("words", ["classes --json", "classes", "--help"])
def test_a_closed_pipe_is_silent(words: str) -> None:
    code, said = shell("| true; exit ${PIPESTATUS[0]}", f"{words}")
    assert said == ""
    assert code in (0, CLOSED_PIPE), "0 if all was written before the reader ended"


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_reader_that_is_gone_has_a_code_of_its_own() -> None:
    gone = "import select; pipe = select.poll(); pipe.register(1, 0); pipe.poll()"
    wait = f"{gone}; from av_tagger.cli.main import main; main()"
    command = f"'{sys.executable}' -c '{wait}' classes | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (CLOSED_PIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_error_changes_no_exit_code() -> None:
    assert shell("2>/dev/full", "report /none")[0] == 2
    assert shell("2>&-", "report /none")[0] == 2
    assert shell(">/dev/full 2>&1")[0] == CANNOT_WRITE


def test_streams_that_are_no_files_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with guarded_output():
        assert sys.stdout is before
        print("x")
    assert capsys.readouterr().out == "x\n"


def test_streams_are_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with suppress(UsageError), guarded_output():
        assert sys.stdout is not None
        raise UsageError("x")
    assert sys.stdout is None
