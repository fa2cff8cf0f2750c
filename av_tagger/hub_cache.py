"""Files that timm or another program has already put into the user's Hugging Face cache."""

from __future__ import annotations

import re
from pathlib import Path

ADDRESS = re.compile(r"https://huggingface\.co/([^/]+/[^/]+)/resolve/main/(.+)")


def find(address: str) -> Path | None:
    """The cached copy of a file of that hub, by its download address; nothing is downloaded."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        return None
    repository, filename = match.groups()
    try:
        from huggingface_hub.constants import HF_HUB_CACHE

        folder = Path(HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
        if not folder.is_dir():  # answered in 30 ms; the import below takes ten times as long
            return None
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(repository, filename)
    return Path(found) if isinstance(found, str) else None
