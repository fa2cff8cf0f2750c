"""The cache of arrays per clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.errors import StorageError
from av_tagger.learning.data.clip_cache import ClipCache, Rows, offline


class Counted:
    """Makes a new array each time it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, clip: Clip) -> Rows:
        self.calls += 1
        return np.full((2, 3), self.calls, np.float32)


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    return Clip(path)


def test_an_array_is_made_once_per_clip_and_key(clip: Clip, tmp_path: Path) -> None:
    make, cache = Counted(), ClipCache(tmp_path / "cache", (1, "ear"))
    first = cache.get(clip, make)
    assert cache.get(clip, make).tolist() == first.tolist()
    assert make.calls == 1
    ClipCache(tmp_path / "cache", (2, "ear")).get(clip, make)
    cache.get(Clip(clip.path, 0.0, 1.0), make)
    assert make.calls == 3


def test_a_changed_file_is_computed_again(clip: Clip, tmp_path: Path) -> None:
    make, cache = Counted(), ClipCache(tmp_path / "cache", ())
    cache.get(clip, make)
    clip.path.write_bytes(b"another sound")
    cache.get(clip, make)
    assert make.calls == 2


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array"])
def test_a_damaged_entry_is_replaced(clip: Clip, tmp_path: Path, content: bytes) -> None:
    make, cache = Counted(), ClipCache(tmp_path / "cache", ())
    cache.get(clip, make)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(content)
    assert cache.get(clip, make)[0, 0] == 2
    assert np.load(file)[0, 0] == 2
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_an_error(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StorageError, match="free some space"):
        ClipCache(tmp_path / "cache", ()).get(clip, Counted())


def test_downloads_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not offline()
    monkeypatch.setenv("AV_TAGGER_OFFLINE", "1")
    assert offline()
