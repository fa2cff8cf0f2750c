"""Finding the files of listed clips under the usual names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from av_tagger.clip import Clip
from av_tagger.dcase import ListedClip, find_clips, parse_name
from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def listed(*names: str) -> list[ListedClip]:
    return [ListedClip(str(parsed) if (parsed := parse_name(n)) else n, parsed) for n in names]


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    "name",
    [
        "-GCwoyCnYsY_0.000_10.000.wav",
        "Y-GCwoyCnYsY_0.000_10.000.wav",
        "deep/er/Y-GCwoyCnYsY_0.000_10.000.mp4",
        "-GCwoyCnYsY_0_10.WEBM",
        "-GCwoyCnYsY_0.000_10.000.opus",
        "Y-GCwoyCnYsY_0.000_10.000",
        "-GCwoyCnYsY_0_10000.mp4",
        "Y-GCwoyCnYsY_000000.mp4",
        "-GCwoyCnYsY_0.flac",
    ],
)
def test_a_cut_clip_is_found(name: str, tmp_path: Path) -> None:
    put(tmp_path, name, "other.wav")
    found = find_clips(listed("-GCwoyCnYsY_0.000_10.000"), [tmp_path])
    assert [clip for _, clip in found.clips] == [Clip(tmp_path / name)]
    assert found.missing == ()


@pytest.mark.parametrize(
    "name",
    [
        "YCk9F0Uq3BE.mp4",
        "YYCk9F0Uq3BE.mkv",
        "Night train [YCk9F0Uq3BE].webm",
        "Night train [YCk9F0Uq3BE].f137.mp4",
        "Night-train-YCk9F0Uq3BE.m4a",
    ],
)
def test_a_whole_video_is_cut(name: str, tmp_path: Path) -> None:
    put(tmp_path, name)
    rows = listed("YCk9F0Uq3BE_70.000_80.000", "YCk9F0Uq3BE_200.000_206.500")
    found = find_clips(rows, [tmp_path])
    assert [clip for _, clip in found.clips] == [
        Clip(tmp_path / name, 70.0, 80.0),
        Clip(tmp_path / name, 200.0, 206.5),
    ]


def test_the_best_of_several_files(tmp_path: Path) -> None:
    """Video before sound, cut before whole, independent of the order of the folders."""
    rows = listed("-GCwoyCnYsY_0.000_10.000")
    one, two = tmp_path / "one", tmp_path / "two"
    order = [
        "two/a/-GCwoyCnYsY.wav",
        "one/Y-GCwoyCnYsY_0.000_10.000.flac",
        "two/Y-GCwoyCnYsY.mkv",
        "one/-GCwoyCnYsY_0.000_10.000.mp4",
    ]
    two.mkdir()
    one.mkdir()
    for name in order:
        put(tmp_path, name)
        for folders in ([one, two], [two, one]):
            assert find_clips(rows, folders).clips[0][1].path == tmp_path / name


def test_other_and_incomplete_files_are_ignored(tmp_path: Path) -> None:
    put(
        tmp_path,
        "-GCwoyCnYsY_0.000_10.000.json",
        "-GCwoyCnYsY.mp4.part",
        "-GCwoyCnYsY.jpg",
        ".-GCwoyCnYsY_0.000_10.000.wav",
    )
    found = find_clips(listed("-GCwoyCnYsY_0.000_10.000"), [tmp_path])
    assert found.clips == ()
    assert [row.key for row in found.missing] == ["-GCwoyCnYsY_0.000_10.000"]


def test_other_cuts_of_the_same_video_are_not_taken(tmp_path: Path) -> None:
    put(tmp_path, "-GCwoyCnYsY_10.000_20.000.wav", "-gcwoycnysy.mp4")
    assert len(find_clips(listed("-GCwoyCnYsY_0.000_10.000"), [tmp_path]).missing) == 1


def test_names_that_are_not_youtube_clips(tmp_path: Path) -> None:
    put(tmp_path, "street 1.mp4", "street 2.wav")
    found = find_clips(listed("street 1", "street 2", "street 3"), [tmp_path])
    assert [clip.path.name for _, clip in found.clips] == ["street 1.mp4", "street 2.wav"]
    assert [row.key for row in found.missing] == ["street 3"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        find_clips(listed("a"), [tmp_path / "none"])


ROW = "-5QrBL6MzLg_60.000_70.000"


@pytest.mark.parametrize(
    ("seconds", "clip"), [(9.8, (0.0, None)), (187.0, (60.0, 70.0)), (None, (60.0, 70.0))]
)
def test_a_file_named_by_its_id_is_the_cut_if_it_is_as_long(
    seconds: float | None, clip: tuple[float, float | None], tmp_path: Path
) -> None:
    put(tmp_path, "Y-5QrBL6MzLg.wav")
    found = find_clips(listed(ROW), [tmp_path], lambda _: seconds)
    assert found.clips[0][1] == Clip(tmp_path / "Y-5QrBL6MzLg.wav", *clip)
    assert [row.key for row in found.by_length] == ([ROW] if clip[1] is None else [])


def test_which_of_two_clips_a_short_file_is_cannot_be_told(tmp_path: Path) -> None:
    put(tmp_path, "Y-5QrBL6MzLg.wav")
    rows = listed(ROW, "-5QrBL6MzLg_80.000_90.000")
    found = find_clips(rows, [tmp_path], lambda _: 10.0)
    assert [clip.start_seconds for _, clip in found.clips] == [60.0, 80.0]
    assert found.by_length == ()


def test_an_empty_file_hides_no_good_one(tmp_path: Path) -> None:
    put(tmp_path, "Y-5QrBL6MzLg.wav", f"{ROW}.mp4", f"two/Y{ROW}.mp4")
    (tmp_path / "-5QrBL6MzLg.wav").write_bytes(b"RIFF")
    assert find_clips(listed(ROW), [tmp_path]).clips[0][1].path.name == "-5QrBL6MzLg.wav"
    (tmp_path / "two" / f"Y{ROW}.mp4").write_bytes(b"ftyp")
    assert find_clips(listed(ROW), [tmp_path]).clips[0][1].path.parent.name == "two"


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    put(tmp_path, f"disk/{ROW}.wav")
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "link").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "media", target_is_directory=True)
    found = find_clips(listed(ROW), [tmp_path / "media"])
    assert found.clips[0][1].path == tmp_path / "media" / "link" / f"{ROW}.wav"


def test_folders_nested_thousands_deep(depths: Path) -> None:
    """What a path can name is found, the rest is missing, and the first such folder is known."""
    found = find_clips(listed("a", "deep", "lost"), [depths])
    assert [clip.path.name for _, clip in found.clips] == ["a.wav", "deep.wav"]
    assert [row.key for row in found.missing] == ["lost"]
    assert len(found.unreadable) == 1


def test_a_folder_that_cannot_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, f"good/{ROW}.wav", "closed/other.wav")
    scan = os.scandir

    def refuse(place: Path | int) -> object:
        if not isinstance(place, int) and place.name == "closed":
            raise PermissionError(place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_clips(listed(ROW), [tmp_path])
    assert len(found.clips) == 1
    assert found.unreadable == (tmp_path / "closed",)
