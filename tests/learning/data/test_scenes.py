"""Meta files of acoustic scenes, and accuracy by device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import TableError, UsageError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.manifests import classes_in, read_examples
from av_tagger.learning.data.scenes import (
    Accuracy,
    by_device,
    device_of,
    is_meta,
    read_meta,
)

SCENES = ClassList(tuple(map(SoundClass, ("airport", "bus", "tram"))))
META = """filename\tscene_label\tidentifier\tsource_label
audio/airport-lisbon-1000-40000-a.wav\tairport\tlisbon-1000\ta
audio/tram-paris-12-3-s6.wav\ttram\tparis-12\ts6
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "audio").mkdir()
    (tmp_path / "evaluation_setup").mkdir()
    (tmp_path / "meta.csv").write_text(META)
    (tmp_path / "evaluation_setup" / "fold1_train.csv").write_text(
        "filename\tscene_label\naudio/tram-paris-12-3-s6.wav\ttram\naudio/bus-oslo-1-2-b.wav\tbus\n"
    )
    for name in ("airport-lisbon-1000-40000-a", "tram-paris-12-3-s6"):
        (tmp_path / "audio" / f"{name}.wav").write_bytes(b"sound")
    return tmp_path


def test_meta_files_and_folds_give_examples(root: Path) -> None:
    whole = read_examples(root / "meta.csv", SCENES)
    assert [(e.clip.path.name, e.labels) for e in whole.examples] == [
        ("airport-lisbon-1000-40000-a.wav", ("airport",)),
        ("tram-paris-12-3-s6.wav", ("tram",)),
    ]
    assert whole.targets().sum(axis=1).tolist() == [1, 1]
    fold = read_examples(root / "evaluation_setup" / "fold1_train.csv", SCENES)
    assert [e.labels for e in fold.examples] == [("tram",)]
    assert [s.kind for s in fold.skipped] == ["missing"]
    assert classes_in([root / "meta.csv"]).labels == ("airport", "tram")
    beside = read_examples(root / "meta.csv", SCENES, root / "audio")
    assert len(beside.examples) == 2


def test_devices_are_at_the_end_of_file_names() -> None:
    assert [device_of(n) for n in ("audio/park-a-1-2-s6.wav", "bus-x-1-2-b.wav")] == ["s6", "b"]


def test_meta_files_are_known_by_their_header(tmp_path: Path) -> None:
    other = tmp_path / "list.csv"
    other.write_text("file,labels\na.wav,car\n")
    assert not is_meta(other)
    assert not is_meta(tmp_path)
    other.write_text("filename\tscene_label\n")
    assert is_meta(other)
    with pytest.raises(UsageError, match="lists no clip"):
        read_meta(other)
    other.write_text("filename\tscene_label\naudio/a.wav\n")
    with pytest.raises(TableError, match="line 2: has no scene"):
        read_meta(other)
    other.write_text("filename\tscene_label\naudio/a.wav\tmoon\n")
    with pytest.raises(TableError, match="'moon'"):
        read_examples(other, SCENES)


def test_accuracy_by_device() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32)
    targets = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], np.float32)
    table = by_device(scores, targets, ["b", "a", "a", "b"])
    assert list(table) == ["a", "b", "all"]
    assert table == {"a": Accuracy(1, 2), "b": Accuracy(2, 2), "all": Accuracy(3, 4)}
    assert table["all"].share == 0.75
    with pytest.raises(ValueError, match="one device per clip"):
        by_device(scores, targets, ["a"])
