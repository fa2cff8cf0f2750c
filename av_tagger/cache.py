"""The cache folder: the only place that knows where it is."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NAME, OLD_NAME = "av-tagger", "av_tagger"  # early versions used both spellings


def root() -> Path:
    """`$AV_TAGGER_CACHE`, or the user's cache folder of this platform."""
    chosen = os.environ.get("AV_TAGGER_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path(NAME, appauthor=False)


def folder(part: str) -> Path:
    """The folder of one kind of files, such as `weights`; the old spelling if only that exists."""
    ours = root() / part
    old = platformdirs.user_cache_path(OLD_NAME, appauthor=False) / part
    use_old = not os.environ.get("AV_TAGGER_CACHE") and not ours.is_dir() and old.is_dir()
    return old if use_old else ours
