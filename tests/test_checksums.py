"""Checksums: computed once per version of a file, whatever happens to the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from av_tagger import download
from av_tagger.checksums import sha256_of
from av_tagger.errors import StorageError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files, and a cache of its own."""
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_checksum_is_computed_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(download, "sha256_of", counted)
    path = write(own / "a.bin", b"one")
    assert sha256_of(path) == sha256_of(path)
    assert read == [path]
    write(path, b"two!")
    os.utime(path, ns=(1, 1))
    assert sha256_of(path) == hashlib.sha256(b"two!").hexdigest()
    assert read == [path, path]


def test_a_cache_that_cannot_be_written_costs_time_only(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_TAGGER_CACHE", str(write(own / "file", b"")))
    assert sha256_of(write(own / "a.bin", b"one")) == hashlib.sha256(b"one").hexdigest()


def test_a_damaged_memo_is_computed_again(own: Path, tmp_path: Path) -> None:
    path = write(own / "a.bin", b"one")
    sha256_of(path)
    (memo,) = (tmp_path / "cache" / "checksums").iterdir()
    memo.write_text("cut")
    assert sha256_of(path) == hashlib.sha256(b"one").hexdigest()
    assert memo.read_text() == hashlib.sha256(b"one").hexdigest()


def test_a_file_that_cannot_be_read_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(download, "sha256_of", refused)
    with pytest.raises(StorageError, match=r"a\.bin: cannot be read \(Permission denied\)"):
        sha256_of(write(own / "a.bin", b"one"))
