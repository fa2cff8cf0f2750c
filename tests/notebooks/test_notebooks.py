"""The notebooks run from top to bottom, define nothing, and are stored with their pictures."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from av_tagger.weights import find

pytest.importorskip("nbformat")
pytest.importorskip("nbclient")

import nbformat

from tests.notebooks.stored import (
    FOLDER,
    NAMES,
    ROOT,
    as_stored,
    code_cells,
    executed,
    read,
    sources_of,
)

AGAIN = "run `python -m tests.notebooks.stored`"
LARGEST = 500_000  # bytes


def cells(name: str, kind: str) -> list[str]:
    return [cell.source for cell in read(name).cells if cell.cell_type == kind]


def outputs(book: Any) -> list[Any]:
    return [output for cell in code_cells(book) for output in cell.outputs]


def pictures(book: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(book))


def errors(book: Any) -> list[Any]:
    """Exceptions, and what was written to stderr."""
    return [
        o
        for o in outputs(book)
        if o.output_type == "error" or (o.output_type == "stream" and o.name == "stderr")
    ]


def test_all_notebooks_are_tested() -> None:
    assert sorted(p.stem for p in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestStored:
    def test_outputs_are_those_of_the_code(self, name: str) -> None:
        """Every cell ran, in order, and its code has not changed since."""
        book = read(name)
        nbformat.validate(book)
        assert book.metadata.get("sources") == sources_of(book), AGAIN
        counts = [cell.execution_count for cell in code_cells(book)]
        assert counts == list(range(1, len(counts) + 1)), AGAIN

    def test_pictures_are_there_and_no_errors(self, name: str) -> None:
        book = read(name)
        assert pictures(book) >= 2
        assert errors(book) == []
        assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST

    def test_nothing_of_the_machine(self, name: str) -> None:
        """No paths, addresses of objects, or names of widgets."""
        text = json.dumps(
            [{k: v for k, v in o.items() if k != "data"} for o in outputs(read(name))]
            + [v for o in outputs(read(name)) for k, v in o.get("data", {}).items() if k[0] == "t"]
        )
        assert re.findall(r"(?:/tmp|/home|/root|/work|/usr|[A-Z]:\\\\)[^\"]*", text) == []
        assert re.findall(r"0x[0-9a-f]{6,}|model_id|<audio", text) == []


def test_what_is_left_out_of_the_stored_notebook() -> None:
    """Sound and widgets; their text, the other outputs and the code stay."""
    v4 = nbformat.v4
    sound = {"text/html": "<audio controls src='data:audio/wav;base64,AA'>", "text/plain": "Audio"}
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox"}
    made = [
        v4.new_output("execute_result", data) for data in (sound, widget, {"text/html": "<b>1</b>"})
    ]
    book = v4.new_notebook(cells=[v4.new_code_cell("f()", outputs=made)])
    kept = [dict(o.data) for o in outputs(as_stored(book))]
    assert kept == [{"text/plain": "Audio"}, {"text/html": "<b>1</b>"}]
    assert book.metadata.sources == sources_of(book)
    book.cells[0].source += "\n"
    assert book.metadata.sources != sources_of(book)


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
def test_formulas_are_shown_by_common_viewers(name: str) -> None:
    """`$$` on lines of its own, one formula per block, and nothing that Markdown reads first.

    A backslash before punctuation is an escape in Markdown: some viewers take it away.
    """
    for text in cells(name, "markdown"):
        lines = text.split("\n")
        marks = [n for n, line in enumerate(lines) if "$$" in line]
        assert all(lines[n] == "$$" for n in marks)
        assert len(marks) % 2 == 0
        for start, end in zip(marks[::2], marks[1::2], strict=True):
            assert end == start + 2
            assert lines[start - 1] == lines[end + 1] == ""
        for formula in re.findall(r"\$+([^$]+)\$+", text):
            assert not re.search(r"\\[^A-Za-z]", formula), formula


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if name == "1_hear" and find("crnn.starter.safetensors") is None:
        pytest.skip("the starter ear's weights are not in this checkout")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    book = executed(name, tmp_path)
    ran = code_cells(book)
    assert [cell.execution_count for cell in ran] == list(range(1, len(ran) + 1))
    assert errors(book) == []
    assert pictures(book) == pictures(read(name))
    if name == "1_hear":
        finds_what_it_made(book)


def finds_what_it_made(book: Any) -> None:
    """The tags of the last section are the sounds that the first cell made, and no others."""
    said = ["".join(o.get("text", "") for o in cell.outputs) for cell in code_cells(book)]
    made = {line[:20].strip() for line in said[0].splitlines()}
    tags = next(text for text in said if "probability" in text and "threshold" in text)
    assert {line[:20].strip() for line in tags.splitlines()} == made
    assert len(made) == 2
