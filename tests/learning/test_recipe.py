from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.audio.network import build_network
from av_tagger.errors import UsageError
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.learner import architecture_of, make_loss, parameters
from av_tagger.learning.optimise import Optimiser, Schedule
from av_tagger.learning.recipe import Recipe, all_recipes, read_recipe, recipe_names


def test_crnn_av_has_the_settings_of_the_paper() -> None:
    recipe = read_recipe("crnn-av")
    assert recipe.optimiser == Optimiser(
        "sgd", lr=0.1, momentum=0.8, nesterov=True, clip=1e-3, clip_by="value"
    )
    assert recipe.schedule == Schedule("plateau", factor=0.8, patience=3)
    assert (recipe.batch, recipe.balance, recipe.keep.metric, recipe.keep.thresholds) == (
        95,
        "none",
        "micro_f1",
        "two-step",
    )
    assert not recipe.augment.changes_features
    architecture = architecture_of(recipe, 17)
    assert architecture.frontend is not None
    assert (
        architecture.frontend.rate,
        architecture.frontend.window,
        architecture.frontend.hop,
    ) == (20_000, 480, 100)
    assert (architecture.frontend.fft, architecture.frontend.mels, architecture.pooling) == (
        1024,
        60,
        "max",
    )
    network = build_network(architecture)
    assert network.extractor.rate == 10.0
    assert network.extractor.width == 200  # 100 units in each direction
    drops = [m.p for m in network.modules() if type(m).__name__ == "Dropout"]
    assert drops == [0.2] * len(drops)
    assert len(drops) == 5  # after each of four pools, and after the GRU


def test_every_recipe_can_be_built() -> None:
    recipes = all_recipes()
    assert {"crnn-av", "crnn-modern"} <= {r.name for r in recipes}
    for recipe in recipes:
        assert parameters(recipe) > 1_000, recipe.name
        targets = np.eye(recipe.about.classes, dtype=np.float32)
        bags = EmbeddingBags(
            np.zeros((len(targets), 1)),
            np.arange(len(targets) + 1),
            targets,
            tuple(map(str, range(len(targets)))),
        )
        assert callable(make_loss(recipe.loss, bags)), recipe.name


def test_parameters_are_counted_without_building() -> None:
    network = build_network(architecture_of(read_recipe("crnn-av"), 17))
    assert parameters(read_recipe("crnn-av")) == sum(p.numel() for p in network.parameters())


def test_settings_can_be_overridden_and_are_never_executed() -> None:
    words = [
        "optimiser.lr=0.05",
        "balance=batch",
        "architecture.extractor_settings.channels=[8, 8, 8, 8]",
        "seed = 7",
    ]
    changed = read_recipe("crnn-av", words)
    assert (changed.optimiser.lr, changed.balance, changed.seed) == (0.05, "batch", 7)
    assert changed.architecture["extractor_settings"]["channels"] == [8, 8, 8, 8]
    assert changed.optimiser.momentum == 0.8
    assert changed.fingerprint != read_recipe("crnn-av").fingerprint
    with pytest.raises(UsageError, match="balance"):
        read_recipe("crnn-av", ["balance=__import__('os').getcwd()"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimiser.momentun=1", "did you mean 'momentum'"),
        ("optimizer.lr=1", "did you mean 'optimiser'"),
        ("balance=balanced", "'balanced' is not a choice"),
        ("batch=many", "expected a whole number"),
        ("keep.metric=micro", "there is no metric 'micro'"),
        ("batch", "is not key=value"),
        ("batch.size=3", "is a value, not a table"),
        ("batch=0", "batch and crop_seconds are positive"),
        ("length.epochs=0", "epochs is at least 1"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(override: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_recipe("crnn-av", [override])


def test_an_unknown_recipe_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'crnn-av'"):
        read_recipe("crnn-avv")


def test_a_recipe_can_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("batch = 4\n[length]\niterations = 9\n")
    recipe = read_recipe(file)
    assert (recipe.name, recipe.batch, recipe.length.total_steps(100, 4)) == ("mine", 4, 9)
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        read_recipe("nowhere.toml")


def test_recipe_names_are_paths_without_suffix() -> None:
    assert all(name == name.strip("/") and not name.endswith(".toml") for name in recipe_names())


def test_length_is_in_epochs_or_iterations() -> None:
    recipe = Recipe("x")
    assert recipe.length.steps_per_epoch(950, 95) == 10
    assert recipe.length.steps_per_epoch(3, 95) == 1
    assert recipe.length.total_steps(950, 95) == 1000
