"""One small run, to be started by one process or by two that share it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.optimise import Optimiser
from av_tagger.learning.recipe import Length, Recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train

EAR = {
    "features": {"channels": 1, "bands": 8, "rate": 1.0},
    "pooling": "mean",
    "extractor_settings": {
        "channels": [4],
        "pools": [[1, 2]],
        "units": 4,
        "dropout": 0.0,
        "batch_norm": False,
    },
}


def learn(run: Path) -> None:
    draw = np.random.default_rng(0)
    targets = np.eye(2, dtype=np.float32)[draw.integers(0, 2, 20)]
    bags = EmbeddingBags(
        draw.integers(0, 255, (100, 8)).astype(np.uint8),
        np.arange(21) * 5,
        targets,
        ("left", "right"),
    )
    length, optimiser = Length(epochs=2, epoch_steps=3), Optimiser(lr=0.05)
    recipe = Recipe(
        "shared", data="embeddings", architecture=EAR, batch=7, length=length, optimiser=optimiser
    )
    train(recipe, TrainingData(bags, bags), run, TrainingOptions(device="cpu", log_steps=1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    learn(Path(sys.argv[1]))
