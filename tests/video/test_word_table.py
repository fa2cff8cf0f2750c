"""The table of objects and sounds: how it is stored, and the one that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import ClassList, SoundClass, audioset, dcase2017
from av_tagger.video import fetch
from av_tagger.video.imagenet import object_names
from av_tagger.video.vectors import keyed
from av_tagger.video.word_table import build_tables, load_table, save_tables
from av_tagger.video.words import RULES, WordTable

SHIPPED = Path(__file__).resolve().parents[2] / "weights" / fetch.TABLE
CLASSES = ClassList(
    (
        SoundClass("Car"),
        SoundClass("Car alarm", words=()),
        SoundClass("Train", words=("passenger car", "loco")),
    )
)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, dict[str, WordTable]]:
    known = {"car": [1, 0, 0], "alarm": [0, 1, 0], "train": [0, 0, 2]}
    vectors = keyed({word: np.array(vector, np.float32) for word, vector in known.items()})
    tables = build_tables(vectors, "test.txt", ("car", "loco", "car", "sleeping car"), CLASSES)
    save_tables(tables, tmp_path / "t.safetensors", "test.txt", CLASSES)
    return tmp_path / "t.safetensors", tables


@pytest.mark.parametrize("rule", RULES)
def test_tables_come_back(stored: tuple[Path, dict[str, WordTable]], rule: str) -> None:
    path, tables = stored
    table = load_table(path, rule, CLASSES)  # type: ignore[arg-type]
    assert table is not None
    np.testing.assert_allclose(table.values, tables[rule].values, atol=0.005)
    some = table.similarity(["loco", "car"], ["Train", "Car"])
    np.testing.assert_array_equal(some, table.values[[1, 0]][:, [2, 0]])


def test_a_table_knows_whom_it_is_for(stored: tuple[Path, dict[str, WordTable]]) -> None:
    path, _ = stored
    table = load_table(path, "ours", CLASSES.pick(["Train", "Car"]))
    assert table is not None
    assert not table.covers(["boat"], ["Car"])
    with pytest.raises(UsageError, match="loca"):
        table.similarity(["loca"], ["Car"])
    for words in (("other",), ()):
        other = ClassList((SoundClass("Car", words=words),))
        assert load_table(path, "ours", other) is None
    assert load_table(path, "ours", ClassList((SoundClass("Boat"),))) is None


@pytest.mark.parametrize("content", [b"junk", b"", b"\x02\0\0\0\0\0\0\0{}"])
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"t\.safetensors.*not a table"):
        load_table(tmp_path / "t.safetensors", "ours", CLASSES)


def test_the_shipped_table_covers_all_of_audioset() -> None:
    for rule in RULES:
        for classes in (dcase2017(), audioset()):
            table = load_table(SHIPPED, rule, classes)  # type: ignore[arg-type]
            assert table is not None, "the table was built for other class words: build it again"
            assert table.covers(object_names(), classes.labels)
            assert table.values.shape == (1000, len(classes))
        assert np.nanmax(table.values) <= 1
    assert SHIPPED.stat().st_size < 700_000


@pytest.mark.parametrize(
    ("name", "label", "low"),
    [
        ("ambulance", "Ambulance (siren)", 1.0),
        ("bullet train, bullet", "Train", 0.9),
        ("Chihuahua", "Bark", 0.9),
        ("violin, fiddle", "Violin, fiddle", 1.0),
        ("passenger car, coach, carriage", "Train", 0.9),
    ],
)
def test_the_shipped_table_knows(name: str, label: str, low: float) -> None:
    table = load_table(SHIPPED, "ours", audioset())
    assert table is not None
    (row,) = table.similarity([name], audioset().labels)
    assert row[audioset().labels.index(label)] == pytest.approx(low)


@pytest.mark.parametrize(
    "name",
    [
        "four-poster",
        "fire screen, fireguard",
        "car mirror",
        "car wheel",
        "crash helmet",
        "gas pump, gasoline pump, petrol pump, island dispenser",
        "traffic light, traffic signal, stoplight",
        "street sign",
        "studio couch, day bed",
        "carton",
        "carousel, carrousel, merry-go-round, roundabout, whirligig",
        "park bench",
        "bassinet",
    ],
)
def test_the_shipped_table_makes_no_accident(name: str) -> None:
    """Furniture, parts and halves of names prove none of the 17 classes."""
    table = load_table(SHIPPED, "ours", dcase2017())
    assert table is not None
    assert not np.nan_to_num(table.similarity([name], dcase2017().labels)).any()


def test_the_shipped_table_is_what_the_rule_says_of_names() -> None:
    """Without vectors agreements are 0: strengths are the shipped ones or less, and as many."""
    shipped = load_table(SHIPPED, "ours", audioset())
    assert shipped is not None
    words = {c.label: c.words for c in audioset()}
    bare = RULES["ours"](None, object_names(), audioset().labels, words)
    np.testing.assert_array_equal(np.isnan(bare), np.isnan(shipped.values))
    assert (np.nan_to_num(bare) <= np.nan_to_num(shipped.values) + 0.003).all()
    certain = np.nan_to_num(bare) >= 0.9
    np.testing.assert_allclose(shipped.values[certain], bare[certain], atol=0.003)
