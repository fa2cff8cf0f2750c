"""Whether there is a file or folder of a name, also for texts that no file can be called."""

from __future__ import annotations

import os
from pathlib import Path


def exists(path: Path | str) -> bool:
    """Before Python 3.12, pathlib raises OSError for names that are too long."""
    return os.path.exists(path)  # noqa: PTH110 - False for whatever is no name


def is_file(path: Path | str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - as above


def is_dir(path: Path | str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - as above
