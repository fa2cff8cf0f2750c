"""Remarks that are said once a day: a marker file in the cache for each."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress

from av_tagger import cache

DAY_SECONDS = 24 * 3600.0


def is_due(text: str) -> bool:
    """Whether this remark was not said within the last day; from now on it was.

    True where the cache cannot be written.
    """
    marker = cache.folder("said") / hashlib.sha256(text.encode()).hexdigest()[:32]
    with suppress(OSError):
        if 0 <= time.time() - marker.stat().st_mtime < DAY_SECONDS:
            return False
    with suppress(OSError):
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return True
