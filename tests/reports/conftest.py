"""Results made by hand, and real browsers."""

from __future__ import annotations

import io
import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.labels import dcase2017
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    KeyFrame,
    Outcome,
    RunInfo,
    Status,
    Tag,
    Tagged,
)
from tests.reports.chromium import Chromium
from tests.reports.firefox import DoesNotStart, Firefox

if TYPE_CHECKING:
    from collections.abc import Iterator

LABELS = dcase2017().labels


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (160, 90)) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def bumps(seconds: float, start: float, centres: dict[str, list[tuple[float, float]]]) -> Activity:
    """Activity with a smooth bump per sound: (centre in seconds, height)."""
    times = start + np.arange(round(seconds * 10)) / 10
    values = np.full((len(times), len(LABELS)), 0.03)
    for label, places in centres.items():
        for centre, height in places:
            values[:, LABELS.index(label)] += height * np.exp(-(((times - centre) / 0.8) ** 2))
    return Activity(values.clip(0, 1).astype(np.float32), 10.0, start)


def street(path: Path = Path("films/street corner.mp4")) -> Tagged:
    """A whole file: a train horn heard twice, and a bus that was seen rather than heard."""
    horn = Tag(
        "Train horn",
        0.81,
        0.35,
        0.9,
        0.42,
        (Event(1.0, 2.5, 0.95), Event(6.0, 7.25, 0.6)),
        (Evidence(3.2, "electric locomotive", 0.42, 0.61),),
    )
    bus = Tag(
        "Bus",
        0.55,
        0.4,
        0.2,
        0.64,
        (),
        (Evidence(3.2, "trolleybus", 0.3, 0.71), Evidence(8.1, "minibus", 0.34, 0.83)),
    )
    scores = {label: ClassScore(0.05, 0.06, 0.0, 0.3) for label in LABELS}
    scores |= {
        "Train horn": ClassScore(0.81, 0.9, 0.42, 0.35),
        "Bus": ClassScore(0.55, 0.2, 0.64, 0.4),
    }
    keyframes = (
        KeyFrame(
            3.2, 0.6, (("electric locomotive", 0.42), ("trolleybus", 0.3)), picture((70, 110, 160))
        ),
        KeyFrame(8.1, 0.4, (("minibus", 0.34), ("street sign", 0.2)), picture((150, 120, 60))),
    )
    return Tagged(
        clip=Clip(path),
        duration_seconds=10.0,
        tags=(horn, bus),
        scores=scores,
        keyframes=keyframes,
        ear=BranchInfo(Status.OK, "crnn", "starter-1"),
        eye=BranchInfo(Status.OK, "inception_v4", "timm"),
        run=RunInfo("0.1.0", "cpu", "0123456789ab", 1.5),
        activity=bumps(10.0, 0.0, {"Train horn": [(1.7, 0.9), (6.6, 0.55)], "Bus": [(8.0, 0.2)]}),
        notes=("3 frames could not be decoded",),
    )


def window() -> Tagged:
    """Ten seconds of a longer file with a hostile name: heard only, two sounds overlap."""
    horn = Tag("Train horn", 0.7, 0.35, 0.7, None, (Event(61.0, 64.0, 0.7),))
    alarm = Tag("Car alarm", 0.5, 0.35, 0.5, None, (Event(63.0, 66.5, 0.5),))
    scores = {label: ClassScore(0.05, 0.05, None, math.inf) for label in LABELS}
    scores |= {
        "Train horn": ClassScore(0.7, 0.7, None, 0.35),
        "Car alarm": ClassScore(0.5, 0.5, None, 0.35),
    }
    return Tagged(
        clip=Clip(Path("-5QrBL6MzLg_60.000_190.000 & <b>.mp4"), 60.0, 70.0),
        duration_seconds=10.0,
        tags=(horn, alarm),
        scores=scores,
        keyframes=(),
        ear=BranchInfo(Status.DEGRADED, "crnn", "starter-1"),
        eye=BranchInfo(Status.NO_WEIGHTS, "inception_v4"),
        run=RunInfo("0.1.0", "cpu", "0123456789ab", 0.5),
        activity=bumps(10.0, 60.0, {"Train horn": [(62.5, 0.7)], "Car alarm": [(64.7, 0.5)]}),
    )


def dcase_clip() -> Tagged:
    """A clip without tags, named like those of DCASE."""
    scores = {label: ClassScore(0.05, 0.05, math.nan, 0.3) for label in LABELS}
    branch = BranchInfo(Status.OK, "crnn", "starter-1")
    clip = Clip(Path("audio/Y-5QrBL6MzLg_60.000_70.000.wav"))
    return Tagged(
        clip,
        10.0,
        (),
        scores,
        (),
        branch,
        BranchInfo(Status.NO_TRACK, "inception_v4"),
        RunInfo("0.1.0", "cpu", "0123456789ab", 0.2),
    )


@pytest.fixture
def sample() -> list[Outcome]:
    broken = Failed(
        Clip(Path('broken, "quoted".mp4')), "media", 'broken, "quoted".mp4: cannot be opened'
    )
    return [street(), window(), dcase_clip(), broken]


@pytest.fixture
def tagged() -> Tagged:
    return street()


PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "chrome"),
    "firefox": ("firefox", "firefox-esr"),
}


def started(name: str, profile: Path) -> Chromium | Firefox:
    program = next((p for p in map(shutil.which, PROGRAMS[name]) if p), None)
    if program is None or sys.platform == "win32":
        pytest.skip(f"{name.capitalize()} is not installed")
    try:
        return (Firefox if name == "firefox" else Chromium)(program, profile)
    except DoesNotStart as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium | Firefox]:
    one = started("chromium", tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture(scope="module", params=list(PROGRAMS))
def each_browser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chromium | Firefox]:
    one = started(request.param, tmp_path_factory.mktemp("profile"))
    yield one
    one.close()
