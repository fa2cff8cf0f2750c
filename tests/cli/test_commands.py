"""The commands by name, imported when they are needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from av_tagger.cli.commands import GROUPS, Commands
from tests import ROOT

CODE = """
import sys
from av_tagger.cli.main import run
run(sys.argv[1:])
print(*sorted(n.rpartition(".")[2] for n in sys.modules if n.startswith("av_tagger.cli.")))
"""


def imported(*words: str) -> set[str]:
    """Modules of the command line that a process has imported after these words."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_every_command_has_a_function_and_every_group_its_members() -> None:
    commands = Commands()
    assert next(iter(commands)) == "tag"
    assert len(commands) == len(set(commands)) == len(list(commands))
    for name, found in commands.items():
        assert isinstance(found, dict) == (name in GROUPS), name
        assert all(map(callable, found.values() if isinstance(found, dict) else [found])), name
    assert set(GROUPS) < set(commands)


def test_other_names_are_no_commands() -> None:
    assert "help" not in Commands()
    with pytest.raises(KeyError):
        Commands()["help"]


def test_a_command_does_not_import_the_others() -> None:
    others = set(Commands()) - {
        "tag",
        "index",
        "config",
    }  # `config` is also a module of the package
    assert not imported("tag", "--help") & others
    assert imported("tag", "--help") >= {"tag"}
    assert not imported("--version") & {*others, "tag"}


@pytest.mark.parametrize("word", ["--help", "tga"])
def test_all_commands_are_there_where_they_are_listed_or_meant(word: str) -> None:
    assert imported(word) >= set(Commands()) - {"index"}
