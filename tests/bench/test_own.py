"""The bench of own classes: its labels, its split, and its result with a real ear."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.bench.own import animal_in, learn, split


def test_labels_of_recordings_come_from_their_names() -> None:
    labels = [
        "cats",
        "other [cat.mp3]",
        "other [cat_1.mp3]",
        "other [cat0.mp3]",
        "horse",
        "other [horse2.wav]",
        "other: music.wav",
    ]
    assert [animal_in(label) for label in labels] == [
        "cat",
        "cat",
        "cat",
        "cat",
        "horse",
        "horse",
        "",
    ]


def test_animals_are_learnt_from_a_few_clips(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About ten clips per animal from some publishers; tested on those of others."""
    sounds, folder = shared / "data" / "sounds", shared / "data" / "weights"
    if not (sounds / "dev.csv").is_file() or not (folder / "mn04_as_mAP_432.pt").is_file():
        pytest.skip("the recordings or the weights of mn04 are not there")
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(folder))
    parts = split(sounds, ("cat", "dog", "horse", "sheep"))
    assert len(parts.training) == 40
    assert len(parts.validation) == 28
    assert not {f for f, _ in parts.training} & {f for f, _ in parts.validation}
    found = learn(parts, "efficientat:mn04", tmp_path / "run")
    assert found.validation.accuracy > 0.75  # chance: 0.25
    assert found.validation.map > 0.75
    assert found.right > 14
