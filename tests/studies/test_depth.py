"""Every depth of ATT's Table VI learns at a small width; without batch norm deep ones do not."""

from __future__ import annotations

import pytest

from av_tagger.learning.recipe import read_recipe
from av_tagger.studies.depth import (
    CLASSES,
    DEPTHS,
    WIDTHS,
    Trial,
    adapted,
    depth_recipe,
    main,
    others,
    width_recipe,
)


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_depth_learns_at_a_small_width(depth: int) -> None:
    """Dropout of 0.5 would leave a layer of 32 too little to pass on through ten layers."""
    assert Trial(depth_recipe(depth), True, 32, 120, 0.05).run() > 0.9


def test_without_batch_norm_ten_layers_learn_nothing() -> None:
    assert Trial(depth_recipe(10), False, 32, 120, 0.05).run() < 2 / CLASSES


@pytest.mark.parametrize("name", others())
def test_every_other_network_of_att_and_prob_learns(name: str) -> None:
    """Chance is 0.1; the decisions of several levels, joined by one more layer, come slowest."""
    assert Trial(name, True, 32, 120, 0.05).run() > 0.8


def test_the_others_are_the_networks_of_the_other_tables() -> None:
    """ATT Tables I (7), IV (7 without those of Table I and VI) and V (4), PROB's Tables 2 and 3."""
    found = others()
    assert sorted(found) == sorted(set(found))
    att = {name for name in found if name.startswith("att/")}
    assert {"att/segment-based", "att/jdc", "att/feature-attention-nin"} <= att
    assert len(att) == 17
    assert set(found) - att == {
        "prob/average",
        "prob/max",
        "prob/relu",
        "prob/sigmoid",
        "prob/softmax",
    }


def test_recipes_of_the_tables_differ_in_depth_and_width_alone() -> None:
    for depth in DEPTHS:
        widths = read_recipe(depth_recipe(depth)).architecture["extractor_settings"]["widths"]
        assert len(widths) == depth
        assert set(widths) <= {1024}
    for width in WIDTHS:
        recipe = read_recipe(width_recipe(width))
        assert set(recipe.architecture["extractor_settings"]["widths"]) == {width}
        assert recipe.architecture["pooling_settings"]["batch_norm"]


def test_the_other_reading_has_neither_norm_nor_dropout_after_pooling() -> None:
    architecture = adapted(read_recipe(depth_recipe(3)), batch_norm=False).architecture
    assert "batch_norm" not in architecture["extractor_settings"]
    assert "batch_norm" not in architecture["pooling_settings"]
    assert architecture["pooling_settings"]["rectify"]


def test_the_command_prints_a_row_per_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--width", "4", "--steps", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(DEPTHS)  # at one width the widths do not differ
    main(["--most", "256", "--steps", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["att/feature-attention-width-256"]
