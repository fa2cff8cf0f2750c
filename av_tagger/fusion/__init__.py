"""Weighing ear against eye: the named ways, and reading one from a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.fusion.file import build, method_of, read_fusion, write_fusion
from av_tagger.fusion.logit import LogitFusion
from av_tagger.fusion.weighing import (
    EarOnly,
    EyeOnly,
    MaxFusion,
    StackedFusion,
    Thresholds,
    Weighing,
    WeightedFusion,
)
from av_tagger.path_checks import exists
from av_tagger.weights import folders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "FUSIONS",
    "LOGIT",
    "EarOnly",
    "EyeOnly",
    "LogitFusion",
    "MaxFusion",
    "StackedFusion",
    "Thresholds",
    "Weighing",
    "WeightedFusion",
    "file_for_ear",
    "load_fusion",
    "method_of",
    "read_fusion",
    "write_fusion",
]


LOGIT = "fusion.logit.json"  # for any calibrated ear


def load_fusion(source: Path | str, labels: Sequence[str], strict: bool = False) -> Weighing:
    """Load a fusion by name or file for these classes; `.neutral` lists those it does not know."""
    if str(source) in FUSIONS:
        return FUSIONS[str(source)](tuple(labels))
    path = Path(source)
    if path.suffix.casefold() not in (".json", ".toml") and not exists(path):
        raise UsageError(
            f"there is no fusion {str(source)!r}; {did_you_mean(str(source), FUSIONS)}; "
            "or give a fusion file (.json, .toml)"
        )
    return read_fusion(path, labels, strict)


def file_for_ear(name: str) -> Path:
    """The fusion file of an ear (`yamnet+starter`, `efficientat.mn10`), else that of any ear."""
    parts = sorted(part.strip().partition(".")[0] for part in name.split("+"))
    try:
        return shipped(f"fusion.{'+'.join(parts)}.json")
    except UsageError:
        return shipped(LOGIT)


def shipped(name: str) -> Path:
    """Path of a shipped fusion file; the same name in $AV_TAGGER_WEIGHTS takes precedence."""
    found = [folder / name for folder in folders() if (folder / name).is_file()]
    if not found:
        raise UsageError(
            f"the fusion file {name} did not come with this installation; "
            "install again, or give one that `av-tag tune` made"
        )
    return found[0]


def _shipped(name: str, labels: tuple[str, ...]) -> Weighing:
    return read_fusion(shipped(name), labels)


def _plain(method: str, labels: tuple[str, ...]) -> Weighing:
    return build(method, labels, {})


FUSIONS: Mapping[str, Callable[[tuple[str, ...]], Weighing]] = {
    "paper": partial(_shipped, "fusion.paper.json"),  # AV §3.4
    "logit": partial(_shipped, LOGIT),
    "even": partial(_plain, "weighted"),
    "max": partial(_plain, "max"),
    "ear": partial(_plain, "ear"),
    "eye": partial(_plain, "eye"),
}
