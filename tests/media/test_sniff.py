"""Media under any name are found by what is inside."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from av_tagger.errors import MediaError
from av_tagger.media import close_decoders, find_media
from av_tagger.media.find import in_words
from av_tagger.media.sniff import holds_media
from tests.assets import make_audio, make_video


@pytest.fixture(autouse=True, scope="module")
def no_processes_left() -> Iterator[None]:
    yield
    close_decoders()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd names")
    shutil.move(make_video(folder / "a.mp4", seconds=0.5), folder / "film")
    shutil.move(make_audio(folder / "a.wav", seconds=0.5), folder / "sound.xyz")
    Image.new("RGB", (32, 32), "red").save(folder / "picture.pic", "PNG")
    (folder / "noise.foo").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "text").write_text("a letter\n" * 100)
    (folder / "empty").touch()
    (folder / "notes.txt").write_text("not opened")
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("film", True),
        ("sound.xyz", True),
        ("picture.pic", False),
        ("noise.foo", False),
        ("text", False),
        ("empty", False),
    ],
)
def test_something_must_be_decodable(name: str, expected: bool, folder: Path) -> None:
    assert holds_media(folder / name) is expected


def test_a_folder_is_looked_into(folder: Path) -> None:
    skipped: list[Path] = []
    found = find_media([folder], skipped)
    assert [path.name for path in found] == ["film", "sound.xyz"]
    names = {path.name for path in skipped}
    assert names == {"picture.pic", "noise.foo", "text", "empty", "notes.txt"}
    assert in_words(skipped).startswith("skipped: 5 files are not media (2 no suffix, ")


def test_a_folder_without_media_says_what_it_holds(tmp_path: Path) -> None:
    for name in ("a.txt", "b.jpg"):
        (tmp_path / name).write_text("x")
    with pytest.raises(MediaError, match=r"holds no media files \(2 other files\)"):
        find_media([tmp_path])


def test_kinds_beyond_the_first_are_counted() -> None:
    paths = [Path(f"a.x{n}") for n in range(7)]
    assert in_words(paths).endswith("3 other kinds)")
    assert in_words(paths[:1]) == "skipped: 1 file is not media (1 .x0)"
