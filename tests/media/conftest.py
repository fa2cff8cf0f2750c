"""Makes the maker of media files importable by name, from wherever the tests are run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "tests_assets", Path(__file__).resolve().parents[1] / "assets.py"
)
assert _spec is not None
assert _spec.loader is not None
if "tests_assets" not in sys.modules:
    sys.modules["tests_assets"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["tests_assets"])
