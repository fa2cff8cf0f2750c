"""Two small runs on a store of embeddings, for tests of the analysis."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.embedding_store import Packer, open_store
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train

LABELS = ("bird", "horn", "rain")
CLASSES = ClassList(tuple(SoundClass(name) for name in LABELS))
SMALL = [
    "architecture.features.bands=8",
    "architecture.extractor_settings.widths=[12]",
    "batch=16",
    "optimiser.lr=0.02",
    "length.iterations=40",
    "length.epoch_steps=20",
]


def write_runs(root: Path) -> Path:
    """A store of 48 clips with one to four positive instances of six, and two runs on it."""
    draw = np.random.default_rng(0)
    with Packer(root / "store", LABELS) as packer:
        for i in range(48):
            rows = draw.normal(0, 1, (6, 8)).astype(np.float32)
            rows[: 1 + i % 4, i % 3] += 4
            packer.add(f"clip {i}", rows, [i % 3])
    bags = stored_bags(root)
    for name, changes in (("vanilla", []), ("pnl", ["loss.instance=pnl"])):
        recipe = read_recipe("prob/max", [*SMALL, *changes])
        train(recipe, TrainingData(bags, bags), root / name, TrainingOptions(device="cpu"))
    return root


def stored_bags(root: Path) -> EmbeddingBags:
    return open_store(root / "store").bags(CLASSES)
