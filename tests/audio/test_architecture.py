"""Architectures and settings of ears as plain data."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from av_tagger.audio import base
from av_tagger.audio.architecture import (
    ACTIVATION_NAMES,
    CHOICES,
    EarArchitecture,
    FeatureShape,
    LogMelSettings,
)
from av_tagger.audio.settings import EarSettings
from av_tagger.errors import UsageError
from av_tagger.settings import from_table, to_table

FEATURES = FeatureShape(2, 64, 50.0)


def test_the_defaults_are_those_of_the_paper() -> None:
    settings = LogMelSettings()
    assert (settings.window / settings.rate, settings.hop / settings.rate) == (0.024, 0.005)
    assert settings.shape == FeatureShape(1, 60, 200.0)
    assert settings.frames(10 * settings.rate) == 2000
    assert settings.top_hz == 10_000


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 1), (1, 1), (100, 1), (101, 2), (199, 2), (200, 2)]
)
def test_frames_cover_all_samples(samples: int, frames: int) -> None:
    assert LogMelSettings().frames(samples) == frames


def test_deltas_are_a_second_channel() -> None:
    assert LogMelSettings(deltas=True).shape.channels == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate": 0}, "rate must lie between 100 and"),
        ({"window": 0}, "window must lie between 1 and"),
        ({"hop": -1}, "hop must lie between 1 and"),
        ({"mels": 0}, "mels must lie between 1 and"),
        ({"fft": 256}, "the FFT must cover the window"),
        ({"low_hz": -1.0}, "bands must lie between 0 Hz"),
        ({"high_hz": 12_000.0}, "bands must lie between 0 Hz"),
        ({"low_hz": 500.0, "high_hz": 400.0}, "bands must lie between 0 Hz"),
        ({"floor": -1e-9}, "floor must lie between 0 and"),
        ({"delta_width": 4}, "delta_width must be odd"),
        ({"delta_width": 1}, "delta_width must lie between 3 and"),
        *(({name: "other"}, f"{name} is one of") for name in CHOICES),
    ],
    ids=str,
)
def test_wrong_front_ends_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogMelSettings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"classes": 0}, "classes must lie between 1 and"),
        ({"classes": 2, "margin": -1}, "margin must lie between 0 and"),
        ({"classes": 2, "frontend": None}, "either a front end or the shape"),
        ({"classes": 2, "features": FEATURES}, "either a front end or the shape"),
        ({"classes": 2, "activation": "tanh"}, "the activation is one of sigmoid, softmax"),
    ],
    ids=str,
)
def test_wrong_architectures_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EarArchitecture(**wrong)


def test_the_shape_of_the_features() -> None:
    assert EarArchitecture(2).shape == LogMelSettings().shape
    assert EarArchitecture(2, frontend=None, features=FEATURES).shape == FEATURES


@pytest.mark.parametrize(
    "architecture",
    [
        EarArchitecture(3),
        EarArchitecture(3, "fuse", {"channels": [4, 8]}, "attention", {"nonlinearity": "relu"}),
        EarArchitecture(3, frontend=None, features=FEATURES, margin=2, residual_norm=0.1),
        EarArchitecture(3, frontend=LogMelSettings(rate=16_000, deltas=True)),
    ],
)
def test_tables_round_trip(architecture: EarArchitecture) -> None:
    assert EarArchitecture.from_table(architecture.to_table()) == architecture


def test_features_in_a_table_mean_no_front_end() -> None:
    table = {"classes": 2, "features": {"channels": 1, "bands": 8, "rate": 1.0}}
    assert EarArchitecture.from_table(table).frontend is None
    with pytest.raises(UsageError, match=r"architecture: .*'colour'"):
        EarArchitecture.from_table({"classes": 2, "colour": "red"})


def test_activations_can_be_computed() -> None:
    assert tuple(base.ACTIVATIONS) == ACTIVATION_NAMES


def test_ear_settings_round_trip() -> None:
    settings = EarSettings(precision="bf16", batch_seconds=10.0)
    assert from_table(EarSettings, to_table(settings), "here") == settings
    assert replace(settings, batch_seconds=60.0).precision == "bfloat16"


def test_plain_data_needs_no_torch() -> None:
    code = (
        "import sys, av_tagger.audio.ears, av_tagger.audio.header, av_tagger.audio.architecture; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
