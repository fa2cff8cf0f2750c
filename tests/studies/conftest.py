"""Made sounds with a manifest, and a published ear in small."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.studies.sound_manifest import LABELS
from av_tagger.studies.starter_data import write_wav
from tests.learning.published import write_published

RATE = 32_000  # of write_wav
COLUMNS = ("file", "labels", "ambiguous", "licence", "recording")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are faster in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_sounds(folder: Path, rows: list[tuple[str, str, str, str, str]]) -> Path:
    """A manifest and half a second of noise per row; the noise is louder from row to row."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (file, *_) in enumerate(rows):
        noise = np.random.default_rng(i).standard_normal(RATE // 2).astype(np.float32)
        write_wav(folder / file, noise * np.float32(0.02 * (1 + i % 10)))
    path = folder / "sounds.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([COLUMNS, *rows])
    return path


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each class three times, and clips with no class, an uncertain class or an unclear licence."""
    rows = [
        (f"{k}-{i}.wav", label, "", "CC0", f"recording {k} {i}")
        for k, label in enumerate(LABELS)
        for i in range(3)
    ]
    rows += [(f"none-{i}.wav", "", "", "CC BY", f"none {i}") for i in range(9)]
    rows += [("vague.wav", "", "ENGINE_ANY", "CC0", "vague")]
    rows += [("unclear.wav", "Train", "", "unclear: for measurement only", "unclear")]
    return write_sounds(tmp_path_factory.mktemp("sounds"), rows)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("weights") / "tiny.pt")
