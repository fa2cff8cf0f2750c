"""Steps that tagging commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger import weights
from av_tagger.cli.options import ModelOptions, TalkOptions
from av_tagger.cli.session import build_tagger, load_tagger, plan_of, say, say_advice, settings_of
from av_tagger.errors import DeviceError
from av_tagger.tagger import Tagger

STARTER = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)
QUIET = TalkOptions(quiet=True)
EAR = {"ear": "starter", "only": "ear", "offline": True, "device": "cpu"}


def test_flags_override_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('ear = "yamnet"\nthreshold = 0.2')
    models = ModelOptions({"threshold": 0.0}, tmp_path / "run.toml")
    config = settings_of(models)
    assert (config.ear, config.threshold) == ("yamnet", 0.0)


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    say("a remark", QUIET)
    assert capsys.readouterr().err == ""
    say("a remark", TalkOptions())
    assert "a remark" in capsys.readouterr().err


@STARTER
def test_a_tagger_says_what_it_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    tagger = load_tagger(ModelOptions(EAR), TalkOptions())
    assert isinstance(tagger, Tagger)
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == "ear: starter · eye: off · device: cpu"
    load_tagger(ModelOptions(EAR), QUIET)
    assert capsys.readouterr().err == ""


@STARTER
def test_advice_is_printed_before_the_networks_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text('[eye]\nnetwork = "alexnet_grouped"\n')
    load_tagger(ModelOptions({**EAR, "only": "eye"}, tmp_path / "run.toml"), TalkOptions())
    lines = capsys.readouterr().err.splitlines()
    assert "alexnet_grouped: its weights are not here" in lines[0]
    assert lines[-1].lstrip().startswith("ear: off")


@STARTER
def test_advice_is_said_once_a_day_or_with_verbose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text('[eye]\nnetwork = "alexnet_grouped"\n')
    plan = plan_of(ModelOptions({**EAR, "only": "eye"}, tmp_path / "run.toml"), TalkOptions())
    said = []
    for talk in (QUIET, TalkOptions(), TalkOptions(), TalkOptions(verbose=True)):
        say_advice(plan, talk)
        said.append("alexnet_grouped: its weights are not here" in capsys.readouterr().err)
    assert said == [False, True, False, True]


@STARTER
def test_a_missing_device_is_refused_before_anything_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text('[eye]\nnetwork = "alexnet_grouped"\n')
    given = {**EAR, "only": "eye", "device": "cuda:77"}
    plan = plan_of(ModelOptions(given, tmp_path / "run.toml"), TalkOptions())
    assert plan.advice
    capsys.readouterr()
    with pytest.raises(DeviceError, match="CUDA devices found"):
        build_tagger(plan, TalkOptions())
    assert "alexnet" not in capsys.readouterr().err
