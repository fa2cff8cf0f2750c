from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from av_tagger.errors import DeviceError, UsageError
from av_tagger.learning.world import joined, precision

SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from av_tagger.learning.bags import EmbeddingBags
from av_tagger.learning.recipe import Recipe
from av_tagger.learning.optimise import Optimiser
from av_tagger.learning.recipe import Length
from av_tagger.learning.run import Data, Options
from av_tagger.learning.train import train
torch.set_num_threads(1)
draw = np.random.default_rng(0)
targets = np.eye(2, dtype=np.float32)[draw.integers(0, 2, 20)]
bags = EmbeddingBags(draw.integers(0, 255, (100, 8)).astype(np.uint8), np.arange(21) * 5, targets, ("left", "right"))
ear = {"features": {"channels": 1, "bands": 8, "rate": 1.0}, "pooling": "mean",
       "extractor_settings": {"channels": [4], "pools": [[1, 2]], "units": 4, "dropout": 0.0, "batch_norm": False}}
recipe = Recipe("shared", data="embeddings", architecture=ear, batch=7, length=Length(epochs=2, epoch_steps=3), optimiser=Optimiser(lr=0.05))
train(recipe, Data(bags, bags), Path(sys.argv[1]), Options(device="cpu", log_steps=1))
"""


def start(run: Path, rank: int, size: int, port: int) -> subprocess.Popen[bytes]:
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    environment = {**os.environ, **where, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(run)], env=environment)


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """Seven bags between two processes, four and three: the gradient is that of all seven."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [start(tmp_path / "one", 0, 1, 0), *(start(tmp_path / "two", rank, 2, port) for rank in (0, 1))]
    assert [process.wait(200) for process in processes] == [0, 0, 0]
    one, two = (torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("one", "two"))
    assert one["progress"]["step"] == two["progress"]["step"] == 6
    for name, value in one["learner"]["network"].items():
        torch.testing.assert_close(two["learner"]["network"][name], value, rtol=1e-4, atol=1e-6)
    assert one["progress"]["judged"]["loss"] == pytest.approx(two["progress"]["judged"]["loss"], rel=1e-4)


def test_one_process_needs_no_fellows() -> None:
    with joined("cpu", "auto") as world:
        assert (world.size, world.leads, world.dtype, world.gather("me")) == (1, True, torch.float32, ["me"])


def test_wrong_places_are_one_sentence() -> None:
    with pytest.raises(DeviceError, match="there is no device"), joined("gpu", "auto"):
        pass
    with pytest.raises(UsageError, match="did you mean 'bfloat16'"):
        precision("bfloat")
    assert precision("float16") == "float16"
