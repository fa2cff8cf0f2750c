"""What a plain install can import: the main dependencies of the package, without its extras."""

from __future__ import annotations

import re
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

from tests import ROOT

ALWAYS = {"av_tagger", "av-tagger", "pip", "setuptools"}

BLOCKER = '''"""Imported by Python at start: hides packages that a plain install does not have."""
import sys
from importlib.machinery import PathFinder

HIDDEN = {hidden!r}


class Plain(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in HIDDEN
        return None if hidden else super().find_spec(name, path, target)


sys.meta_path[:] = [Plain if finder is PathFinder else finder for finder in sys.meta_path]
'''


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main_dependencies() -> set[str]:
    """The distributions of a plain install, dependencies of dependencies included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: set[str] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    while waiting:
        requirement = waiting.pop()
        name, marker = normal(requirement.name), requirement.marker
        if name in found or not (marker is None or marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        with suppress(PackageNotFoundError):
            waiting += [Requirement(line) for line in requires(name) or ()]
    return found


def hidden_modules() -> set[str]:
    """Installed top-level modules that belong to no distribution of a plain install."""
    allowed = main_dependencies() | {normal(name) for name in ALWAYS}
    return {
        module
        for module, distributions in packages_distributions().items()
        if not module.startswith("_")
        and module not in sys.stdlib_module_names  # old backports are on the index
        and not allowed & set(map(normal, distributions))
    }


def write_blocker(folder: Path) -> Path:
    """A folder for PYTHONPATH in which all Python processes see a plain install only."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKER.format(hidden=sorted(hidden_modules())))
    return folder
