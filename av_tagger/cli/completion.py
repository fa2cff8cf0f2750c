"""Completion in shells: a half-typed `av-tag FILE ...` is completed as `av-tag tag FILE ...`."""

from __future__ import annotations

import re
from collections.abc import Collection, MutableMapping

COMPLETING = "_AV_TAG_COMPLETE"  # set by the shell's script while it asks for completions
WORDS, NUMBER = "COMP_WORDS", "COMP_CWORD"  # of bash
LINE = "_TYPER_COMPLETE_ARGS"  # of the other shells
TYPED = re.compile(r"(\S+)(\s+)(\S+)(\s.*)?", re.DOTALL)  # program, first word, the rest


def name_the_default(environment: MutableMapping[str, str], known: Collection[str]) -> None:
    """Insert `tag` into the line that the shell asks about, unless it names a command.

    A first word that is not complete may still become a command and is left alone.
    """
    variable = WORDS if WORDS in environment else LINE
    typed = TYPED.fullmatch(environment.get(variable, ""))
    if COMPLETING not in environment or typed is None or typed[3] in known:
        return
    if typed[4] is None and not typed[3].startswith("-"):
        return
    program, space, first, rest = typed.groups(default="")
    environment[variable] = f"{program}{space}tag{space}{first}{rest}"
    if variable == WORDS and environment.get(NUMBER, "").isdecimal():
        environment[NUMBER] = str(int(environment[NUMBER]) + 1)
