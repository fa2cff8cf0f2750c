"""Settings of the ear that a user can give (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from av_tagger.precision import parse_precision
from av_tagger.settings import check_range

PRECISIONS = ("float32", "bfloat16")


ASSUMPTIONS = "pooling, smi, cmi or tmi:N, such as tmi:3"


def check_assumption(name: str) -> None:
    """How instances make a bag at inference (FUSE §2); N counts instances above a threshold."""
    kind, colon, count = name.partition(":")
    counted = bool(colon) and count.isdecimal() and len(count) < 7 and int(count) >= 1
    if counted if kind != "tmi" else not counted:
        raise ValueError(f"the bag assumption is {ASSUMPTIONS}: {name!r}")
    if kind not in ("pooling", "smi", "cmi", "tmi"):
        raise ValueError(f"the bag assumption is {ASSUMPTIONS}: {name!r}")


@dataclass(frozen=True)
class EarSettings:
    """How the ear computes; only `precision` changes scores by more than rounding."""

    precision: str = "float32"  # or bfloat16
    batch_seconds: float = 60.0  # sound per forward pass; bounds memory, more is hardly faster
    longest_seconds: float = 30.0  # longer waveforms are split into windows of this length
    overlap_seconds: float = 4.0  # between windows; half of it on each side is context only
    assumption: str = ""  # of a trained ear: pooling, smi, cmi, tmi:N; empty: as it was validated

    RENAMED: ClassVar[dict[str, str]] = {"dtype": "precision"}  # in settings files

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", parse_precision(self.precision, PRECISIONS))
        if self.assumption:
            check_assumption(self.assumption)
        check_range(self, 0.1, 36_000.0, "batch_seconds")
        check_range(self, 0.1, 3600.0, "longest_seconds")
        if not 0 <= self.overlap_seconds < self.longest_seconds:
            raise ValueError(
                "windows must be longer than their overlap: "
                f"{self.longest_seconds = }, {self.overlap_seconds = }"
            )
