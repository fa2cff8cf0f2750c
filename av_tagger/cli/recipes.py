"""av-tag recipes: the training recipes with their paper, size and published result."""

from __future__ import annotations

from dataclasses import dataclass

from av_tagger.cli.options import command
from av_tagger.flags import option


@dataclass(frozen=True)
class RecipesOptions:
    json: bool = option(False, "Print JSON lines.")


def _recipes(options: RecipesOptions) -> int:
    """List the recipes of av-tag train."""
    from av_tagger.learning.learner import parameters
    from av_tagger.learning.recipe import all_recipes

    rows: list[Row] = [
        (r.name, r.about.paper, r.about.row, parameters(r), r.about.published, r.data)
        for r in all_recipes()
    ]
    if options.json:
        _print_json(rows)
    else:
        _print_table(rows)
    return 0


Row = tuple[str, str, str, int, str, str]
COLUMNS = ("name", "paper", "row", "parameters", "published", "learns from")


def _print_json(rows: list[Row]) -> None:
    import json

    for row in rows:
        print(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False))


def _print_table(rows: list[Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from av_tagger.cli.console import Console

    table = Table()
    for column in COLUMNS:
        table.add_column(
            column, justify="right" if column == "parameters" else "left", overflow="fold"
        )
    for name, paper, row, count, published, data in rows:
        table.add_row(*(Text(cell) for cell in (name, paper, row, f"{count:,}", published, data)))
    Console().print(table)


recipes = command(RecipesOptions, _recipes)
