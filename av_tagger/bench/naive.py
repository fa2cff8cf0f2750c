"""A plain implementation of the paper, one frame and one clip at a time, as a baseline for speed.

Each step uses the usual library in its usual way: OpenCV decodes frame by frame, AlexNet describes
one frame at a time in float32, SciPy's pdist gives the dissimilarities (AV eq. 1), cvxpy solves the
sparse-coding program (AV eq. 2-3) at one lambda, the recogniser sees one key frame at a time,
librosa computes the log-mel features, and the CRNN hears one clip at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from av_tagger.audio.architecture import EarArchitecture, LogMelSettings
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import missing_library

KEYFRAMES = 4
LAMBDA = 0.1  # relative to the largest useful value
FAST_SECONDS = 0.125  # between candidate frames with fast=True

Images = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True)
class Naive:
    """The networks of the paper with random weights."""

    alexnet: nn.Module
    recogniser: nn.Module
    crnn: MilNetwork

    def tag(
        self, path: Path, *, fast: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """(objects,) and (classes,) probabilities of one file."""
        return self.see(read_frames(path, fast=fast)), self.hear(path)

    def see(self, frames: Images) -> NDArray[np.float64]:
        """(objects,) probabilities, averaged over the key frames."""
        features = np.stack([self.describe(frame) for frame in frames])
        recognised = [self.recognise(frames[row]) for row in key_frames(features)]
        objects: NDArray[np.float64] = np.mean(recognised, axis=0)
        return objects

    def describe(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            features = self.alexnet(_prepared(frame, 256, 224)).flatten().numpy()
        return np.asarray(features, np.float32)

    def recognise(self, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        with torch.no_grad():
            probabilities = self.recogniser(_prepared(frame, 342, 299)).softmax(1)[0]
        return np.asarray(probabilities.double().numpy())

    def hear(self, path: Path) -> NDArray[np.float32]:
        """(classes,) probabilities of the sound of one file."""
        librosa = import_librosa()
        s = LogMelSettings()
        samples, rate = read_sound(path)
        wave = librosa.resample(samples, orig_sr=rate, target_sr=s.rate)
        mel = librosa.feature.melspectrogram(
            y=wave, sr=s.rate, n_fft=s.fft, hop_length=s.hop, win_length=s.window, n_mels=s.mels
        )
        features = torch.from_numpy(np.log(mel + s.floor).T[None].astype(np.float32))
        with torch.no_grad():
            return np.asarray(self.crnn(features).bags[0].numpy(), np.float32)


def import_librosa() -> Any:
    """librosa, or one sentence that says how to install it."""
    try:
        import librosa
    except ImportError as error:
        need = "the plain side of this benchmark needs"
        raise missing_library(need, "librosa", error, "bench") from error
    return librosa


def build(recogniser: str = "inception_v4") -> Naive:
    """The networks, with random weights from torch's generator."""
    import timm
    from torchvision.models import alexnet

    convolutions = alexnet(weights=None).features[:12]  # up to conv5 with its ReLU
    objects = timm.create_model(recogniser, pretrained=False)
    crnn = build_network(EarArchitecture(17, margin=5))
    return Naive(convolutions.eval(), objects.eval(), crnn.eval())


def read_frames(path: Path, *, fast: bool = False) -> list[NDArray[np.uint8]]:
    """Every frame at full size, or with `fast` those nearest to a grid of 8 per second."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS) or 24.0
    kept: list[NDArray[np.uint8]] = []
    number = 0
    while True:
        good, frame = capture.read()
        if not good:
            break
        if not fast or number / rate >= len(kept) * FAST_SECONDS:
            kept.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        number += 1
    capture.release()
    return kept


def read_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    """Mono samples and their rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray().mean(axis=0) for frame in container.decode(stream)]
        return np.concatenate(parts).astype(np.float32), int(stream.rate)


def key_frames(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows with the largest sums of Z, which minimises sum d_ij z_ij + lambda sum_i max_j z_ij."""
    import cvxpy
    from scipy.spatial.distance import pdist, squareform

    d = squareform(pdist(features))
    d /= d.mean()
    n = len(d)
    totals = np.sort(d.sum(axis=1))
    weight = LAMBDA * max(float(np.max(d.max(axis=0) * n - totals[0])) / 2, 1e-6)
    z = cvxpy.Variable((n, n), nonneg=True)
    cost: Any = cvxpy.sum(cvxpy.multiply(d, z)) + weight * cvxpy.sum(cvxpy.max(z, axis=1))
    cvxpy.Problem(cvxpy.Minimize(cost), [cvxpy.sum(z, axis=0) == 1]).solve(solver=cvxpy.HIGHS)
    return np.sort(np.argsort(-z.value.sum(axis=1))[:KEYFRAMES]).astype(np.int64)


def _prepared(frame: NDArray[np.uint8], resize: int, crop: int) -> torch.Tensor:
    """(1, 3, crop, crop), as torchvision's classifiers expect it."""
    from PIL import Image
    from torchvision.transforms import functional as T

    picture = T.center_crop(T.resize(Image.fromarray(frame), [resize]), [crop])
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    batch: torch.Tensor = T.normalize(T.to_tensor(picture), mean, std)[None]
    return batch
