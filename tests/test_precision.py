"""One vocabulary of number formats, in every place where a user can name one."""

from __future__ import annotations

import pytest
import torch

from av_tagger.audio.settings import EarSettings
from av_tagger.config import configure
from av_tagger.errors import UsageError
from av_tagger.learning.distributed import joined
from av_tagger.precision import SHORT, parse_precision
from av_tagger.video.branch import EyeSettings

ALL = ("float32", "bfloat16", "float16", "int8")


@pytest.mark.parametrize("name", [*ALL, *SHORT])
def test_full_and_short_names(name: str) -> None:
    assert parse_precision(name, ALL) == SHORT.get(name, name)


@pytest.mark.parametrize(("name", "near"), [("bfloat", "bfloat16"), ("float", "float32")])
def test_a_wrong_name_is_told_what_is_near(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"there is no precision '{name}'; did you mean '{near}'"):
        parse_precision(name, ALL)


def test_a_format_that_a_part_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no precision 'fp16'; did you mean 'bfloat16'"):
        parse_precision("fp16", ("float32", "bfloat16"))


def test_ear_eye_and_training_use_it() -> None:
    assert EarSettings(precision="bf16").precision == "bfloat16"
    assert EyeSettings(precision="fp32").precision == "float32"
    with joined("cpu", "bf16") as group:
        assert group.dtype == torch.bfloat16


def test_settings_files_and_flags_may_be_short() -> None:
    config = configure(flags={"eye": {"precision": "bf16"}, "hearing": {"precision": "bf16"}})
    assert (config.eye.precision, config.hearing.precision) == ("bfloat16", "bfloat16")
    with pytest.raises(UsageError, match=r"flags\.eye: there is no precision 'fp8'"):
        configure(flags={"eye": {"precision": "fp8"}})


def test_the_old_name_of_the_ears_setting_still_works() -> None:
    with pytest.warns(FutureWarning, match="'dtype' is now called 'precision'"):
        config = configure(flags={"hearing": {"dtype": "bfloat16"}})
    assert config.hearing.precision == "bfloat16"
