"""av-tag bench: the smallest measurement, wrong options, and a plain install without librosa."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import pytest

from av_tagger.bench import pipeline
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.cli.main import main

SMALL = ("--clips=1", "--rounds=1", "--seconds=1", "--kinds=mpeg4:96x64", "--threads=1")
NETWORK = "--recogniser=mobilenetv3_small_050"


def bench(words: Sequence[str]) -> int:
    """The exit code of `av-tag bench`."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words])
    return int(ended.value.code or 0)


def test_the_smallest_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench([*SMALL, NETWORK]) == 0
    said = capsys.readouterr().out
    assert "random weights: this measures speed alone" in said
    assert float(re.findall(r"runner against naive: ([\d.]+) x by wall", said)[0]) > 0


def test_options_reach_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[PipelineSettings] = []
    monkeypatch.setattr(pipeline, "bench", given.append)
    assert bench(["--clips", "3", "--fast", "--kinds", "vp9:64x48"]) == 0
    assert given == [PipelineSettings(clips=3, fast=True, kinds="vp9:64x48")]


def test_defaults_are_those_of_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[PipelineSettings] = []
    monkeypatch.setattr(pipeline, "bench", given.append)
    assert bench([]) == 0
    assert given == [PipelineSettings()]


def test_without_librosa_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    assert bench([*SMALL]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "pip install librosa (extra 'bench'" in said.err
    assert "Traceback" not in said.err


def test_an_unknown_codec_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(["--kinds", "h246:96x64"]) == 2
    said = capsys.readouterr()
    assert "there is no codec 'h246'; did you mean 'h264'?" in said.err


def test_a_number_that_is_too_small_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(["--clips", "0"]) == 2
    assert "--clips" in capsys.readouterr().err
