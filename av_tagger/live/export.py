"""Ears as ONNX files: the network with its front end, for one window length."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from av_tagger.audio.branch import MilEar
from av_tagger.audio.frontend import LogMel
from av_tagger.audio.known import efficientat
from av_tagger.audio.known.ear import KnownEar, narrower
from av_tagger.audio.known.efficientat import EfficientAT, KaldiMel
from av_tagger.clip import Waveform
from av_tagger.errors import StorageError, UsageError, missing_library
from av_tagger.live.onnx_ear import INPUT, KEY, OUTPUTS, OnnxEar
from av_tagger.protocols import AudioBranch

WINDOW_SECONDS = 10.0
TOLERANCE = 1e-4


class RealSpectrum(nn.Module):
    """(B, samples) to (B, frames, bins) of the squared STFT, as a convolution: no complex numbers.

    Frame t reads `fft` samples from t x `hop` on.
    """

    basis: Tensor

    def __init__(self, window: Tensor, fft: int, hop: int) -> None:
        super().__init__()
        self.bins, self.hop = fft // 2 + 1, hop
        n, k = np.arange(fft), np.arange(self.bins)[:, None]
        left = (fft - len(window)) // 2
        padded = np.zeros(fft)
        padded[left : left + len(window)] = window.double().numpy()
        angles = 2 * math.pi * ((n * k) % fft) / fft
        basis = np.concatenate([np.cos(angles), -np.sin(angles)]) * padded
        self.register_buffer("basis", torch.from_numpy(basis.astype(np.float32))[:, None])

    def forward(self, x: Tensor) -> Tensor:
        parts = F.conv1d(x[:, None], self.basis, stride=self.hop).square()
        return (parts[:, : self.bins] + parts[:, self.bins :]).transpose(1, 2)


class PlainLogMel(nn.Module):
    """`LogMel` without complex numbers."""

    def __init__(self, front: LogMel) -> None:
        super().__init__()
        s = front.settings
        if s.deltas:
            raise UsageError("ears with delta features cannot be exported yet")
        self.front, self.power, self.settings = front, s.power, s
        self.spectrum = RealSpectrum(front.window, s.fft, s.hop)

    def silence(self) -> Tensor:
        return self.front.silence()

    def forward(self, waveforms: Tensor) -> Tensor:
        energy = self.spectrum(self.front.padded(waveforms))
        energy = energy if self.power == 2.0 else energy.pow(self.power / 2)
        return self.front.compressed(energy @ self.front.filters).unsqueeze(1)


class PlainKaldiMel(nn.Module):
    """EfficientAT's `KaldiMel` without complex numbers."""

    def __init__(self, front: KaldiMel) -> None:
        super().__init__()
        self.front = front
        self.spectrum = RealSpectrum(front.window, efficientat.FFT, efficientat.HOP)

    def forward(self, waveforms: Tensor) -> Tensor:
        x = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
        edge = efficientat.FFT // 2
        power = self.spectrum(F.pad(x[:, None], (edge, edge), mode="reflect")[:, 0])
        mel = self.front.filters @ power.transpose(1, 2)
        features: Tensor = (((mel + 1e-5).log() + 4.5) / 5).unsqueeze(1)
        return features


class ExportedNetwork(nn.Module):
    """(1, samples) to `bag` (1, classes) and `frames` (1, frames, classes)."""

    def __init__(self, ear: AudioBranch) -> None:
        super().__init__()
        self.trained = isinstance(ear, MilEar)
        if isinstance(ear, MilEar):
            network: nn.Module = _copy(ear.quick, frontend=PlainLogMel(_front(ear)))
        elif isinstance(ear, KnownEar):
            network = _known(cast("nn.Module", ear.network))
        else:
            raise UsageError(
                f"{ear.info.model}: only single ears can be exported; give starter,"
                " efficientat:mn10 or a run"
            )
        self.network = network.cpu().eval()

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        if not self.trained:
            bag, frames = self.network(samples)
            return bag, frames
        network = cast("Any", self.network)
        heard = network(network.features(samples))
        return heard.bags, heard.instances


def _front(ear: MilEar) -> LogMel:
    assert ear.quick.frontend is not None
    return ear.quick.frontend


def _known(network: nn.Module) -> nn.Module:
    if isinstance(network, EfficientAT):
        return _copy(network, frontend=PlainKaldiMel(network.frontend))
    raise UsageError(f"{type(network).__name__}: this network cannot be exported yet")


def _copy(module: nn.Module, **children: nn.Module) -> nn.Module:
    import copy

    twin = copy.copy(module)
    twin.__dict__["_modules"] = {**module.__dict__["_modules"], **children}
    return copy.deepcopy(twin)


@dataclass(frozen=True)
class ExportCheck:
    """The largest difference between the file, in onnxruntime, and torch."""

    path: Path
    difference: float
    bytes: int


def export_ear(ear: AudioBranch, path: Path, seconds: float = WINDOW_SECONDS) -> ExportCheck:
    """Write the ear as an ONNX file and compare the two on noise and tones; WeightsError beyond
    1e-4.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_library("Export needs", "onnx", error, "onnx") from error
    network = ExportedNetwork(ear)
    samples = window_samples(ear, seconds)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer: shapes are constants, as intended
        torch.onnx.export(
            network,
            (torch.zeros(1, samples),),
            str(path),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(_facts(ear, network, samples))
    onnx.save(model, str(path))
    return check_export(ear, path)


def window_samples(ear: AudioBranch, seconds: float) -> int:
    """Published ears have a window of their own: that of their training."""
    return ear.family.window_samples if isinstance(ear, KnownEar) else round(seconds * ear.rate)


def check_export(ear: AudioBranch, path: Path) -> ExportCheck:
    exported, worst = OnnxEar(path), 0.0
    rng = np.random.default_rng(0)
    time = np.arange(exported.window) / ear.rate
    tone = 0.3 * np.sin(2 * np.pi * (300 + 100 * time) * time)
    for level in (1e-3, 0.1):
        sound = (rng.standard_normal(exported.window) * level + tone).astype(np.float32)
        waves = [Waveform(sound, ear.rate)]
        (a,), (b,) = ear.hear(waves), exported.hear(waves)
        assert a.activity is not None
        assert b.activity is not None
        frames = np.abs(a.activity.values - b.activity.values)
        worst = max(
            worst, float(frames.max()), float(np.abs(a.probabilities - b.probabilities).max())
        )
    if worst > TOLERANCE:
        raise StorageError(
            f"{path}: differs from torch by {worst:.1e}, more than {TOLERANCE:.0e}; do not use it"
        )
    return ExportCheck(path, worst, path.stat().st_size)


def _facts(ear: AudioBranch, network: ExportedNetwork, samples: int) -> dict[str, Any]:
    with torch.no_grad():
        _, frames = network(torch.zeros(1, samples))
    rate = frames.shape[1] * ear.rate / samples
    if isinstance(ear, KnownEar):
        rate = ear.family.frame_rate
    if isinstance(ear, MilEar):
        rate = ear.rate / ear.instance_samples
    return {
        "name": ear.info.weights or ear.info.model,
        "labels": list(ear.labels),
        "rate": ear.rate,
        "frame_rate": rate,
        "samples": samples,
        "raised": narrower(ear.labels) if isinstance(ear, KnownEar) else [],
    }
