"""The command as a whole: the default command, exit codes, and errors as one sentence."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import av_tagger
from av_tagger.cli import main as cli
from av_tagger.errors import MediaError
from tests import ROOT
from tests.cli.conftest import AvTag

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def words_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that reach the app, which does nothing."""
    seen: list[str] = []
    monkeypatch.setattr(cli, "app", lambda words, **_: seen.extend(words))
    return seen


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a.mp4"], ["tag", "a.mp4"]),
        (["a.mp4", "--json"], ["tag", "a.mp4", "--json"]),
        (["--json", "a.mp4"], ["tag", "--json", "a.mp4"]),
        (["--classes", "Dog", "a.mp4"], ["tag", "--classes", "Dog", "a.mp4"]),
        (["--reprot", "a.mp4"], ["tag", "--reprot", "a.mp4"]),
        (["-q", "batch", "a", "-o", "R"], ["batch", "a", "-o", "R", "-q"]),
        (["--offline", "-v", "doctor"], ["doctor", "--offline", "-v"]),
        (["--json", "-v"], ["tag", "--json", "-v"]),
        (["--json", "--", "batch"], ["tag", "--json", "--", "batch"]),
        (["--classes", "train", "a.mp4"], ["tag", "--classes", "train", "a.mp4"]),
        (["tag", "a.mp4"], ["tag", "a.mp4"]),
        (["doctor"], ["doctor"]),
        (["./doctor"], ["tag", "./doctor"]),
        ([], ["--help"]),
        (["weights"], ["weights", "--help"]),
        (["weights", "list"], ["weights", "list"]),
        (["--version"], ["--version"]),
        (["-h"], ["-h"]),
    ],
)
def test_the_first_word_chooses_the_command(
    given: list[str], expected: list[str], words_of: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(given)
    assert words_of == expected
    assert not ended.value.code


def test_the_words_of_the_shell_are_the_default(
    words_of: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["av-tag", "b.mp4"])
    with pytest.raises(SystemExit):
        cli.main()
    assert words_of == ["tag", "b.mp4"]


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (MediaError("a.mp4", "is empty"), 2, "av-tag: a.mp4: is empty\n"),
        (KeyboardInterrupt(), 130, "av-tag: interrupted\n"),
    ],
)
def test_errors_become_exit_codes(
    raised: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def app(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(cli, "app", app)
    assert cli.run(["tag"]) == code
    assert capsys.readouterr().err == message


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def app(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(ZeroDivisionError):
        cli.run(["tag"])


@pytest.mark.parametrize(("result", "code"), [(0, 0), (1, 1), (None, 0)])
def test_the_result_of_a_command_is_the_exit_code(
    result: int | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "app", lambda *_, **__: result)
    assert cli.run(["tag"]) == code


def test_the_version(av_tag: AvTag) -> None:
    done = av_tag("--version")
    assert (done.code, done.out, done.err) == (0, f"av-tag {av_tagger.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tag", "x.mp4", "--colour"), "No such option: --colour"),
        (("tag",), "Missing argument 'FILE...'; see av-tag tag --help"),
        (("tag", "x.mp4", "--top", "0"), "--top"),
        (("tag", "x.mp4", "--top", "many"), "--top"),
        (("tag", "x.mp4", "--threshold", "1.5"), "--threshold"),
        (("weights", "lst"), "No such command 'lst'; did you mean 'list'? see av-tag weights"),
        (("doctr",), "no command or file 'doctr'; did you mean 'av-tag doctor'? see av-tag --help"),
        (("wieghts", "list"), "did you mean 'av-tag weights'?"),
        (("batch", "x.mp4"), "Missing option"),
        (("--jsn",), "No such option: --jsn"),
    ],
)
def test_wrong_words_are_one_sentence(words: tuple[str, ...], sentence: str, av_tag: AvTag) -> None:
    done = av_tag(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("av-tag: ")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_a_file_named_like_a_command_may_stand_behind_a_flag(
    words_of: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch").touch()
    with pytest.raises(SystemExit):
        cli.main(["--quiet", "batch"])
    assert words_of == ["tag", "--quiet", "batch"]


def test_a_file_named_nearly_like_a_command_is_a_file(
    words_of: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doctr").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["doctr"])
    assert words_of == ["tag", "doctr"]


def test_the_package_is_a_program() -> None:
    """`python -m av_tagger` is `av-tag`."""
    command = [sys.executable, "-m", "av_tagger", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"av-tag {av_tagger.__version__}\n")


def test_the_package_logs_nothing_by_itself() -> None:
    handlers = logging.getLogger("av_tagger").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


def test_the_console_script_is_declared() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"av-tag": "av_tagger.__main__:main"}


def test_exit_code_and_streams_of_a_process(tmp_path: Path) -> None:
    code = "from av_tagger.cli.main import main; main()"
    command = [sys.executable, "-c", code, "evaluate", "none", "--truth", "none.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "av-tag: none.csv: cannot be read (No such file or directory);"
        " name a table\n"
    )
