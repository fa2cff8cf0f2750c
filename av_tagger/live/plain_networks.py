"""Front ends without complex numbers, which ONNX does not have: spectra as convolutions."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from av_tagger.audio.frontend import LogMel
from av_tagger.audio.known import efficientat, yamnet
from av_tagger.audio.known.efficientat import KaldiMel
from av_tagger.audio.known.yamnet import Patches, filled


class RealSpectrum(nn.Module):
    """(B, samples) to (B, frames, bins) of the squared STFT, as a convolution: no complex numbers.

    Frame t reads from t x `hop` on. The window is centred in `fft` samples; `short`: only the
    samples under the window are read.
    """

    basis: Tensor

    def __init__(self, window: Tensor, fft: int, hop: int, *, short: bool = False) -> None:
        super().__init__()
        self.bins, self.hop = fft // 2 + 1, hop
        size = len(window) if short else fft
        n, k = np.arange(size), np.arange(self.bins)[:, None]
        left = (size - len(window)) // 2
        padded = np.zeros(size)
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
        self.front, self.power, self.settings = front, s.power, s
        self.spectrum = RealSpectrum(front.window, s.fft, s.hop)

    def silence(self) -> Tensor:
        return self.front.silence()

    def forward(self, waveforms: Tensor) -> Tensor:
        energy = self.spectrum(self.front.padded(waveforms))
        energy = energy if self.power == 2.0 else energy.pow(self.power / 2)
        features = self.front.compressed(energy @ self.front.filters).unsqueeze(1)
        if not self.settings.deltas:
            return features
        return torch.cat([features, plain_deltas(features, self.settings.delta_width)], dim=1)


def plain_deltas(features: Tensor, width: int) -> Tensor:
    """`deltas` as a sum of shifted features."""
    reach, count = width // 2, features.shape[2]
    first, last = features[:, :, :1], features[:, :, -1:]
    padded = torch.cat([first] * reach + [features] + [last] * reach, dim=2)
    parts = [n * padded[:, :, reach + n : reach + n + count] for n in range(-reach, reach + 1) if n]
    return torch.stack(parts).sum(dim=0) / (2 * sum(n * n for n in range(1, reach + 1)))


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


class PlainPatches(nn.Module):
    """YAMNet's `Patches` without complex numbers."""

    def __init__(self, front: Patches) -> None:
        super().__init__()
        self.front = front
        self.spectrum = RealSpectrum(front.window, yamnet.FFT, yamnet.HOP, short=True)

    def forward(self, waveforms: Tensor) -> Tensor:
        x = F.pad(waveforms, (0, filled(waveforms.shape[1]) - waveforms.shape[1]))
        magnitudes = self.spectrum(x).sqrt()
        features = (magnitudes @ self.front.filters + 0.001).log()
        starts = range(0, int(features.shape[1]) - yamnet.PATCH + 1, yamnet.PATCH_HOP)
        return torch.stack([features[:, n : n + yamnet.PATCH] for n in starts], dim=1)
