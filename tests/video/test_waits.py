"""What a card is asked for, without one: nothing waits per clip.

torch's fake tensors have a device and a shape but no values, so code that waits for a value of the
device (`.item()`, `if tensor`, `nonzero`) fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from av_tagger.audio import branch
from av_tagger.audio.known import ear as known_ear
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import FAMILIES
from av_tagger.bench.free_networks import free_eye
from av_tagger.bench.random_networks import random_ear
from av_tagger.clip import ColourMatrix, Frames, Waveform
from av_tagger.networks import upload, upload_rows
from av_tagger.protocols import EyeDetails
from av_tagger.video import cuts, keyframes
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.card_frames import copied, rgb_on
from av_tagger.video.cuts import _lengths_and_changes
from av_tagger.video.distances import distances, without_waiting
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.folded import Thumbnail
from av_tagger.video.keyframes import SparseKeyframes
from av_tagger.video.pixels import prepare, prepare_rgb
from av_tagger.video.recognise import normalised
from tests.assets import as_planes, in_rgb, smooth_pictures

CARD = torch.device("cuda", 0)
GEOMETRY = ARCHITECTURES["alexnet"].geometry


@pytest.fixture
def fake_card() -> Iterator[None]:
    """Tensors of a card without values."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def films(count: int = 3) -> list[Frames]:
    """Planes and pictures, with repeats, of two sizes."""
    found = []
    for i in range(count):
        pictures = smooth_pictures(6 + i % 2, 360 if i % 3 else 270, 480)
        planes = as_planes(pictures[[0, 0, *range(1, len(pictures))]], ColourMatrix())
        found.append(in_rgb(planes) if i % 3 == 2 else planes)
    return found


@pytest.mark.usefixtures("fake_card")
def test_the_stand_in_refuses_to_be_waited_for() -> None:
    with pytest.raises(DataDependentOutputException):
        torch.zeros(3, device=CARD)[0].item()


@pytest.mark.usefixtures("fake_card")
def test_features_distances_and_cuts_wait_for_nothing() -> None:
    describe = NetworkFeatures("thumbnail", Thumbnail(), GEOMETRY, Compute(4, CARD))
    clips = films()
    features = describe.describe(clips)
    found = [*features, *distances(features), *map(_lengths_and_changes, features)]
    assert {one.device for one in found} == {CARD}
    assert [len(one) for one in features] == [len(clip) for clip in clips]


@pytest.mark.usefixtures("fake_card")
@pytest.mark.parametrize("number", [0, 2], ids=["planes", "pictures"])
def test_pixels_for_the_networks_wait_for_nothing(number: int) -> None:
    film, rows = films()[number], np.array([0, 3, 5])
    assert prepare(film, rows, GEOMETRY, CARD).values.device == CARD
    pictures = prepare_rgb(rgb_on([film, film], [rows, rows[:1]], CARD), GEOMETRY)
    assert pictures.shape == (4, 3, GEOMETRY.crop, GEOMETRY.crop)
    assert normalised(pictures, GEOMETRY).device == CARD
    stacks = [torch.from_numpy(film.images)] * 2
    assert copied(stacks, [rows, rows[:2]], CARD).shape == (5, *film.images.shape[1:])


@pytest.mark.usefixtures("fake_card")
def test_uploads_wait_for_nothing() -> None:
    rows = [np.zeros(n, np.float32) for n in (5, 3)]
    assert upload_rows(rows, 8, CARD).shape == (2, 8)
    assert upload(torch.zeros(3), CARD).device == CARD


class Waits:
    """Counts what waits for a device, were the tensors there."""

    NAMES = ("cpu", "item", "__bool__", "nonzero")

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in self.NAMES:
            patch.setattr(torch.Tensor, name, self.counted(getattr(torch.Tensor, name)))
        for module in (keyframes, cuts):
            patch.setattr(module, "download", self.download)

    def counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.count += 1
            return method(*given, **named)

        return call

    def download(self, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """One wait for all, whose results are here."""
        self.count += 1
        return list(values)

    def of(self, work: Callable[[], object]) -> int:
        before = self.count
        work()
        return self.count - before


@pytest.mark.parametrize("clips", [1, 2, 8])
@pytest.mark.parametrize("cuts", [False, True])
def test_the_eye_waits_once_per_step_and_batch(
    clips: int, cuts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For distances, for objects, and for cuts where they are wanted; not per clip."""
    details = EyeDetails(pictures=False, objects=False, cuts=cuts)
    eye, batch = free_eye("mobilenetv3_small_050").reporting(details), films(clips)
    eye.parts = replace(eye.parts, selector=SparseKeyframes())
    monkeypatch.setattr(keyframes, "distances", lambda found: list(map(without_waiting, found)))
    eye.see(batch)
    waits = Waits(monkeypatch)
    assert waits.of(lambda: eye.see(batch)) == 2 + cuts


def test_the_ear_waits_once_per_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    ear = random_ear()
    waves = [Waveform(np.zeros(ear.rate, np.float32), ear.rate) for _ in range(6)]
    waits = Waits(monkeypatch)
    monkeypatch.setattr(branch, "download", waits.download)
    assert waits.of(lambda: ear.hear(waves[:1])) == 1
    assert waits.of(lambda: ear.hear(waves)) == 1


def test_a_known_ear_waits_once_per_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """EfficientAT without its weights."""
    ear = KnownEar("efficientat.tiny", FAMILIES["efficientat"], EfficientAT(0.1))
    waves = [Waveform(np.zeros(ear.rate, np.float32), ear.rate) for _ in range(3)]
    waits = Waits(monkeypatch)
    monkeypatch.setattr(known_ear, "download", waits.download)
    monkeypatch.setattr(known_ear, "BATCH_SAMPLES", 1 << 30)
    assert waits.of(lambda: ear.hear(waves[:1])) == 1
    assert waits.of(lambda: ear.hear(waves)) == 1
