"""What a run says while it runs: JSON lines, the caller's own eye on them, and TensorBoard where it is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from av_tagger.errors import MissingExtra
from av_tagger.learning.run import Options, Watch
from av_tagger.learning.runfolder import RunFolder


class Records:
    """One record a line; a resumed run first takes back what lies beyond its state."""

    def __init__(self, folder: RunFolder, step: int, options: Options, watch: Watch | None) -> None:
        self._board = (
            _tensorboard(folder.path, step) if options.tensorboard else None
        )  # first: it can fail
        lines = folder.log.read_text(encoding="utf-8").splitlines() if folder.log.exists() else []
        kept = [line for line in lines if _step(line) <= step]
        folder.log.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._log = folder.log.open("a", encoding="utf-8")
        self._watch = watch or nobody

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


def read_log(run: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in RunFolder(run).log.read_text(encoding="utf-8").splitlines()
    ]


def nobody(record: Mapping[str, Any]) -> None:
    """Watches nothing."""


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line that was cut short by the kill


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # an extra
    except ImportError as error:
        remedy = "pip install 'av-tagger[tensorboard]', or leave out --tensorboard"
        raise MissingExtra(f"TensorBoard cannot be loaded ({error}); {remedy}") from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step)
