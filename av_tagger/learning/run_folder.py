"""The folder of a run: log, state, weights and validation scores, each written atomically."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError
from av_tagger.learning.data.bags import Bags

BEST = "best.safetensors"  # the name by which an ear is loaded from a run's folder
STATE_VERSION = 1


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best = path / BEST
        self.state = path / "state.pt"
        self.log = path / "log.jsonl"
        self.card = path / "card.json"
        self.validation = path / "validation.npz"

    def checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:07d}.safetensors"

    def open(self, *, resume: bool) -> None:
        """Make the folder; an earlier run is never overwritten."""
        if self.log.exists() and not resume:
            raise UsageError(
                f"{self.path}: already holds a run; continue it with --resume, or give another"
                " folder"
            )
        try:
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"the folder cannot be made ({error.strerror})"
            raise StorageError(f"{self.path}: {reason}; choose another") from error

    def save_state(self, state: Mapping[str, Any]) -> None:
        _replace(self.state, lambda part: torch.save({"version": STATE_VERSION, **state}, part))

    def load_state(self, identity: Mapping[str, str]) -> dict[str, Any] | None:
        """The saved state, if there is one; an error if it is of another recipe or other data."""
        if not self.state.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # unpickling a damaged file can raise anything
            remedy = "start again in another folder"
            raise StorageError(f"{self.state}: cannot be read ({error}); {remedy}") from error
        for what, value in identity.items():
            if state["identity"].get(what) != value:
                raise UsageError(
                    f"{self.path}: cannot be resumed, the {what} of this run changed;"
                    " use the same, or give another folder"
                )
        return state

    def save_scores(self, scores: NDArray[np.float32], bags: Bags) -> None:
        labels = np.array(bags.labels)

        def write(part: Path) -> None:
            with part.open("wb") as out:
                np.savez_compressed(out, scores=scores, targets=bags.targets, labels=labels)

        _replace(self.validation, write)

    def write_text(self, name: str, text: str) -> None:
        _replace(self.path / name, lambda part: part.write_text(text, encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        part.replace(path)
    except OSError as error:
        reason = f"cannot be written ({error.strerror})"
        raise StorageError(f"{path}: {reason}; free some space") from error
    finally:
        part.unlink(missing_ok=True)
