"""Why a clip of a run cannot be tagged: the error that costs it, as kind and message."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from av_tagger.clip import Media
from av_tagger.errors import AvTaggerError


@dataclass(frozen=True)
class ClipProblem:
    """Why a clip cannot be tagged."""

    kind: str
    message: str
    defect: BaseException | None = None  # a bug of this program; many in a row end the run
    traceback: str = ""


def problem_of(media: Media, error: Exception) -> ClipProblem:
    """From an error of the networks, for the one clip that they were scoring."""
    path = media.clip.path
    if isinstance(error, AvTaggerError):
        return ClipProblem(error.kind, str(error))
    if is_out_of_memory(error):
        reason = "the networks ran out of memory"
        remedy = "use shorter windows, or a device with more memory"
        return ClipProblem("memory", f"{path}: {reason}; {remedy}")
    reason = f"{type(error).__name__}: {error}"
    message = f"{path}: {reason}; this is a bug: please report it"
    return ClipProblem("defect", message, error, "".join(traceback.format_exception(error)))


def is_out_of_memory(error: Exception) -> bool:
    """By name: torch, which has the error of a GPU, may not be loaded."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
