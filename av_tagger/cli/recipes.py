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
    """The name alone on its line, so that it can be copied; then what is known of it."""
    from av_tagger.cli.console import stdout_console
    from av_tagger.cli.styles import QUIET, STRONG

    console = stdout_console()
    for name, paper, row, count, published, data in rows:
        console.say(name, STRONG)
        source = f"{paper}, {row}" if row else paper
        results = f"published {published}" if published else "no published figure"
        text = f"{source}; {count:,} parameters; {results}; learns from {data}"
        console.say(f"    {text}", QUIET)
    console.say(f"{len(rows)} recipes; train one: av-tag train NAME --data DATA -o RUN")


recipes = command(RecipesOptions, _recipes)
