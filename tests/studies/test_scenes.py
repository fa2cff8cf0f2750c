"""Synthetic scenes as files, and the paper's own recipe trained on them without any change."""

from __future__ import annotations

import csv
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from av_tagger.dcase.tables import read_strong, read_weak
from av_tagger.learning.data.manifests import classes_in
from av_tagger.learning.prepare import Sources, read_data
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from av_tagger.studies.scenes import FIVE, main, write_scenes


def test_the_same_arguments_write_the_same_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_scenes(tmp_path / "a", 11, 0.5)
    main([str(tmp_path / "b"), "--clips", "11", "--seconds", "0.5"])
    assert capsys.readouterr().out.strip() == str(tmp_path / "b" / "manifest.csv")
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    rows = list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()))
    assert [row["labels"] for row in rows].count("") == 1  # the tenth
    assert {name for row in rows for name in row["labels"].split("|") if name} <= set(FIVE)
    with wave.open(str(tmp_path / "a" / rows[0]["file"])) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (20_000, 10_000)


def test_the_ground_truth_has_the_labels_of_the_manifest(tmp_path: Path) -> None:
    manifest = write_scenes(tmp_path, 20, 1.0)
    rows = csv.DictReader(manifest.read_text(encoding="utf-8").splitlines())
    labels = {Path(row["file"]).stem: set(filter(None, row["labels"].split("|"))) for row in rows}
    weak = read_weak(tmp_path / "groundtruth.csv")
    assert {key: set(found) for key, found in weak.items()} == labels
    for events in read_strong(tmp_path / "groundtruth.csv").values():
        assert all(0 <= event.start < event.end <= 1.0 for event in events)


class Reached(Exception):
    """Raised to end a training that has got where it should."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_crnn_av_learns_five_classes_without_any_change(tmp_path: Path) -> None:
    """Nothing is set by hand; about four minutes on two free cores (29 of at most 60 epochs)."""
    torch.manual_seed(0)
    parts = [
        write_scenes(tmp_path / f"{n}", n, 2.0, FIVE, seed) for seed, n in ((0, 380), (1, 100))
    ]
    recipe = read_recipe("crnn-av")
    sources = Sources((parts[0],), (parts[1],), store=tmp_path / "store")
    data = read_data(sources, classes_in(parts), recipe)
    found = []

    def watch(record: Mapping[str, Any]) -> None:
        if record["kind"] == "epoch":
            found.append(record["micro_f1"])
            if found[-1] >= 0.8:
                raise Reached

    with pytest.raises(Reached):
        train(recipe, data, tmp_path / "run", TrainingOptions(device="cpu"), watch)
    assert np.argmax(found) == len(found) - 1
