"""Word vectors on disk, and similarities under both rules."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.video import words
from av_tagger.video.imagenet import definitions, object_names, short, synsets
from av_tagger.video.vectors import cached_vectors, keyed, load_compact, read_vectors

CLASSES = ClassList(
    (
        SoundClass("Car"),
        SoundClass("Car alarm", words=()),
        SoundClass("Train", words=("passenger car", "loco")),
    )
)


@pytest.fixture
def vectors():  # type: ignore[no-untyped-def]
    known = {"car": [1, 0, 0], "alarm": [0, 1, 0], "train": [0, 0, 2], "loco": [0, 1, 1]}
    return keyed({word: np.array(vector, np.float32) for word, vector in known.items()})


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "glove.txt"
    path.write_text(
        "the 1 2 3\ncar 1 0 0\n. . 9 9 9\ncar 7 7 7\nTrain 0 0.5 -2e-1\nköln 1 1 1\n",
        encoding="utf-8",
    )
    return path


def test_only_needed_words_are_kept_and_blanks_in_words_are_no_trap(text: Path) -> None:
    found = read_vectors(text, {"car", "Train", "köln", ".", "absent"})
    assert list(found.index_to_key) == ["car", "Train", "köln"]
    np.testing.assert_allclose(found["Train"], [0, 0.5, -0.2], rtol=1e-6)
    np.testing.assert_array_equal(found["car"], [1, 0, 0])  # the first of two


def test_zipped_text_reads_the_same(text: Path, tmp_path: Path) -> None:
    archive = tmp_path / "glove.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(text, "glove.840B.300d.txt")
    np.testing.assert_array_equal(
        read_vectors(archive, {"car", "Train"}).vectors,
        read_vectors(text, {"car", "Train"}).vectors,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "none of the words"),
        (b"car 1 x\n", "line 1"),
        (b"a 1 2\ncar 1 nan\n", "line 2"),
        (b"a 1 2\ncar 1 1e308\n", "line 2 holds numbers that are not finite"),
        (b"a 1 2\ncar  1\n", "line 2 has 1 numbers, others have 2"),
        (b"car " + b"9" * 5000 + b"x\n", "line 1 is not a word and its numbers"),
        (b"car " * 30_000, "a line of more than 65536 bytes"),
        (b"PK\x05\x06" + bytes(18), "no text file"),
    ],
)
def test_bad_vectors_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason) as caught:
        read_vectors(path, {"car"})
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_a_cut_archive_is_named(text: Path, tmp_path: Path) -> None:
    archive = tmp_path / "cut.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("glove.txt", text.read_bytes() * 500)
    whole = bytearray(archive.read_bytes())
    whole[60:90] = bytes(30)
    archive.write_bytes(whole)
    with pytest.raises(WeightsError, match=r"cut\.zip"):
        read_vectors(archive, {"absent"})


def test_kept_words_come_back_without_the_source(text: Path, tmp_path: Path) -> None:
    first = cached_vectors(text, {"car", "köln"}, tmp_path / "kept")
    (compact,) = (tmp_path / "kept").glob("*.safetensors")
    before = compact.stat().st_mtime_ns
    again = cached_vectors(text, {"car", "köln"}, tmp_path / "kept")
    assert compact.stat().st_mtime_ns == before
    assert list(again.index_to_key) == list(first.index_to_key) == ["car", "köln"]
    np.testing.assert_array_equal(again.vectors, first.vectors)
    compact.write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="delete it"):
        load_compact(compact)


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # gensim leaves its file open
def test_reading_agrees_with_gensim(shared: Path) -> None:
    from gensim.models import KeyedVectors

    path = shared / "data/words/glove.840B.300d.part.txt"
    oracle = KeyedVectors.load_word2vec_format(path, no_header=True, binary=False)
    ours = read_vectors(path, set(oracle.index_to_key))
    assert len(ours) == len(oracle) > 2000
    np.testing.assert_allclose(ours.vectors, oracle.vectors, rtol=1e-6)
    assert ours.similarity("car", "truck") == pytest.approx(
        float(oracle.similarity("car", "truck")), abs=1e-6
    )


def test_the_paper_rule_by_hand(vectors) -> None:  # type: ignore[no-untyped-def]
    near = words.paper_rule(
        vectors, ["unheard, alarm", "train car, car", "unheard"], CLASSES.labels, {}
    )
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        near[0], [0, half, 0], atol=1e-6
    )  # the first synonym with a known word
    long = np.sqrt(5)  # "train car" is the mean of (0, 0, 2) and (1, 0, 0)
    np.testing.assert_allclose(near[1], [1 / long, half / long, 2 / long], atol=1e-6)
    assert np.isnan(near[2]).all()


def test_our_rule_by_hand(vectors) -> None:  # type: ignore[no-untyped-def]
    """Names alone decide; vectors say how far a name and its definition agree."""
    near = words.our_rule(
        vectors,
        ["car", "sleeping car", "loco", "passenger car, coach, carriage"],
        CLASSES.labels,
        words.class_words(CLASSES),
    )
    expected = [[1, 0, 0], [0.5, 0, 0], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_allclose(near[:, [0, 2]], np.array(expected)[:, [0, 2]], atol=1e-6)
    assert np.isnan(near[:, 1]).all()  # an alarm has no visible form
    without = words.our_rule(None, ["car"], CLASSES.labels, words.class_words(CLASSES))
    np.testing.assert_array_equal(without, near[:1])
    with pytest.raises(UsageError, match="needs word vectors"):
        words.paper_rule(None, ["car"], CLASSES.labels, {})


def test_the_kind_of_a_definition_needs_its_vector(tmp_path: Path) -> None:
    """A pug-dog by name, of "Asiatic origin" by its definition: half strength and the agreement."""
    known = {"dog": [1.0, 0.0], "origin": [1.0, 1.0]}
    two = keyed({word: np.array(vector, np.float32) for word, vector in known.items()})
    dog = {"Dog": ("dog",)}
    (near,) = words.our_rule(two, ["pug, pug-dog"], ["Dog"], dog)
    assert near[0] == pytest.approx(0.5 * np.sqrt(0.5))
    assert {"dog", "origin"} <= words.words_to_keep(
        ["pug, pug-dog"], ClassList((SoundClass("Dog", words=("dogs",)),))
    )


def test_a_word_space_is_batch_in_batch_out(vectors) -> None:  # type: ignore[no-untyped-def]
    for rule in words.RULES:
        space = words.GloVe(vectors, "test", rule, words.class_words(CLASSES))
        assert space.similarity(["car", "loco"], CLASSES.labels).shape == (2, 3)
        assert space.similarity([], CLASSES.labels).shape == (0, 3)


def test_the_names_of_objects() -> None:
    names = object_names()
    assert len(names) == len(synsets()) == 1000
    assert names[407] == "ambulance"
    assert short(names[468]) == "cab"
    assert "taxi" in names[468]
    with pytest.raises(UsageError, match="1000"):
        object_names(7)


def test_definitions_follow_the_names() -> None:
    every = definitions(object_names())
    assert len(every) == 1000
    assert every[407] == "a vehicle that takes people to and from hospitals"
    cranes = [i for i, name in enumerate(object_names()) if name == "crane"]
    assert len({every[i] for i in cranes}) == len(cranes) == 2
    assert definitions(["ambulance", "no such thing"]) == (every[407], "")


def test_vectors_from_the_safetensors_of_all_words(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    text = np.frombuffer(b"car\ntrain", np.uint8)
    save_file({"vectors": np.eye(2, dtype=np.float32), "words": text}, path)
    found = read_vectors(path, {"train", "absent"})
    assert list(found.index_to_key) == ["train"]
    np.testing.assert_array_equal(found["train"], [0, 1])
    with pytest.raises(WeightsError, match="none of the words"):
        read_vectors(path, {"absent"})
