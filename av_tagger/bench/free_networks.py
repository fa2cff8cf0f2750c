"""Stand-ins for the networks that cost nothing: what is left is the work of the driving process.

They do the host part of a run on a GPU (batches, duplicates, results) and skip what the card does:
pixels, networks, distances, front end. Their answers have plausible shapes and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.audio.branch import MilEar
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.bench.random_networks import ARCHITECTURE
from av_tagger.clip import Frames, Rows
from av_tagger.labels import dcase2017
from av_tagger.video import fetch
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.branch import EyeParts, EyeSettings, SparseEye
from av_tagger.video.distances import check_distances, distances
from av_tagger.video.features import GPU_BATCH, Compute, NetworkFeatures
from av_tagger.video.folded import Thumbnail
from av_tagger.video.keyframes import SparseKeyframes
from av_tagger.video.recognise import NetworkRecogniser, build_classifier
from av_tagger.video.word_table import load_table

FEATURES = 64  # numbers per frame: the distances of so few cost next to nothing
SCENES = 4
FRAMES = 1024  # of the stored film; longer clips repeat it
PICTURES = 64  # with stored object probabilities
LOUD = (2, 11)  # classes that sound in every clip
SHARE = 10  # of the audio is loud: one part in so many


class FreeFeatures(NetworkFeatures):
    """Frame features of a stored film: four scenes, each with a slow drift and a little noise."""

    def __init__(self) -> None:
        geometry = ARCHITECTURES["alexnet"].geometry
        super().__init__("free", Thumbnail(), geometry, Compute(GPU_BATCH))

    def _features_of(self, clips: Sequence[Frames], batch: Sequence[tuple[int, Rows]]) -> Tensor:
        return torch.cat([_film(len(clips[c]))[rows] for c, rows in batch])


@cache
def _film(frames: int) -> Tensor:
    """(frames, FEATURES)."""
    random = np.random.default_rng(0)
    scenes = random.normal(0, 4, (SCENES, FEATURES))
    drift = random.normal(0, 1, (SCENES, FEATURES))
    place = np.arange(frames) * SCENES / frames
    scene = place.astype(int)
    film = scenes[scene] + (place - scene)[:, None] * drift[scene]
    film += random.normal(0, 0.1, film.shape)
    return torch.from_numpy(film.astype(np.float32))


class FreeKeyframes(SparseKeyframes):
    """As on a GPU, which computes the distances: their check and the search are real."""

    def _distances(self, features: Sequence[Tensor]) -> list[Tensor]:
        found = [_film_distances(len(one)) for one in features]
        for D in found:
            check_distances(D)
        return found


@cache
def _film_distances(frames: int) -> Tensor:
    return distances([_film(frames)])[0]


class StoredLogits(nn.Module):
    """Classifier outputs with a few probable objects, by the number that stands for a picture."""

    logits: Tensor

    def __init__(self, objects: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.num_classes = objects
        self.register_buffer("logits", 2.5 * torch.randn(PICTURES, objects, generator=generator))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.logits[pictures.flatten().long() % PICTURES]


class FreeRecogniser(NetworkRecogniser):
    """As on a GPU, which gets key frames as they were decoded, and prepares them itself."""

    @property
    def reads_frames(self) -> bool:
        return True

    def _prepared(self, films: Sequence[Frames], rows: Sequence[Rows]) -> Tensor:
        """Key frames are looked up, as a card is told to copy them from page-locked memory."""
        images = [torch.from_numpy(film.images) for film in films]
        chosen = [one[i] for one, picked in zip(images, rows, strict=True) for i in picked.tolist()]
        assert len(chosen) == sum(map(len, rows))
        return torch.from_numpy(np.concatenate(rows))

    def _input(self, x: Tensor) -> Tensor:
        """Prepared on the card."""
        return x


class FreeEar(MilEar):
    """Stored probabilities: two classes sound now and then, the others do not."""

    def __init__(self) -> None:
        header = Header("free", ARCHITECTURE, dcase2017().labels)
        super().__init__(build_network(ARCHITECTURE), header)

    def _stacked(self, waves: Sequence[NDArray[np.float32]], length: int) -> Tensor:
        """Samples stay where they are, as a card is told to copy them from page-locked memory."""
        for wave in waves:
            torch.from_numpy(wave)
        return torch.empty((len(waves), length))

    def _forward(self, waves: Tensor) -> list[tuple[NDArray[np.float32], ...]]:  # type: ignore[override]
        instances = -(-waves.shape[1] // self.instance_samples)
        return [_heard(instances, len(self.labels))] * len(waves)


@cache
def _heard(instances: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bag (classes,) and instance probabilities (instances, classes)."""
    timeline = np.random.default_rng(0).uniform(0, 0.1, (instances, classes)).astype(np.float32)
    loud = np.arange(instances) * SHARE // max(1, instances) % 3 == 1
    for k in LOUD:
        timeline[loud, k] = 0.9
    return timeline.max(axis=0), timeline


def free_eye(recogniser: str) -> SparseEye:
    """The whole eye with stored answers; key frames, words and evidence are real."""
    classifier = build_classifier(recogniser)
    classifier = replace(classifier, network=StoredLogits(len(classifier.objects)))
    classes, settings = dcase2017(), EyeSettings()
    path = fetch.find(fetch.TABLE)
    assert path is not None, "the table of the words is in the package"
    words = load_table(path, settings.word_rule, classes)
    network = FreeRecogniser(f"free {recogniser}", classifier, Compute())
    parts = EyeParts(FreeFeatures(), FreeKeyframes(), network, words)
    return SparseEye(parts, classes, settings)
