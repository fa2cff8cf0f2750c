"""Write the table of floors in CONTRIBUTING.md from the import contract in pyproject.toml.

python docs/floors.py          rewrites the table
python docs/floors.py --check  exits with 1 when the table is out of date
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- floors: made by docs/floors.py -->", "<!-- floors end -->"


def layers() -> list[list[str]]:
    """The modules of each floor, highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    house = next(c for c in contracts if c["name"] == "Imports point down only")
    prefix = [f"{name}." for name in house.get("containers", [])]
    return [
        [_bare(name.strip(" ()"), prefix) for name in layer.replace(":", "|").split("|")]
        for layer in house["layers"]
    ]


def _bare(name: str, prefixes: list[str]) -> str:
    for prefix in [*prefixes, "av_tagger."]:
        name = name.removeprefix(prefix)
    return name


def summary(name: str) -> str:
    """The first line of a module's docstring."""
    base = ROOT / "av_tagger" / name.replace(".", "/")
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n", 1)[0]


def table() -> str:
    floors = layers()
    rows = [
        f"| {len(floors) - 1 - depth} | `{name}` | {summary(name)} |"
        for depth, names in enumerate(floors)
        for name in names
    ]
    return "\n".join(["| floor | module | what belongs there |", "|---|---|---|", *rows])


def updated(text: str) -> str:
    """CONTRIBUTING.md with a fresh table between the two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> int:
    path = ROOT / "CONTRIBUTING.md"
    text = path.read_text(encoding="utf-8")
    fresh = updated(text)
    if "--check" in sys.argv:
        return int(fresh != text)
    path.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
