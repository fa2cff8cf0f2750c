"""Help pages: every command, every flag, at most 80 columns, nothing heavy imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from av_tagger.cli.main import COMMANDS, make_app
from tests import ROOT
from tests.cli.conftest import AvTag

PAGES = [
    *([name] for name in COMMANDS),
    *(
        [name, member]
        for name, group in COMMANDS.items()
        if isinstance(group, dict)
        for member in group
    ),
]


def parameters(words: list[str]) -> list[Any]:
    command: Any = typer.main.get_command(make_app(COMMANDS))
    for word in words:
        command = command.commands[word]
    return list(command.params)


def test_the_main_page_lists_every_command(av_tag: AvTag) -> None:
    done = av_tag("--help")
    assert done.code == 0
    listed = [line.split()[0] for line in done.lines if line.startswith("  ") and line[2] != " "]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)
    assert {"--version", "-h,"} <= set(listed)
    assert av_tag("-h").out == done.out == av_tag().out


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_every_page_lists_every_flag_in_80_columns(words: list[str], av_tag: AvTag) -> None:
    done = av_tag(*words, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].startswith(f"Usage: av-tag {' '.join(words)} [OPTIONS]")
    assert max(map(len, done.lines)) <= 80
    assert "<" not in done.out, "no types in angle brackets"
    assert " VALUE " not in done.out, "every placeholder says what is expected"
    for parameter in parameters(words):
        assert parameter.help, f"{parameter.name} has no help text"
        if parameter.param_type_name == "option":
            assert f" {parameter.opts[0]}" in done.out
        else:
            assert f"  {parameter.metavar}  " in done.out


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_help_texts_are_sentences(words: list[str]) -> None:
    for parameter in parameters(words):
        assert parameter.help.endswith("."), parameter.help
        assert not parameter.help.startswith(("Of ", "The same")), parameter.help


def test_groups_stand_before_general_options(av_tag: AvTag) -> None:
    titles = [
        line for line in av_tag("tag", "--help").lines if line.endswith(":") and line[0] != " "
    ]
    assert titles == ["Arguments:", "Ear, eye and fusion:", "Output:", "Options:"]


def test_required_flags_and_defaults_are_shown(av_tag: AvTag) -> None:
    out = " ".join(av_tag("tune", "--help").out.split())
    scored = " ".join(av_tag("evaluate", "--help").out.split())
    assert "start, end, label; or a manifest file,labels;" in scored
    assert "Label Studio, ELAN or CSV. (required)" in scored
    assert "ear or eye. Default: logit." in out
    assert "Folds of the cross-validation. Default: 5." in out
    assert out.count("Default: those of the ear, or of the ground truth.") == 1


def test_a_group_without_a_member_shows_its_page(av_tag: AvTag) -> None:
    assert av_tag("weights").out == av_tag("weights", "--help").out


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.mark.parametrize("words", [[], ["tag"], ["train"]], ids=lambda w: " ".join(w) or "main")
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    heavy = ("torch", "numpy", "av", "matplotlib", "scipy", "rich.progress")
    done = run_python(
        "import sys\nfrom av_tagger.cli.main import run\n"
        f"code = run([*{words}, '--help'])\n"
        f"loaded = [m for m in {heavy} if m in sys.modules]\n"
        "assert not loaded, loaded\nsys.exit(code)"
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_a_pipe_that_closes_early_is_no_error(tmp_path: Path) -> None:
    code = "from av_tagger.cli.main import main; main(['--help'])"
    command = f'{sys.executable} -c "{code}" | head -c 0'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr
