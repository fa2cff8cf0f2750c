"""Settings of a run: defaults, file, flags, and what follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from av_tagger.config import FAST_FRAME_RATE, Config, MediaSettings, configure
from av_tagger.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(
        'ear = "yamnet"\nthreshold = 0.3\n[eye]\nkeyframes = 6\n[media]\nbackend = "decord"'
    )
    return path


def test_defaults() -> None:
    assert configure() == Config()
    assert (Config().ear, Config().device, Config().fusion) == ("auto", "auto", "auto")


def test_a_file_overrides_defaults_and_flags_override_the_file(file: Path) -> None:
    config = configure(file, {"threshold": 0.7})
    assert (config.ear, config.threshold, config.eye.keyframes) == ("yamnet", 0.7, 6)
    assert configure(file).threshold == 0.3


def test_the_flag_for_the_decoder_overrides_the_file(file: Path) -> None:
    assert configure(file).decoder == "decord"
    assert configure(file, {"backend": "pyav"}).decoder == "pyav"
    assert Config().decoder == "pyav"


def test_errors_of_the_file_name_the_file(file: Path) -> None:
    file.write_text("[eye]\nkeyframe = 3")
    with pytest.raises(
        UsageError, match=r"run\.toml\.eye: there is no setting 'keyframe'; did you"
    ):
        configure(file)
    file.write_text("threshold = 3")
    with pytest.raises(UsageError, match=r"run\.toml: threshold must lie between 0 and 1: 3"):
        configure(file)


def test_errors_of_flags_name_the_flags() -> None:
    with pytest.raises(UsageError, match=r"flags\.only: 'nose' is not a choice"):
        configure(flags={"only": "nose"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_seconds": 1.0, "overlap_seconds": 1.0},
        {"overlap_seconds": -0.1},
        {"limit_seconds": 0.0},
        {"window_seconds": 1e9},
    ],
    ids=str,
)
def test_wrong_windows_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{list(wrong)[-1]} must "):
        MediaSettings(**wrong)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threshold = nan", "threshold: expected a finite, plausible number, got nan"),
        ("[media]\nwindow_seconds = inf", "media.window_seconds: expected a finite"),
        ("[media]\nlimit_seconds = -1", "media: limit_seconds must lie between"),
        ("[eye]\nkeyframes = -3", "eye: keyframes must lie between 1 and 1000, not -3"),
        ("[eye]\nkeyframes = 1000000000", "eye: keyframes must lie between 1 and 1000"),
        ("[eye]\nbatch = 100000000", "eye: batch must lie between 0 and 4096"),
        ("[eye]\nfloor = 2", "eye: floor must lie between 0 and 1, not 2.0"),
        ("[eye]\nnetwork = 5", "eye.network: expected text, got 5"),
        ("[hearing]\nbatch_seconds = 1e12", "hearing: batch_seconds must lie between"),
        ('[hearing]\nassumption = "tmi:' + "9" * 5000 + '"', "hearing: the bag assumption is"),
        ("[events]\ngap_seconds = -1", "events: gap_seconds must lie between"),
        ("ear = 5", "ear: expected text, got 5"),
        ("fast = 1", "fast: expected true or false, got 1"),
    ],
)
def test_values_that_make_no_sense_name_their_setting(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        configure(file)
    assert str(caught.value).startswith(str(file))
    assert words in str(caught.value)


def test_the_environment_forbids_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AV_TAGGER_OFFLINE", "1")
    assert configure().offline
    assert configure(flags={"device": "cpu"}).offline


def test_fast_samples_frames_and_uses_int8() -> None:
    fast = configure(flags={"fast": True})
    assert (fast.frame_rate, fast.skip_nonref) == (FAST_FRAME_RATE, True)
    assert fast.eye_settings.precision == "int8"
    assert fast.eye.precision == "auto", "what was asked for is kept"
    slow = Config()
    assert (slow.frame_rate, slow.skip_nonref) == (None, False)
    assert slow.eye_settings == slow.eye


def test_settings_override_fast() -> None:
    config = configure(flags={"fast": True, "eye": {"frame_rate": 2.0, "precision": "float32"}})
    assert config.frame_rate == 2.0
    assert config.eye_settings.precision == "float32"


@pytest.mark.parametrize(
    "change",
    [
        {"ear": "yamnet"},
        {"only": "ear"},
        {"device": "cpu"},
        {"classes": "all"},
        {"fusion": "even"},
        {"offline": True},
        {"media": {"limit_seconds": 1.0}},
        {"eye": {"pictures": False}},
        {"eye": {"words": "glove.txt"}},
    ],
    ids=str,
)
def test_numbers_leave_out_names_that_a_plan_resolves(change: dict[str, Any]) -> None:
    assert configure(flags=change).numbers() == Config().numbers()


@pytest.mark.parametrize(
    "change",
    [{"fast": True}, {"threshold": 0.1}, {"backend": "decord"}, {"events": {"gap_seconds": 1.0}}],
    ids=str,
)
def test_numbers_hold_what_changes_results(change: dict[str, Any]) -> None:
    assert configure(flags=change).numbers() != Config().numbers()
