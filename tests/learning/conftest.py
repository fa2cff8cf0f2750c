"""Small training data: five tones at 4 kHz, and an ear that learns them within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.bags import WaveformBags, waveform_bags
from av_tagger.learning.data.examples import Example, ExampleSet
from av_tagger.learning.data.store import StoreSettings, build_store
from av_tagger.learning.recipe import Recipe, read_recipe
from tests.learning.tones import RATE, TONES, sing

TINY_EAR = [
    "architecture.frontend.rate=4000",
    "architecture.frontend.window=128",
    "architecture.frontend.hop=40",
    "architecture.frontend.fft=128",
    "architecture.frontend.mels=16",
    "architecture.margin=1",
    "architecture.extractor_settings.channels=[8, 16]",
    "architecture.extractor_settings.pools=[[5, 4], [2, 4]]",
    "architecture.extractor_settings.units=8",
    "crop_seconds=1.0",
    "batch=8",
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are faster in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def classes() -> ClassList:
    return ClassList(tuple(SoundClass(name) for name in TONES))


@pytest.fixture
def make_bags(tmp_path: Path, classes: ClassList) -> Callable[..., WaveformBags]:
    """Bags of tones in a real store, one per tuple of labels."""

    def make(labels: Sequence[Sequence[str]], seed: int = 0, seconds: float = 1.0) -> WaveformBags:
        examples = tuple(
            Example(Clip(tmp_path / f"tone-{seed}-{i}.wav"), tuple(names))
            for i, names in enumerate(labels)
        )
        waves = {
            e.clip.path: sing(e.labels, 1000 * seed + i, seconds) for i, e in enumerate(examples)
        }

        def decode(clip: Clip, rate: int, longest: float) -> NDArray[np.int16]:
            return np.rint(np.clip(waves[clip.path], -1, 1) * 32_767).astype(np.int16)

        store = build_store(
            [e.clip for e in examples],
            tmp_path / f"store-{seed}",
            StoreSettings(rate=RATE),
            decode=decode,
        )
        return waveform_bags(ExampleSet(classes, examples), store, 1.0)

    return make


@pytest.fixture
def tunes() -> Callable[[int, int], list[tuple[str, ...]]]:
    """Random sets of up to two labels."""

    def draw(count: int, seed: int) -> list[tuple[str, ...]]:
        dice = np.random.default_rng(seed)
        return [
            tuple(map(str, dice.choice(list(TONES), dice.integers(0, 3), replace=False)))
            for _ in range(count)
        ]

    return draw


@pytest.fixture
def tiny() -> Callable[..., Recipe]:
    """A recipe of the package with a few thousand parameters."""

    def tiny(name: str, *overrides: str) -> Recipe:
        return read_recipe(name, [*TINY_EAR, *overrides])

    return tiny
