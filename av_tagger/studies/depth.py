"""Networks of ATT and PROB on synthetic bags, with and without batch norm: depths and widths of
ATT's Tables VI and VII, or all others.

Run: python -m av_tagger.studies.depth [--others] [--width 32] [--steps 300]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.learner import architecture_of, band_statistics, loss_of, make_loss
from av_tagger.learning.optimise import make_optimiser
from av_tagger.learning.recipe import Recipe, read_recipe, recipe_names
from av_tagger.metrics import class_average_precision, mean_of_defined
from av_tagger.settings import fingerprint, to_table

DEPTHS = (0, 1, 2, 3, 4, 6, 8, 10)
WIDTHS = (256, 512, 1024, 2048, 4096)
CLASSES, BANDS, INSTANCES = 10, 128, 10


@dataclass(frozen=True)
class Trial:
    """One network of a table, trained and tested on synthetic bags."""

    recipe: str
    batch_norm: bool
    hidden: int = 0  # units per layer; 0: those of the recipe
    steps: int = 300
    dropout: float | None = None  # None: that of the recipe
    batch: int = 100
    seed: int = 0

    def run(self) -> float:
        """Mean average precision on bags that were not learned from; chance is 1 / 10."""
        training, unseen = synthetic_bags(2000, self.seed), synthetic_bags(1000, self.seed + 1)
        torch.manual_seed(self.seed)
        recipe = adapted(read_recipe(self.recipe), self.batch_norm, self.hidden, self.dropout)
        network = build_network(architecture_of(recipe, CLASSES))
        network.normalise.set(*band_statistics(network, training, 500, self.seed))
        self._train(network, recipe, training)
        with torch.inference_mode():
            scores = network.eval()(_features(unseen.rows, len(unseen))).bags.numpy()
        return mean_of_defined(class_average_precision(scores, unseen.targets))

    def _train(self, network: MilNetwork, recipe: Recipe, training: EmbeddingBags) -> None:
        optimiser = make_optimiser(network.parameters(), recipe.optimiser)
        loss = make_loss(recipe.loss, training)
        features, targets = _features(training.rows, len(training)), training.targets
        draw = np.random.default_rng(self.seed)
        for _ in range(self.steps):
            chosen = torch.from_numpy(draw.integers(len(training), size=self.batch))
            value = loss_of(loss, network(features[chosen]), torch.from_numpy(targets)[chosen])
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()


def synthetic_bags(count: int, seed: int) -> EmbeddingBags:
    """Bags of one class: of 10 instances, 6 carry its pattern, mixed by a fixed random layer."""
    fixed, draw = np.random.default_rng(12), np.random.default_rng((seed, 13))
    patterns = fixed.standard_normal((CLASSES, 32)) * 2
    mixing = fixed.standard_normal((32, BANDS)) / 6
    answers = np.arange(count) % CLASSES
    positive = draw.random((count, INSTANCES)).argsort(axis=1) < 6
    hidden = draw.standard_normal((count, INSTANCES, 32))
    hidden += positive[..., None] * patterns[answers][:, None]
    rows = np.tanh(hidden @ mixing).astype(np.float32).reshape(-1, BANDS)
    first = np.arange(count + 1, dtype=np.int64) * INSTANCES
    targets = np.eye(CLASSES, dtype=np.float32)[answers]
    labels = tuple(f"class {k}" for k in range(CLASSES))
    return EmbeddingBags(rows, first, targets, labels)


def adapted(
    recipe: Recipe, batch_norm: bool, hidden: int = 0, dropout: float | None = None
) -> Recipe:
    """The recipe with or without batch norm, perhaps with narrower layers and other dropout."""
    table: dict[str, Any] = dict(recipe.architecture)
    extractor, pooling = dict(table["extractor_settings"]), dict(table.get("pooling_settings", {}))
    if not batch_norm:
        extractor.pop("batch_norm", None)
        pooling.pop("batch_norm", None)
        if table["pooling"] == "feature-level":
            pooling.update(rectify=True, dropout=0.0)
    for settings in (extractor, pooling):
        if dropout is not None and settings.get("dropout"):
            settings["dropout"] = dropout
        if hidden and "widths" in settings:
            settings["widths"] = [hidden] * len(settings["widths"])
    if hidden and table["pooling"] == "feature-level":
        pooling["width"] = hidden
    table |= {"extractor_settings": extractor, "pooling_settings": pooling}
    return replace(recipe, architecture=table)


def others() -> list[str]:
    """One recipe of each further network with batch norm: Tables I, IV and V, and PROB's."""
    found: dict[str, str] = {}
    for name in recipe_names():
        if not name.startswith(("att/", "prob/")) or "-depth-" in name or "-width-" in name:
            continue
        recipe = read_recipe(name)
        parts = (recipe.architecture, recipe.loss)
        if "batch_norm" in repr(parts) and name != depth_recipe(3):
            found.setdefault(fingerprint(to_table(recipe.loss), recipe.architecture), name)
    return list(found.values())


def names(hidden: int, most: int) -> list[str]:
    """The recipes of both tables; depths alone if all layers have `hidden` units."""
    depths = list(map(depth_recipe, DEPTHS)) if hidden or most >= 1024 else []
    widths = [] if hidden else [width_recipe(w) for w in WIDTHS if w <= most]
    return [*depths, *(name for name in widths if name not in depths)]


def rows(of: Sequence[str], settings: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Recipe, mAP with batch normalisation, mAP without."""
    for name in of:
        yield name, Trial(name, True, **settings).run(), Trial(name, False, **settings).run()


def depth_recipe(depth: int) -> str:
    return "att/feature-attention" + ("" if depth == 3 else f"-depth-{depth}")


def width_recipe(width: int) -> str:
    return "att/feature-attention" + ("" if width == 1024 else f"-width-{width}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=0, help="units per layer; 0: as the recipe")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--most", type=int, default=4096, help="leave out wider networks")
    parser.add_argument("--dropout", type=float, help="default: as the recipe")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--others", action="store_true", help="all but depths and widths")
    chosen = parser.parse_args(arguments)
    settings = {"hidden": chosen.width, "steps": chosen.steps, "batch": chosen.batch}
    print("| recipe | batch norm | without |\n|---|---|---|")
    of = others() if chosen.others else names(chosen.width, chosen.most)
    for name, with_norm, without in rows(of, settings | {"dropout": chosen.dropout}):
        print(f"| {name} | {with_norm:.3f} | {without:.3f} |", flush=True)


def _features(flat: NDArray[np.float32], bags: int) -> torch.Tensor:
    """(bags x instances, bands) to (bags, 1, instances, bands)."""
    return torch.from_numpy(flat).view(bags, 1, INSTANCES, BANDS)


if __name__ == "__main__":
    main()
