"""The table of objects and sounds is built, and pictures are assigned to classes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from av_tagger.studies import words
from av_tagger.video.imagenet import synsets

NETWORK = "mobilenetv3_small_050"
WORDS = ("ambulance", "car", "bus", "train", "siren", "horn", "bicycle", "truck", "fire", "engine")


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Word vectors of a few words, in the text format of GloVe."""
    draw = np.random.default_rng(0)
    rows = [f"{word} {' '.join(f'{x:.3f}' for x in draw.normal(size=8))}" for word in WORDS]
    (tmp_path / "vectors.txt").write_text("\n".join(rows))
    return tmp_path / "vectors.txt"


def test_the_table_is_built(
    vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words.main(["build", str(vectors), "--out", str(tmp_path / "table.safetensors")])
    assert (tmp_path / "table.safetensors").stat().st_size > 10_000
    said = capsys.readouterr().out
    (unknown,) = re.findall(r"rule paper: (\d+) objects have no known word", said)
    assert 900 < int(unknown) < 1000


def test_pictures_are_assigned_to_classes(
    vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights = tmp_path / "network.safetensors"
    save_file(timm.create_model(NETWORK, pretrained=False).state_dict(), weights)
    Image.new("RGB", (32, 32), (200, 0, 0)).save(tmp_path / f"{synsets()[407]}_ambulance.jpg")
    network = ["--recogniser", NETWORK, "--weights", str(weights)]
    words.main(["table", str(vectors), str(tmp_path), *network])
    said = capsys.readouterr().out
    assert re.findall(r"^rule (\w+)", said, re.MULTILINE) == ["ours", "paper"]
    (row,) = (line for line in said.split("rule paper")[1].splitlines() if "ambulance" in line)
    assert "Ambulance (siren)" in row, "the class whose words share its name"


def test_about_half_of_the_synsets_are_held_out() -> None:
    found = [words.held_out(synset) for synset in synsets()]
    assert 0.45 < np.mean(found) < 0.55
