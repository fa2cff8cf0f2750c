"""av-tag weights: the list at 80 columns, checks, downloads that are not possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger import weights
from av_tagger.catalogue import CATALOGUE
from tests.cli.conftest import AvTag

STARTER = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)


def test_the_list_names_every_file_in_80_columns(on_terminal: AvTag) -> None:
    done = on_terminal("weights", "list")
    assert (done.code, done.err) == (0, "")
    names = [line.split()[0] for line in done.lines if line[:1].isalpha()]
    assert names[:-1] == list(CATALOGUE)
    paths = (str(path) for path in weights.folders())
    long = [line for line in done.lines if len(line.rstrip()) > 80]
    assert all(len(line.split()) == 1 for line in long), "only paths may be longer"
    assert all(path in done.out for path in paths)
    for word in ("MIT", "absent", "Apache-2.0"):
        assert word in done.out


@STARTER
def test_a_file_that_is_here_is_listed_with_its_path(av_tag: AvTag) -> None:
    lines = av_tag("weights", "list").lines
    at = next(i for i, line in enumerate(lines) if line.startswith("crnn.starter"))
    assert "MB" in lines[at]
    assert "whole" in lines[at + 1]
    assert any(str(weights.locate("crnn.starter")) in line for line in lines[at : at + 5])


@STARTER
def test_check_of_files_that_are_whole(av_tag: AvTag) -> None:
    done = av_tag("weights", "check", "crnn.starter")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"crnn.starter: whole, {weights.locate('crnn.starter')}\n"


def test_check_of_a_named_absent_file_fails(av_tag: AvTag) -> None:
    done = av_tag("weights", "check", "efficientat.mn20")
    assert (done.code, done.out) == (1, "efficientat.mn20: absent\n")


def test_check_of_all_files_ignores_absent_ones(av_tag: AvTag) -> None:
    done = av_tag("weights", "check")
    assert done.code == 0
    assert len(done.lines) == len(CATALOGUE)


def test_a_damaged_file_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, av_tag: AvTag
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path))
    (tmp_path / CATALOGUE["efficientat.mn04"].filename).write_bytes(b"damaged")
    done = av_tag("weights", "check")
    assert done.code == 1
    assert "efficientat.mn04: damaged" in done.out


def test_offline_fetch_says_how_to_install_by_hand(av_tag: AvTag) -> None:
    done = av_tag("weights", "fetch", "efficientat.mn20", "--offline")
    assert (done.code, done.out) == (2, "")
    for words in ("mn20_as_mAP_478.pt", "--offline", "download", str(weights.cache_folder())):
        assert words in done.err


@STARTER
def test_fetch_of_a_file_that_is_here_prints_its_path(av_tag: AvTag) -> None:
    done = av_tag("weights", "fetch", "crnn.starter")
    assert (done.code, done.out) == (0, f"{weights.locate('crnn.starter')}\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fetch", "efficientat.mn4"), "did you mean 'efficientat.mn04'?"),
        (("check", "efficientat.mn4"), "did you mean 'efficientat.mn04'?"),
        (("fetch",), "Missing argument 'NAME...'"),
        (
            ("convert", "alexnet", "file.h5"),
            "there is no converter for 'alexnet'; known: vggish, yamnet",
        ),
        (("convert", "yamnet"), "Missing argument 'FILE'"),
    ],
)
def test_wrong_words_are_one_sentence(words: tuple[str, ...], sentence: str, av_tag: AvTag) -> None:
    done = av_tag("weights", *words)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1
