"""Names that no file can have are no files, and no tracebacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.audio.ears import resolve
from av_tagger.config import configure
from av_tagger.errors import AvTaggerError
from av_tagger.path_checks import exists, is_dir, is_file
from av_tagger.plan import make_plan


def test_files_and_folders(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    assert (exists(file), is_file(file), is_dir(file)) == (True, True, False)
    assert (exists(tmp_path), is_file(str(tmp_path)), is_dir(tmp_path)) == (True, False, True)


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "a\0b", ""])
def test_impossible_names(name: str) -> None:
    assert [exists(name), is_file(name), is_dir(name)] == [False] * 3


@pytest.mark.parametrize("flag", ["ear", "fusion", "backend", "device", "classes"])
def test_impossible_names_on_the_command_line(flag: str) -> None:
    """One short sentence."""
    settings = configure(flags={flag: "x" * 5000, "offline": True})
    with pytest.raises(AvTaggerError) as caught:
        make_plan(settings, download=False)
    assert len(str(caught.value)) < 500


def test_a_weights_file_that_cannot_be() -> None:
    with pytest.raises(AvTaggerError, match="there is no"):
        resolve("x" * 300 + ".safetensors")
