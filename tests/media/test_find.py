"""Names, folders and patterns become files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from av_tagger.errors import MediaError
from av_tagger.media import find_media
from av_tagger.media.paths import check_path
from av_tagger.media.suffixes import SOUND, VIDEO


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


@pytest.mark.parametrize("name", ["x.MP4", "x.m2TS", "x.Opus", "x.wav"])
def test_suffixes_are_compared_without_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert find_media([tmp_path]) == [tmp_path / name]


def test_each_file_is_found_once_and_in_order(folder: Path) -> None:
    names = [folder / "b.MP4", folder, folder / "*.wav", folder / "b.MP4"]
    found = find_media(names)
    assert found == sorted(set(found))
    assert len(found) == 3


def test_a_tilde_in_a_pattern_is_the_home_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert find_media(["~/*.wav"]) == [folder / "a.wav"]


def test_a_folder_that_is_named_like_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "odd.mp4").mkdir()
    (tmp_path / "odd.mp4" / "a.wav").touch()
    assert find_media([tmp_path]) == [tmp_path / "odd.mp4" / "a.wav"]


def refuse(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As without permission, which root always has."""
    real = os.scandir

    def scandir(path: Any = ".") -> Any:
        if not isinstance(path, int) and Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, folder)
    with pytest.raises(MediaError, match=r"cannot be read .Permission denied.; check its perm"):
        find_media([folder])


def test_an_unreadable_folder_within_costs_that_entry_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, folder / "deep/er")
    found = [folder / "a.wav", folder / "b.MP4", folder / "deep/er"]
    assert find_media([folder]) == find_media([folder.parent / f"{folder.name}*"]) == found
    with pytest.raises(MediaError, match="er: this folder cannot be read"):
        check_path(found[-1])


def test_folders_nested_thousands_deep(depths: Path) -> None:
    """What can be named is found; the first folder that cannot be is said to be unreachable."""
    first, deep, beyond = sorted(find_media([depths]), key=lambda path: len(path.parts))
    assert first == depths / "a.wav"
    assert deep.name == "deep.wav"
    with pytest.raises(MediaError, match="its path is too long for this system"):
        check_path(beyond)


def test_a_pattern_over_folders_nested_thousands_deep_is_one_sentence(depths: Path) -> None:
    with pytest.raises(MediaError, match="nested too deeply for this pattern; name the folder"):
        find_media([depths / "**" / "*.wav"])


@pytest.mark.parametrize("length", [300, 5000])
def test_a_name_that_is_too_long_is_left_for_the_decoder(folder: Path, length: int) -> None:
    long = Path("x" * length + ".mp4")
    assert find_media([long, folder / "a.wav"]) == sorted([long, folder / "a.wav"])
    with pytest.raises(MediaError, match="its path is too long for this system; rename"):
        check_path(long)


def test_spellings_of_one_file_are_one_file(folder: Path) -> None:
    (folder / "z.wav").symlink_to(folder / "a.wav")
    names = [folder / "a.wav", folder / "deep" / ".." / "a.wav", folder / "z.wav"]
    assert find_media(names) == [folder / "a.wav"]


def test_video_and_audio_suffixes_are_apart() -> None:
    assert not VIDEO & SOUND
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in VIDEO | SOUND)
