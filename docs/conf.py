"""Sphinx settings. Build: `sphinx-build -W -b html docs docs/_build/html`."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

project = "av_tagger"
author = "The av_tagger founders"
project_copyright = "Apache-2.0"
release = version = installed_version("av-tagger")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_recipes.md", "gallery"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = "av_tagger"

sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r".*",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1_000,
    "download_all_examples": False,
}
# Links of README-like files that are included into pages point into the repository.
suppress_warnings = ["myst.xref_missing", "config.cache"]

HERE = Path(__file__).parent
CARDS = HERE.parent / "weights"


def write_generated_pages() -> None:
    """Model cards from weights/, and the table of recipes from the package."""
    models = HERE / "models"
    models.mkdir(exist_ok=True)
    names = sorted(card.stem for card in CARDS.glob("*.md"))
    for name in names:
        page = f"```{{include}} ../../weights/{name}.md\n```\n"
        (models / f"{name}.md").write_text(page, encoding="utf-8")
    listed = "\n".join(["# Model cards", "", "::::{toctree}", *names, "::::", ""])
    (models / "index.md").write_text(listed, encoding="utf-8")
    (HERE / "_recipes.md").write_text(_recipes(), encoding="utf-8")


def _recipes() -> str:
    from av_tagger.learning.learner import parameters
    from av_tagger.learning.recipe import all_recipes

    lines = ["| name | paper | row | parameters | published |", "|---|---|---|---|---|"]
    lines += [
        f"| `{r.name}` | {r.about.paper} | {r.about.row} | {parameters(r):,} "
        f"| {r.about.published} |"
        for r in all_recipes()
    ]
    return "\n".join(lines) + "\n"


def setup(app: Sphinx) -> None:
    app.connect("config-inited", lambda *_: write_generated_pages())
