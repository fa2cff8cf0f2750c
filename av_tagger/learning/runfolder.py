"""The folder of a run: log, state to resume from, weights, and the scores of the best epoch, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.errors import StorageError, UsageError
from av_tagger.learning.data.bags import Bags

BEST = "best.safetensors"  # the name under which the ear looks for a run's weights
STATE_VERSION = 1


class RunFolder:
    """Where the files of one run lie."""

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
        """A folder of its own for every run; an earlier run is never overwritten."""
        if self.log.exists() and not resume:
            raise UsageError(
                f"{self.path}: holds a run already; go on with it by --resume, or name another folder"
            )
        try:
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.path}: the run's folder cannot be made ({error.strerror}); choose another"
            ) from error

    def save_state(self, state: Mapping[str, Any]) -> None:
        _replace(self.state, lambda part: torch.save({"version": STATE_VERSION, **state}, part))

    def load_state(self, identity: Mapping[str, str]) -> dict[str, Any] | None:
        """The state of the same recipe on the same data, or nothing if none was saved yet."""
        if not self.state.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever unpickling raises, the file is damaged
            raise StorageError(
                f"{self.state}: cannot be read ({error}); start the run anew in another folder"
            ) from error
        for what, value in identity.items():
            if state["identity"].get(what) != value:
                raise UsageError(
                    f"{self.path}: was begun with another {what}; resume with the same, or name another folder"
                )
        return state

    def save_scores(self, scores: NDArray[np.float32], bags: Bags) -> None:
        def write(part: Path) -> None:
            with part.open("wb") as out:
                np.savez_compressed(
                    out, scores=scores, targets=bags.targets, labels=np.array(bags.labels)
                )

        _replace(self.validation, write)

    def write_text(self, name: str, text: str) -> None:
        _replace(self.path / name, lambda part: part.write_text(text, encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        part.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); free some space"
        ) from error
    finally:
        part.unlink(missing_ok=True)
