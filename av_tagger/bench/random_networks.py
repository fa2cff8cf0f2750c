"""The pipeline with random weights, for measuring speed, and the arithmetic its networks need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.branch import MilEar
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.bench.measure import Work, seconds_of
from av_tagger.labels import dcase2017
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.branch import EyeParts, EyeSettings, SparseEye
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.folded import Folded
from av_tagger.video.keyframes import selector
from av_tagger.video.quantised import Quantised
from av_tagger.video.recognise import NetworkRecogniser, build_classifier

ALEXNET_FLOP = 2 * (
    64 * 363 * 55**2 + 192 * 1600 * 27**2 + (384 * 1728 + 256 * 3456 + 256 * 2304) * 13**2
)  # per picture, conv1 to conv5
RECOGNISER_FLOP = {"inception_v4": 24.5e9}  # per picture
ARCHITECTURE = EarArchitecture(17, margin=5)  # the CRNN of the paper


@dataclass
class UniformWords:
    """Equal similarities; the real table is made at load and costs no time later."""

    name: str = "uniform"

    def similarity(self, objects: Sequence[str], sounds: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(objects), len(sounds)), 0.5, dtype=np.float32)


def alexnet() -> nn.Sequential:
    """AlexNet up to conv5."""
    architecture = ARCHITECTURES["alexnet"]
    return architecture.up_to("conv5", architecture.build().state_dict())


def alexnet_features(how: Compute) -> NetworkFeatures:
    """The frame features of the eye, int8 if `how` says so."""
    geometry = ARCHITECTURES["alexnet"].geometry
    folded = Folded(alexnet(), geometry)
    network = Quantised(folded) if how.int8 else folded
    how = replace(how, dtype=torch.float32) if how.int8 else how
    return NetworkFeatures("alexnet", network, geometry, how)


def random_eye(how: Compute, recogniser: str = "inception_v4") -> SparseEye:
    """The whole eye: AlexNet features, sparse coding, a recogniser and equal word similarities."""
    network = NetworkRecogniser(recogniser, build_classifier(recogniser), how)
    parts = EyeParts(alexnet_features(how), selector("sparse"), network, UniformWords())
    return SparseEye(parts, dcase2017(), EyeSettings())


def random_ear(device: str = "cpu") -> MilEar:
    """The CRNN of the paper."""
    header = Header("random", ARCHITECTURE, dcase2017().labels)
    return MilEar(build_network(ARCHITECTURE), header, device)


def matmul_rate(kind: torch.dtype, n: int = 2048) -> float:
    """Operations per second of an n x n matrix product: the practical limit of a network."""
    if kind == torch.int8:
        a = torch.randint(-127, 128, (n, n), dtype=torch.int8)
        product: Work = lambda: torch._int_mm(a, a)  # noqa: E731, SLF001 - it has no public name
    else:
        a = torch.randn(n, n).to(kind)
        product = lambda: a @ a  # noqa: E731
    return 2 * n**3 / min(seconds_of(product) for _ in range(4))
