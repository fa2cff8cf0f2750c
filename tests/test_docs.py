"""README and docs: commands and flags that exist, a table of floors that is up to date, sizes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from av_tagger.cli.main import COMMANDS, make_app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "BENCHMARKS.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
GENERATED = ("models", "_build", "auto_gallery")


def pages() -> list[Path]:
    found = [p for p in PAGES if not set(p.relative_to(ROOT).parts) & set(GENERATED)]
    assert len(found) > 15
    return found


def commands() -> Iterator[tuple[Path, list[str]]]:
    """Every `av-tag ...` of a code block or of inline code, split as a shell would."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"```(?:console|bash)\n(.*?)```", text, re.DOTALL)
        inline = re.findall(r"`([^`\n]*av-tag [^`\n]*)`", text)
        for line in [line for block in blocks for line in block.splitlines()] + inline:
            for part in line.split("&&"):
                if match := re.search(r"\bav-tag (.*)", part.split("#")[0]):
                    yield page, shlex.split(match.group(1).replace("...", " "))


@cache
def known() -> dict[str, set[str]]:
    """Flags by command; "weights fetch" is a command of its own."""
    found: dict[str, set[str]] = {}
    group = get_command(make_app(COMMANDS))
    assert isinstance(group, typer.core.TyperGroup)
    for name, command in group.commands.items():
        nested = getattr(command, "commands", {})
        for sub, inner in nested.items():
            found[f"{name} {sub}"] = {o for p in inner.params for o in (*p.opts, *p.secondary_opts)}
        if not nested:
            found[name] = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    return found


def test_commands_in_the_docs_exist() -> None:
    seen = 0
    for page, words in commands():
        flags = {w.split("=")[0] for w in words if w.startswith("-") and w not in ("-", "--")}
        flags -= {"--help", "--version", "-h"}
        plain = [w for w in words if not w.startswith("-")]
        if not plain:
            continue
        name = plain[0] if plain[0] in {n.split()[0] for n in known()} else "tag"
        if f"{name} {' '.join(plain[1:2])}" in known():
            name = f"{name} {plain[1]}"
        if name == "weights":
            continue
        assert flags <= known()[name], f"{page.name}: av-tag {' '.join(words)}"
        seen += 1
    assert seen > 30


OF_OTHERS = {  # flags that pages name alone: of pytest, docker, a program of the reader
    "--slow",
    "--gpus",
    "--user",
    "--loud",
}


def test_flags_that_pages_name_alone_exist() -> None:
    every = set().union(*known().values()) | {"--help", "--version"}
    completion = {"--install-completion", "--show-completion"}
    spans = [
        (page.name, flag)
        for page in pages()
        if page.name != "BENCHMARKS.md"  # names flags of its own programs
        for span in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        if span.startswith("--")
        for flag in re.findall(r"(?:^|\s)(--[a-z][a-z-]*)", span)
    ]
    assert len(spans) > 100
    assert [s for s in spans if s[1] not in every | completion | OF_OTHERS] == []


def test_the_table_of_floors_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "floors.py", "--check"], check=False)
    assert done.returncode == 0, "run: python docs/floors.py"


def test_the_readme_can_be_read_in_one_sitting() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert 600 < len(text.split()) < 1500


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.name)
def test_links_and_pictures_of_the_docs_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" in target or "auto_gallery" in target or "/models/" in target:  # generated
            continue
        place = page.parent / target
        assert any(
            p.exists()
            for p in (
                place,
                place.with_name(place.name + ".md"),
                place.with_name(place.name + ".rst"),
            )
        ), f"{page.name} points to {target}"
