"""av-tag config: every setting with its origin, and an example that is a valid file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from av_tagger.cli.config import settings
from av_tagger.cli.options import ModelOptions
from av_tagger.config import Config, configure
from tests.cli.conftest import AvTag


def origins(options: ModelOptions) -> dict[str, tuple[object, str]]:
    return {one.name: (one.value, one.origin) for one in settings(options)}


def test_every_setting_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.toml"
    path.write_text('ear = "yamnet"\nthreshold = 0.2\n[media]\nwindow_seconds = 20.0\n')
    monkeypatch.setenv("AV_TAGGER_OFFLINE", "1")
    found = origins(ModelOptions({"threshold": 0.3}, path))
    assert found["ear"] == ("yamnet", str(path))
    assert found["threshold"] == (0.3, "flag")
    assert found["media.window_seconds"] == (20.0, str(path))
    assert found["eye.keyframes"] == (4, "default")
    assert found["offline"] == (True, "AV_TAGGER_OFFLINE")


def test_the_page_fits_80_columns(av_tag: AvTag) -> None:
    done = av_tag("config")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.lines)) <= 80
    assert any(line.startswith("media.window_seconds") for line in done.lines)


def test_every_setting_is_explained() -> None:
    bare = [one.name for one in settings(ModelOptions({})) if not one.about]
    assert bare == []


def test_the_example_is_all_comments_and_valid_when_they_are_taken_away(
    av_tag: AvTag, tmp_path: Path
) -> None:
    done = av_tag("config", "--example")
    assert max(map(len, done.lines)) <= 80
    kept = [line for line in done.lines if line and not line.startswith(("#", "["))]
    assert kept == []
    path = tmp_path / "av-tag.toml"
    path.write_text(done.out)
    assert configure(path) == Config()
    setting = re.compile(r"# (\w+ = .*)")
    lines = [line for line in done.lines if not line.endswith("# not set")]
    path.write_text("\n".join(setting.sub(r"\1", line) for line in lines))
    assert configure(path) == Config()
