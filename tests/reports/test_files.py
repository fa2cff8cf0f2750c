"""Files are written completely or not at all; names are safe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from av_tagger.clip import Clip
from av_tagger.errors import StorageError
from av_tagger.reports.files import one_line, safe_names, whole, write_text


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with whole(target) as temporary:
        temporary.write_text("x")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "x"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def pieces() -> Iterator[str]:
        yield "half"
        raise KeyError

    with pytest.raises(KeyError):
        write_text(target, pieces())
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be written .*; choose another folder"):
        write_text(tmp_path / "file" / "a.txt", ["x"])


def test_line_ends_and_invalid_characters(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", ["a\n", "\udce9\n", "ü"])
    assert (tmp_path / "a.txt").read_bytes() == b"a\n?\n\xc3\xbc"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a  b", "a b"), ("a\tb\r\nc", "a b c"), ("\x00a\x07", "a"), (" \n ", ""), ("é ü", "é ü")],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a b.mp4", "a_b"),
        ("x/y.z.wav", "y.z"),
        ("CON.mp4", "_CON"),
        ("com1.tar.gz", "_com1.tar"),
        ("???.mp4", "clip"),
        ("é.mp4", "é"),
        ("e\u0301.mp4", "é"),
        ("n" * 200 + ".mp4", "n" * 80),
    ],
)
def test_safe_names(path: str, name: str) -> None:
    assert safe_names([Clip(Path(path))]) == [name]


def test_parts_of_a_file_have_their_times_in_the_name() -> None:
    path = Path("a.mp4")
    clips = [Clip(path), Clip(path, 5.0), Clip(path, 0.0, 2.5), Clip(path, 5.0, 7.25)]
    assert safe_names(clips) == ["a", "a_5-end", "a_0-2.5", "a_5-7.25"]


def test_equal_names_get_a_hash_of_their_path() -> None:
    first, second, third = safe_names([Clip(Path(p)) for p in ("x/a.mp4", "y/A.wav", "z/b.mp4")])
    assert first.startswith("a-")
    assert second.startswith("A-")
    assert first[2:] != second[2:]
    assert len(first) == len("a-") + 8
    assert third == "b"
