"""Background clips: files of the user, and sounds made here that are none of the classes."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import MediaError
from av_tagger.learning.data.background import (
    NO_BACKGROUND,
    RATE,
    SECONDS,
    is_like,
    made_background,
    named_background,
    sources,
)


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_sounds_are_made_once_and_are_heard(tmp_path: Path) -> None:
    made = made_background(3, ["cat"], tmp_path)
    assert all(example.labels == example.unknown == () for example in made)
    paths = [example.clip.path for example in made]
    assert len(set(paths)) == 3
    for path in paths:
        assert len(samples(path)) == round(SECONDS * RATE)
        assert np.abs(samples(path).astype(int)).max() > 500
    before = [path.stat().st_mtime_ns for path in paths]
    assert [e.clip.path for e in made_background(3, ["cat"], tmp_path)] == paths
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_every_source_takes_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silence(name: str, seed: int) -> np.ndarray:
        return np.zeros(8, np.float32)

    monkeypatch.setattr("av_tagger.learning.data.background._sound", silence)
    count = len(sources()) * 2
    names = [e.clip.path.name for e in made_background(count, ["unheard-of"], tmp_path)]
    assert len(set(names)) == count
    assert {name.rsplit("-", 2)[1] for name in names} == {"0", "1"}
    assert not NO_BACKGROUND & sources().keys()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("dog", "Dog"),
        ("dog", "Bark"),  # a sound of a dog
        ("dog", "Animal"),
        ("dog", "my dogs"),
        ("mower", "Lawn mower"),
        ("birdsong", "Bird vocalization, bird call, bird song"),
        ("Ambulance (siren)", "Siren"),
        ("rain", "rain on a tent"),
    ],
)
def test_what_could_be_a_class_is_left_out(name: str, label: str) -> None:
    assert is_like(name, label)


@pytest.mark.parametrize(
    ("name", "label"), [("dog", "Cat"), ("rain", "Train"), ("music", "chainsaw"), ("hum", "horse")]
)
def test_other_sounds_stay(name: str, label: str) -> None:
    assert not is_like(name, label)


def test_every_file_of_a_folder_is_background(tmp_path: Path) -> None:
    for name in ("a.wav", "deep/er/b.mp3", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = named_background([tmp_path])
    assert [e.clip.path.name for e in found] == ["a.wav", "b.mp3"]
    assert named_background([]) == ()
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no media files"):
        named_background([tmp_path / "empty"])
