"""The notebooks run from top to bottom, define nothing, and are stored without outputs."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from av_tagger.weights import find

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NAMES = ["1_hear", "2_see", "3_fuse", "4_evaluate"]

nbformat = pytest.importorskip("nbformat")


def cells(name: str, kind: str) -> list[str]:
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return [cell.source for cell in book.cells if cell.cell_type == kind]


def test_all_notebooks_are_tested() -> None:
    assert sorted(p.stem for p in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_have_no_outputs(name: str) -> None:
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_define_nothing(name: str) -> None:
    trees = [ast.parse(source) for source in cells(name, "code")]
    assert len(trees) >= 6
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for tree in trees for node in ast.walk(tree) if isinstance(node, definitions)]
    imported = [
        n.module or "" for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)
    ]
    assert any(module.startswith("av_tagger") for module in imported)


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_explain_what_they_do(name: str) -> None:
    prose = cells(name, "markdown")
    assert prose[0].startswith(f"# {name[0]} · ")
    assert len(" ".join(prose).split()) > 250


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    if name == "1_hear" and find("crnn.starter.safetensors") is None:
        pytest.skip("the starter ear's weights are not in this checkout")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(
        book,
        timeout=240,
        startup_timeout=240,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    ran = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in ran] == list(range(1, len(ran) + 1))
    assert any("image/png" in o.get("data", {}) for cell in ran for o in cell.outputs)
    assert not [
        o.text
        for cell in ran
        for o in cell.outputs
        if o.output_type == "stream" and o.name == "stderr"
    ]
