"""References to weights files: checksums, and finding the same file on another machine."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from av_tagger import weights, weights_ref
from av_tagger.errors import UsageError, WeightsError
from av_tagger.weights import WeightsFile
from av_tagger.weights_ref import WeightsRef, by_size, of_entry, of_file


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights, and a cache of its own."""
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    file = WeightsFile("toy", "toy.bin", ("https://example.org/toy.bin",), size=3)
    known = replace(file, sha256=hashlib.sha256(b"abc").hexdigest())
    monkeypatch.setitem(weights.CATALOGUE, "toy", known)
    return "toy"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_file_is_named_by_its_content(own: Path) -> None:
    first = of_file(write(own / "a.bin", b"one"))
    assert first.sha256 == hashlib.sha256(b"one").hexdigest()
    assert first.identity == of_file(write(own / "b.bin", b"one")).identity
    assert first.identity != of_file(write(own / "c.bin", b"two")).identity
    assert pickle.loads(pickle.dumps(first)) == first


def test_a_missing_file_is_named(own: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.bin: there is no such weights file"):
        of_file(own / "none.bin")


def test_another_machine_finds_the_same_file_by_name(own: Path, tmp_path: Path) -> None:
    there = replace(of_file(write(own / "a.bin", b"one")), path=tmp_path / "elsewhere" / "a.bin")
    assert there.here() == own / "a.bin"


def test_another_file_of_that_name_is_refused(own: Path) -> None:
    reference = of_file(write(own / "a.bin", b"one"))
    write(own / "a.bin", b"two, longer")
    with pytest.raises(WeightsError, match=r"a\.bin: is not the file of this run; give every"):
        reference.here()
    with pytest.raises(WeightsError, match="is not the file of this run"):
        reference.here(lambda: own / "never")


def test_a_file_that_is_nowhere_is_fetched(own: Path) -> None:
    reference = of_file(write(own / "a.bin", b"one"))
    (own / "a.bin").unlink()
    assert reference.here(lambda: write(own / "new.bin", b"one")) == own / "new.bin"
    with pytest.raises(WeightsError, match="there is no such weights file"):
        reference.here()


def test_a_huge_file_is_known_by_its_size(own: Path) -> None:
    reference = by_size(write(own / "glove.txt", b"word 1 2"))
    assert (reference.sha256, reference.identity) == ("", "glove.txt, 8 bytes")
    assert reference.here() == own / "glove.txt"
    write(own / "glove.txt", b"word 1 2 3")
    with pytest.raises(WeightsError, match="is not the file of this run"):
        reference.here()


def test_an_entry_that_is_not_here_is_no_error(own: Path, toy: str) -> None:
    assert of_entry(toy) == WeightsRef("toy.bin", None, weights.entry(toy).sha256, toy)
    with pytest.raises(UsageError, match="there are no weights 'to'; did you mean 'toy'"):
        of_entry("to")


def test_an_entry_is_checked_by_size_and_content(own: Path, toy: str) -> None:
    found = of_entry(toy) if write(own / "toy.bin", b"abc") else None
    assert found is not None
    assert found.path == own / "toy.bin"
    for wrong in (b"ab", b"abd"):
        write(own / "toy.bin", wrong)
        os.utime(own / "toy.bin", ns=(wrong[-1], wrong[-1]))
        with pytest.raises(WeightsError, match=r"damaged or incomplete.*weights fetch toy"):
            of_entry(toy)


def test_a_damaged_download_counts_as_missing(own: Path, toy: str, tmp_path: Path) -> None:
    """Because `av-tag weights fetch` replaces it."""
    folder = weights.cache_folder()
    folder.mkdir(parents=True)
    write(folder / "toy.bin", b"ab")
    assert of_entry(toy).path is None
    assert weights_ref.of_entry(toy).entry == toy
