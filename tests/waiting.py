"""Waiting for what another thread or process does, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT = 60.0  # seconds; what takes longer never happens


def until(true: Callable[[], object], what: str = "", limit: float = LIMIT) -> None:
    """Return once `true()` is; an AssertionError after the limit."""
    deadline = time.monotonic() + limit
    while not true():
        assert time.monotonic() < deadline, f"not within {limit:g} s: {what}"
        time.sleep(0.005)
