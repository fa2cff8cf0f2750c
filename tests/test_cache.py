"""The cache folder: one place, two spellings."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from av_tagger import cache, weights
from av_tagger.video.sparse_coding import compiled
from av_tagger.video.vectors import words_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache folder of a platform, without $AV_TAGGER_CACHE."""
    monkeypatch.delenv("AV_TAGGER_CACHE", raising=False)

    def user_cache_path(name: str, appauthor: bool) -> Path:
        assert not appauthor
        return tmp_path / name

    monkeypatch.setattr(platformdirs, "user_cache_path", user_cache_path)
    return tmp_path


def test_everything_lies_in_the_folder_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "chosen"))
    compiled.folder.cache_clear()
    places = [cache.root(), weights.cache_folder(), words_folder(), compiled.folder()]
    compiled.folder.cache_clear()
    assert all(place.is_relative_to(tmp_path / "chosen") for place in places)
    assert len(set(places)) == len(places)


def test_the_users_cache_is_the_default(home: Path) -> None:
    assert cache.root() == home / "av-tagger"
    assert cache.folder("weights") == home / "av-tagger" / "weights"


def test_a_folder_under_the_old_spelling_is_still_found(home: Path) -> None:
    old = home / "av_tagger" / "weights"
    old.mkdir(parents=True)
    (old / "mine.safetensors").write_bytes(b"")
    assert cache.folder("weights") == old
    assert weights.find("mine.safetensors") == old / "mine.safetensors"
    assert cache.folder("compiled") == home / "av-tagger" / "compiled"


def test_the_new_spelling_wins_where_both_exist(home: Path) -> None:
    for name in ("av_tagger", "av-tagger"):
        (home / name / "weights").mkdir(parents=True)
    assert cache.folder("weights") == home / "av-tagger" / "weights"


def test_a_chosen_folder_hides_the_old_spelling(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "av_tagger" / "weights").mkdir(parents=True)
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "chosen"))
    assert cache.folder("weights") == tmp_path / "chosen" / "weights"
