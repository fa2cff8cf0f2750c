"""Names, folders and patterns become files."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.errors import MediaError
from av_tagger.media import find_media


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.MP4", "a.wav", "deep/er/c.mkv", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bare").mkdir()
    return tmp_path


def test_folders_are_searched_through(folder: Path) -> None:
    assert find_media([folder]) == [folder / "a.wav", folder / "b.MP4", folder / "deep/er/c.mkv"]


def test_patterns_and_names(folder: Path) -> None:
    assert find_media([folder / "*.wav", folder / "a.wav", str(folder / "notes.txt")]) == [
        folder / "a.wav",
        folder / "notes.txt",
    ]
    assert find_media([folder / "**" / "*.mkv"]) == [folder / "deep/er/c.mkv"]
    assert find_media([folder / "d*"]) == [folder / "deep/er/c.mkv"]


def test_a_missing_file_is_left_for_the_decoder(folder: Path) -> None:
    assert find_media([folder / "nowhere.mp4"]) == [folder / "nowhere.mp4"]


def test_a_name_with_brackets_is_a_name(folder: Path) -> None:
    (folder / "x [1].mp4").touch()
    assert find_media([folder / "x [1].mp4"]) == [folder / "x [1].mp4"]


def test_nothing_is_an_error(folder: Path) -> None:
    with pytest.raises(MediaError, match="this folder holds no media files"):
        find_media([folder / "bare"])
    with pytest.raises(MediaError, match="no file matches this pattern"):
        find_media([folder / "*.ogg"])
