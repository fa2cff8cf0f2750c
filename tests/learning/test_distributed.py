from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from av_tagger.errors import DeviceError, UsageError
from av_tagger.learning.distributed import joined
from tests import ROOT
from tests.learning.shared_run import learn
from tests.ports import own_port


def start(run: Path, rank: int, port: int) -> subprocess.Popen[bytes]:
    """As torchrun would."""
    where = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_RANK": str(rank),
    }
    environment = {**os.environ, **where, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.learning.shared_run", str(run)], env=environment
    )


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    """Seven bags between two processes, four and three: the gradient is that of all seven."""
    port = own_port()
    processes = [start(tmp_path / "two", rank, port) for rank in (0, 1)]
    learn(tmp_path / "one")
    assert [process.wait(400) for process in processes] == [0, 0]
    one, two = (
        torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("one", "two")
    )
    assert one["progress"]["step"] == two["progress"]["step"] == 6
    for name, value in one["learner"]["network"].items():
        torch.testing.assert_close(two["learner"]["network"][name], value, rtol=1e-4, atol=1e-6)
    assert one["progress"]["validation"]["loss"] == pytest.approx(
        two["progress"]["validation"]["loss"], rel=1e-4
    )


def test_one_process_forms_a_group_of_one() -> None:
    with joined("cpu", "auto") as group:
        assert (group.size, group.leads, group.dtype, group.gather("me")) == (
            1,
            True,
            torch.float32,
            ["me"],
        )


def test_unknown_devices_and_precisions_are_errors() -> None:
    with pytest.raises(DeviceError, match="there is no device"), joined("gpu", "auto"):
        pass
    with pytest.raises(UsageError, match="did you mean 'bfloat16'"), joined("cpu", "bfloat"):
        pass
    with pytest.raises(UsageError, match="float16 training needs a CUDA device"):
        joined("cpu", "fp16").__enter__()
    with joined("cpu", "bf16") as group:
        assert group.dtype == torch.bfloat16
