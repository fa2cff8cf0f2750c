"""The paper's steps as plainly as they can be written: one frame, one picture, one clip at a time, each tool in its usual way.

Nothing here is meant to be quick or used; it is what `av_tagger.bench.pipeline` holds the runner against. OpenCV decodes frame by frame,
AlexNet sees one frame at a time in fp32, SciPy's pdist gives the dissimilarities (AV eq. 1), cvxpy solves the sparse-coding programme (AV
eq. 2-3) at one lambda, Inception-v4 sees one key frame at a time, librosa makes the log-mel features and the CRNN hears one clip at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from av_tagger.audio.frontend import LogMelSettings
from av_tagger.audio.network import EarArchitecture, MilNetwork, build_network

KEYFRAMES = 4
LAMBDA = 0.1  # of the largest that is of use
SECONDS_A_FRAME = 0.125  # with --fast: 8 candidates a second


@dataclass(frozen=True)
class Naive:
    """The networks of the paper with weights drawn at random."""

    alexnet: nn.Module
    inception: nn.Module
    crnn: MilNetwork

    def tag(
        self, path: Path, *, fast: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """(objects,) and (classes,) probabilities of one file."""
        frames = read_frames(path, fast=fast)
        features = np.stack([self.describe(frame) for frame in frames])
        rows = key_frames(features)
        objects = np.mean([self.recognise(frames[row]) for row in rows], axis=0)
        return objects, self.hear(path)

    def describe(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            features: NDArray[np.float32] = (
                self.alexnet(_prepared(frame, 256, 224)).flatten().numpy()
            )
        return features

    def recognise(self, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        with torch.no_grad():
            probabilities: NDArray[np.float64] = (
                self.inception(_prepared(frame, 342, 299)).softmax(1)[0].double().numpy()
            )
        return probabilities

    def hear(self, path: Path) -> NDArray[np.float32]:
        import librosa

        s = LogMelSettings()
        samples, rate = read_sound(path)
        wave = librosa.resample(samples, orig_sr=rate, target_sr=s.rate)
        mel = librosa.feature.melspectrogram(
            y=wave, sr=s.rate, n_fft=s.fft, hop_length=s.hop, win_length=s.window, n_mels=s.mels
        )
        features = torch.from_numpy(np.log(mel + s.floor).T[None].astype(np.float32))
        with torch.no_grad():
            heard: NDArray[np.float32] = self.crnn(features).bags[0].numpy()
        return heard


def build() -> Naive:
    import timm
    from torchvision.models import alexnet

    convolutions = alexnet(weights=None).features[:12]  # up to conv5 with its ReLU
    inception = timm.create_model("inception_v4", pretrained=False)
    return Naive(
        convolutions.eval(), inception.eval(), build_network(EarArchitecture(17, margin=5)).eval()
    )


def read_frames(path: Path, *, fast: bool = False) -> list[NDArray[np.uint8]]:
    """Every frame at full size, or with `fast` those nearest to a grid of 8 a second."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS) or 24.0
    kept: list[NDArray[np.uint8]] = []
    number = 0
    while True:
        good, frame = capture.read()
        if not good:
            break
        if not fast or number / rate >= len(kept) * SECONDS_A_FRAME:
            kept.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        number += 1
    capture.release()
    return kept


def read_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray().mean(axis=0) for frame in container.decode(stream)]
        return np.concatenate(parts).astype(np.float32), int(stream.rate)


def key_frames(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """min sum d_ij z_ij + lambda sum_i max_j z_ij, columns of Z on the simplex; the rows that represent most."""
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
    from PIL import Image
    from torchvision.transforms import functional as T

    picture = T.center_crop(T.resize(Image.fromarray(frame), [resize]), [crop])
    batch: torch.Tensor = T.normalize(
        T.to_tensor(picture), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )[None]
    return batch
