"""The study of frame features at its smallest: one made film, random AlexNet weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from av_tagger.studies.frame_features import cost, main
from av_tagger.video.alexnet import ARCHITECTURES
from tests.assets import make_video


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    shapes = ARCHITECTURES["alexnet_grouped"].build().state_dict()
    state = {name: torch.randn(value.shape) * 0.05 for name, value in shapes.items()}
    save_file(state, tmp_path / "alexnet.safetensors")
    (tmp_path / "films").mkdir()
    make_video(tmp_path / "films" / "a.mp4", seconds=0.5)
    main(
        [
            str(tmp_path / "films"),
            "--alexnet",
            str(tmp_path / "alexnet.safetensors"),
            "--sides",
            "64",
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    names = [line[:36].strip() for line in lines[1:]]
    assert {"alexnet", "thumbnail", "evenly in time", "efficientnet_lite2 block 3 at 64"} <= set(
        names
    )
    by_name = {line[:36].strip(): float(line[36:].split()[0]) for line in lines[1:]}
    assert by_name["alexnet"] == 0
    assert all(excess >= -1e-3 for excess in by_name.values())


def test_the_cost_is_the_distance_to_the_nearest() -> None:
    D = np.array([[0, 2, 5], [2, 0, 1], [5, 1, 0]], dtype=np.float32)
    assert cost(D, np.array([0])) == 7
    assert cost(D, np.array([0, 2])) == 1
