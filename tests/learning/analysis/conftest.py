"""The runs that all tests of the analysis read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.learning.analysis.runs import write_runs


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("analysis"))
