"""The tones that recipes are compared on: labels, loudness, frequencies; one repeatable step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from av_tagger.bench.training import (
    CASES,
    RATE,
    SECONDS,
    SMALL,
    TONES,
    _random_labels,
    _sound,
    _Step,
    _tones,
)
from av_tagger.learning.recipe import read_recipe


def test_labels_are_none_to_three_tones() -> None:
    found = _random_labels(200, 1)
    assert {len(labels) for labels in found} == {0, 1, 2, 3}
    assert all(len(set(labels)) == len(labels) for labels in found)
    assert {int(name) for labels in found for name in labels} == set(TONES)
    assert found == _random_labels(200, 1) != _random_labels(200, 2)


def test_a_clip_holds_its_tones_and_no_others() -> None:
    wave = _sound(("500", "2100"), np.random.default_rng(0))
    assert len(wave) == RATE * SECONDS
    power = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE)

    def near(tone: int) -> float:
        return float(power[np.abs(hz / tone - 1) < 0.1].sum() / power.sum())

    assert near(500) > 0.1
    assert near(2100) > 0.1
    assert max(near(300), near(800), near(1300)) < 0.1


def test_bags_carry_targets_and_sound(tmp_path: Path) -> None:
    bags = _tones([("300",), (), ("300", "1300")], 0, tmp_path)
    assert bags.labels == tuple(map(str, TONES))
    assert bags.targets.tolist() == [[1, 0, 0, 0, 0], [0] * 5, [1, 0, 0, 1, 0]]
    waves, lengths = bags.fetch(np.arange(3), None)
    assert lengths.tolist() == [RATE * SECONDS] * 3
    assert waves.std() > 0


def test_all_recipes_of_the_comparison_can_be_read() -> None:
    for name, _, changes in CASES:
        assert read_recipe(name, [*SMALL, *changes]).batch == 16


def test_a_step_changes_the_network() -> None:
    torch.manual_seed(0)
    step = _Step(1, torch.float32, "cpu")
    before = [p.detach().clone() for p in step.network.parameters()]
    step()
    after = list(step.network.parameters())
    assert sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) > len(after) / 2
    assert all(torch.isfinite(p).all() for p in after)
