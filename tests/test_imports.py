"""No module imports itself over others, also not inside functions; a first tag loads little."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from av_tagger import weights
from tests import ROOT
from tests.assets import make_video

# Libraries of other features, and packages of other commands.
NOT_FOR_A_TAG = """
timm torchvision torch._dynamo torch._inductor torch.onnx sympy scipy sklearn numba llvmlite pandas
pyarrow matplotlib cvxpy gensim onnx onnxruntime ray yaml IPython av decord
av_tagger.bench av_tagger.collection av_tagger.dcase av_tagger.evaluation av_tagger.learning
av_tagger.live av_tagger.media.opening av_tagger.media.write av_tagger.reports av_tagger.review
av_tagger.runner av_tagger.studies av_tagger.synth
"""
NOT_FOR_A_REFUSAL = "torch safetensors.torch av_tagger.networks av_tagger.video.load"
PROGRAM = """
import sys
from av_tagger.cli.main import run
code = run(sys.argv[2:])
print(*sorted(set(sys.argv[1].split()) & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""

Imports = dict[str, set[str]]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module, known: Mapping[str, object]) -> Iterator[str]:
    """All modules of `known` that are imported anywhere in the file, also lazily or for types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


def imports() -> Imports:
    files = {module_name(path): path for path in (ROOT / "av_tagger").rglob("*.py")}
    assert len(files) > 100
    return {
        name: (set(imported(ast.parse(path.read_text(encoding="utf-8")), files)) & set(files))
        - {name}
        for name, path in files.items()
    }


def cycles(graph: Imports) -> list[list[str]]:
    """One cycle after another, each broken at its last step, until there are none."""
    graph = {name: set(targets) for name, targets in graph.items()}
    found = []
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle = error.args[1]
            found.append(cycle)
            graph[cycle[1]].discard(cycle[0])
        else:
            return found


def test_no_import_cycles() -> None:
    assert cycles(imports()) == []


def test_a_cycle_is_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    (found,) = cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert set(found) == {"a", "b", "c"}
    assert len(cycles({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c"}})) == 2


@pytest.mark.parametrize(
    "text",
    [
        "import av_tagger.clip",
        "from av_tagger.clip import Clip",
        "from av_tagger import clip",
        "def f():\n    from av_tagger.clip import Clip",
        "if TYPE_CHECKING:\n    from av_tagger.clip import Clip",
    ],
)
def test_every_form_of_import_is_seen(text: str) -> None:
    known = {"av_tagger": None, "av_tagger.clip": None}
    assert set(imported(ast.parse(text), known)) == {"av_tagger.clip"}


def test_relative_imports_are_not_used() -> None:
    """They would escape the search above."""
    relative = [
        module_name(path)
        for path in (ROOT / "av_tagger").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def loaded(names: str, *words: object) -> tuple[int, str]:
    """The exit code of a command, and which of these modules its process had loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, names, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)
def test_a_first_tag_loads_nothing_of_other_features(tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mp4", 1.0)
    words = ("tag", film, "--offline", "--ear", "starter", "--quiet")
    assert loaded(NOT_FOR_A_TAG + "torch", *words) == (0, "torch")


def test_a_refusal_loads_no_network(tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mp4", 1.0)
    names = NOT_FOR_A_TAG + NOT_FOR_A_REFUSAL
    assert loaded(names, "tag", film, "--offline", "--classes", "Trian") == (2, "")
