"""Names of number formats: one vocabulary for settings, flags and output."""

from __future__ import annotations

from collections.abc import Sequence

from av_tagger.errors import UsageError, did_you_mean

SHORT = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def parse_precision(name: str, allowed: Sequence[str]) -> str:
    """The full name (`float32`, `bfloat16`, `float16`, `int8`) of a full or short one."""
    full = SHORT.get(name, name)
    if full not in allowed:
        raise UsageError(f"there is no precision {name!r}; {did_you_mean(full, allowed)}")
    return full
