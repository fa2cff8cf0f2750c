from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from av_tagger.cli.report import report
from av_tagger.errors import TableError, UsageError
from av_tagger.reports.html import read_page_sources
from av_tagger.reports.schema import as_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from av_tagger.scores import Outcome


@pytest.fixture
def app() -> typer.Typer:
    one = typer.Typer(pretty_exceptions_enable=False)
    one.command()(report)
    return one


@pytest.fixture
def run_folder(sample: Sequence[Outcome], tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.jsonl").write_text(
        "".join(as_line(o, detail=n == 0) + "\n" for n, o in enumerate(sample))
    )
    return folder


@pytest.mark.parametrize("name", ["", "results.jsonl"])
def test_a_run_becomes_pages(name: str, app: typer.Typer, run_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, [str(run_folder / name), "-o", str(tmp_path / "out"), "--no-listen"]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert (tmp_path / "out" / "index.html").is_file()
    pages = {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "out" / "pages").iterdir()}
    assert len(pages) == 3
    assert (
        "data:image/jpeg" in pages["street_corner.html"]
    )  # the result with detail shows its key frames


@pytest.mark.parametrize("name", ["nothing.jsonl", "empty"])
def test_what_is_not_there_is_a_usage_error(name: str, app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, [str(tmp_path / name)])
    assert isinstance(result.exception, UsageError)


def test_a_line_of_another_schema_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"schema": 99, "file": "a"}\n')
    with pytest.raises(TableError, match="line 1"):
        list(read_page_sources(tmp_path / "r.jsonl"))
