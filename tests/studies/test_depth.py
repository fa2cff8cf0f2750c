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
    width_recipe,
)


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_depth_learns_at_a_small_width(depth: int) -> None:
    """Dropout of 0.5 would leave a layer of 32 too little to pass on through ten layers."""
    assert Trial(depth_recipe(depth), True, 32, 120, 0.05).run() > 0.9


def test_without_batch_norm_ten_layers_learn_nothing() -> None:
    assert Trial(depth_recipe(10), False, 32, 120, 0.05).run() < 2 / CLASSES


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
    assert not architecture["pooling_settings"]["batch_norm"]
    assert architecture["pooling_settings"]["rectify"]


def test_the_command_prints_a_row_per_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--width", "4", "--steps", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(DEPTHS)  # at one width the widths do not differ
    main(["--most", "256", "--steps", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["att/feature-attention-width-256"]
