"""The log of a run: JSON lines, a callback, and optionally TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from av_tagger.errors import missing_library
from av_tagger.learning.run import TrainingOptions, Watch
from av_tagger.learning.run_folder import RunFolder


class RunLog:
    """Writes one record per line; a resumed run first drops records after its saved state."""

    def __init__(
        self, folder: RunFolder, step: int, options: TrainingOptions, watch: Watch | None
    ) -> None:
        # TensorBoard first: it may be missing, and then nothing is changed.
        self._board = _tensorboard(folder, step) if options.tensorboard else None
        lines = folder.log.read_text(encoding="utf-8").splitlines() if folder.log.exists() else []
        kept = [line for line in lines if _step(line) <= step]
        folder.log.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._log = folder.log.open("a", encoding="utf-8")
        self._watch = watch or ignore

    def __call__(self, record: Mapping[str, Any]) -> None:
        print(json.dumps(record), file=self._log, flush=True)
        self._watch(record)
        if self._board is not None:
            for name, value in record.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def close(self) -> None:
        self._log.close()
        if self._board is not None:
            self._board.close()


def ignore(record: Mapping[str, Any]) -> None:
    """A callback that does nothing."""


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # an incomplete line


def _tensorboard(folder: RunFolder, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # an extra
    except ImportError as error:
        need = "--tensorboard needs"
        raise missing_library(need, "tensorboard", error, "tensorboard") from error
    return SummaryWriter(str(folder.path / "tensorboard"), purge_step=step)
