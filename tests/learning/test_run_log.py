"""The log of a run: JSON lines, resumed at a step, and a callback."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from av_tagger.errors import MissingExtra
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.run_folder import RunFolder
from av_tagger.learning.run_log import RunLog


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path / "run")
    found.open(resume=False)
    return found


def records(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.log.read_text().splitlines()]


def test_every_record_is_a_line_and_goes_to_the_callback(folder: RunFolder) -> None:
    seen: list[Mapping[str, Any]] = []
    log = RunLog(folder, 0, TrainingOptions(), seen.append)
    for step in (1, 2):
        log({"kind": "step", "step": step, "loss": 0.5})
    log.close()
    assert records(folder) == [dict(r) for r in seen]
    assert [r["step"] for r in seen] == [1, 2]


def test_a_resumed_log_drops_records_after_the_saved_step(folder: RunFolder) -> None:
    lines = [json.dumps({"kind": "step", "step": n}) for n in (1, 5, 6)]
    folder.log.write_text("\n".join([*lines, '{"kind": "step", "st']))  # the last is incomplete
    log = RunLog(folder, 5, TrainingOptions(), None)
    log({"kind": "step", "step": 6})
    log.close()
    assert [r["step"] for r in records(folder)] == [1, 5, 6]


class Board:
    """A TensorBoard writer that keeps its scalars."""

    def __init__(self, folder: str, purge_step: int) -> None:
        self.place, self.scalars, self.closed = (folder, purge_step), [], False
        BOARDS.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def close(self) -> None:
        self.closed = True


BOARDS: list[Any] = []


def test_numbers_go_to_tensorboard(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Board  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    log = RunLog(folder, 3, TrainingOptions(tensorboard=True), None)
    log({"kind": "epoch", "step": 4, "best": True, "loss": 0.25, "map": 0.5})
    log.close()
    (board,) = BOARDS
    assert board.place == (str(folder.path / "tensorboard"), 3)
    assert board.scalars == [("epoch/loss", 0.25, 4), ("epoch/map", 0.5, 4)]
    assert board.closed


def test_without_tensorboard_nothing_is_changed(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.log.write_text('{"step": 9}\n')
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match="--tensorboard needs tensorboard"):
        RunLog(folder, 0, TrainingOptions(tensorboard=True), None)
    assert records(folder) == [{"step": 9}]
