"""Paths that cannot be decoded are explained before a decoder starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from av_tagger.errors import MediaError
from av_tagger.media.paths import check_path


def complaint(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        check_path(path)
    return str(caught.value)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "there is no such file; check the name" in complaint(tmp_path / "nope.mp4")
    assert "is a folder, not a media file; name a file in it" in complaint(tmp_path)
    assert "is empty (0 bytes)" in complaint(tmp_path / "empty.mp4")
    assert "is not a regular file" in complaint(tmp_path / "pipe.mp4")
    assert "it cannot be reached" in complaint(tmp_path / ("x" * 5000))
    assert "it cannot be reached" in complaint(tmp_path / "nul\0.mp4")
