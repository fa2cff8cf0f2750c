"""Steps that tagging commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from av_tagger import weights
from av_tagger.cli.options import ModelOptions, OutputOptions, TalkOptions
from av_tagger.cli.session import (
    Jobs,
    build_tagger,
    check_outputs,
    gather,
    load_tagger,
    plan_of,
    say,
    settings_of,
)
from av_tagger.clip import Clip
from av_tagger.errors import DeviceError, UsageError
from av_tagger.scores import Failed
from av_tagger.tagger import Tagger
from tests.assets import make_audio

STARTER = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)
QUIET = TalkOptions(quiet=True)
EAR = {"ear": "starter", "only": "ear", "offline": True, "device": "cpu"}


@dataclass
class Echo:
    """A tagger that returns the clips."""

    seen: list[Clip]

    def stream(self, clips: list[Clip]) -> object:
        self.seen += clips
        yield from clips


def test_inputs_become_clips_in_their_order(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav"):
        make_audio(tmp_path / name, seconds=0.1)
    jobs = gather([str(tmp_path / "b.wav"), str(tmp_path)])
    assert [item.path.name for item in jobs.items if isinstance(item, Clip)] == ["b.wav", "a.wav"]
    assert len(jobs) == 2


def test_an_input_that_is_not_there_fails_alone(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav", seconds=0.1)
    jobs = gather([str(tmp_path / "*.mp4"), str(tmp_path / "a.wav")])
    missing, found = jobs.items
    assert isinstance(missing, Failed)
    assert "*.mp4" in missing.message
    assert isinstance(found, Clip)


def test_no_inputs_are_refused() -> None:
    with pytest.raises(UsageError, match="name at least one file, folder or glob"):
        gather([])


def test_failed_inputs_are_outcomes_and_are_not_tagged() -> None:
    bad, good = Failed(Clip(Path("bad")), "media", "is broken"), Clip(Path("good"))
    echo = Echo([])
    assert list(Jobs((bad, good)).outcomes(cast("Tagger", echo))) == [bad, good]
    assert echo.seen == [good]


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        (OutputOptions(format="csv"), 1, "--format needs a folder"),
        (OutputOptions(format="cvs", output=Path("x")), 1, "did you mean 'csv'"),
        (OutputOptions(annotate=Path("x.mp4")), 2, "--annotate takes one video"),
    ],
)
def test_wrong_outputs_are_refused(options: OutputOptions, inputs: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_outputs(options, inputs)


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
    assert "crnn.starter" in said
    assert "device: cpu" in said
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
