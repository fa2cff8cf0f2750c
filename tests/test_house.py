"""The house's own rules, so that they stay true: sizes, annotations, the public face, and what must not be in it."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av_tagger
from av_tagger.protocols import (
    AudioBranch,
    Fusion,
    KeyframeSelector,
    MediaBackend,
    Recogniser,
    VideoBranch,
    WordSpace,
)

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "av_tagger"
LONGEST_FUNCTION = 60
LONGEST_FILE = 350
MOST_PARAMETERS = 7  # self or cls not counted

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 50
    return found


def functions() -> Iterator[tuple[str, Function]]:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def parameters(function: Function) -> list[ast.arg]:
    a = function.args
    return [x for x in (*a.posonlyargs, *a.args, *a.kwonlyargs) if x.arg not in ("self", "cls")]


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_functions_are_short() -> None:
    lengths = [(length(f), where) for where, f in functions()]
    assert [where for n, where in lengths if n > LONGEST_FUNCTION] == []
    assert statistics.median(n for n, _ in lengths) <= 10


def test_files_are_short() -> None:
    lengths = {
        str(p.relative_to(ROOT)): p.read_text(encoding="utf-8").count("\n") for p in sources()
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_few_parameters_and_all_annotated() -> None:
    assert [where for where, f in functions() if len(parameters(f)) > MOST_PARAMETERS] == []
    assert [
        where
        for where, f in functions()
        if f.returns is None or any(p.annotation is None for p in parameters(f))
    ] == []


def test_every_module_says_what_may_stand_there() -> None:
    bare = [
        p
        for p in sources()
        if p.name != "__init__.py"
        and not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert bare == []


def test_the_public_face() -> None:
    for name in av_tagger.__all__:
        assert getattr(av_tagger, name) is not None
    assert set(dir(av_tagger)) == set(av_tagger.__all__)


def test_importing_the_package_costs_nothing_heavy() -> None:
    code = (
        "import sys, av_tagger; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'av')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_sockets_are_batch_only() -> None:
    """Every socket that takes clips, frames or pictures takes a sequence of them."""
    for socket, method in (
        (AudioBranch, "hear"),
        (VideoBranch, "see"),
        (KeyframeSelector, "select"),
        (Recogniser, "recognise"),
    ):
        first = next(
            iter(v for k, v in getattr(socket, method).__annotations__.items() if k != "return")
        )
        assert "Sequence" in first
    assert all(
        hasattr(s, "__protocol_attrs__") or hasattr(s, "_is_protocol")
        for s in (Fusion, MediaBackend, WordSpace)
    )


def test_no_place_outside_the_project_is_named() -> None:
    """Paths of somebody's machine and hosts of package registries are no part of the program."""
    unwanted = re.compile(r"(?<![\w.])/(?:home|root|Users)/\w|[p]ypi\.org|files\.python[h]osted")
    texts = [
        *sources(),
        *(ROOT / "tests").rglob("*.py"),
        *(p for p in (ROOT / "README.md", ROOT / "CHANGELOG.md") if p.exists()),
    ]
    found = [
        str(p)
        for p in texts
        if p.name != Path(__file__).name and unwanted.search(p.read_text(encoding="utf-8"))
    ]
    assert found == []
