"""Log-mel features of waveforms; the settings cover the variants of all papers."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.audio.architecture import LogMelSettings

LOWEST = 1e-30  # avoids log(0) where a paper has no floor
CPU = "cpu"  # also within `torch.device("meta")`, where these operations import torch's compiler


class LogMel(nn.Module):
    """(batch, samples) to (batch, channels, frames, bands), always in float32."""

    window: Tensor
    filters: Tensor

    def __init__(self, settings: LogMelSettings) -> None:
        super().__init__()
        self.settings = settings
        # On the CPU also within `torch.device("meta")`, where torch would import its compiler: 3 s.
        window = torch.hann_window(settings.window, dtype=torch.float64, device="cpu").float()
        filters = np.ascontiguousarray(mel_filters(settings).T.astype(np.float32))
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)  # (bins, mels)

    def forward(self, waveforms: Tensor) -> Tensor:
        with torch.autocast(waveforms.device.type, enabled=False):
            features = self.of_padded(self.padded(waveforms.float())).unsqueeze(1)
            if self.settings.deltas:
                slopes = deltas(features, self.settings.delta_width)
                features = torch.cat([features, slopes], dim=1)
            return features

    def silence(self) -> Tensor:
        """(channels, bands): features of digital silence, for padding."""
        quiet = self.compressed(torch.zeros(1, self.settings.mels, device=CPU))
        return torch.cat([quiet, torch.zeros_like(quiet)]) if self.settings.deltas else quiet

    def of_padded(self, x: Tensor) -> Tensor:
        """(B, samples) to (B, frames, bands); frame t reads `fft` samples from t x `hop` on."""
        return self.compressed(self._spectrum(x) @ self.filters)

    def padded(self, x: Tensor) -> Tensor:
        """Zeros before and after, so that the STFT gives exactly `settings.frames` frames."""
        s = self.settings
        if s.preemphasis:
            x = torch.cat([x[:, :1], x[:, 1:] - s.preemphasis * x[:, :-1]], dim=1)
        # The window is centred in the FFT.
        left = s.fft // 2 if s.padding == "centre" else (s.fft - s.window) // 2
        right = (s.frames(x.shape[1]) - 1) * s.hop + s.fft - left - x.shape[1]
        return F.pad(x, (left, right))

    def _spectrum(self, x: Tensor) -> Tensor:
        s = self.settings
        window = self.window
        if s.exact:
            x = x.double()
            window = torch.hann_window(s.window, dtype=torch.float64, device=x.device)
        spectrum = torch.stft(
            x, s.fft, s.hop, s.window, window, center=False, return_complex=True
        ).transpose(1, 2)  # (B, T, bins)
        energy = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag).float()
        return energy if s.power == 2.0 else energy.pow(s.power / 2)

    def compressed(self, mel: Tensor) -> Tensor:
        s = self.settings
        mel = mel + s.floor if s.floor_mode == "add" else mel.clamp(min=s.floor)
        if s.log == "none":
            return mel
        return mel.clamp(min=LOWEST).log() * (1.0 if s.log == "natural" else 10 / math.log(10))


def deltas(features: Tensor, width: int) -> Tensor:
    """Slope over `width` frames: sum_n n (c_(t+n) - c_(t-n)) / (2 sum_n n^2)."""
    reach = width // 2
    steps = torch.arange(-reach, reach + 1, dtype=features.dtype, device=features.device)
    first, last = features[:, :, :1], features[:, :, -1:]
    repeated = (first.expand(-1, -1, reach, -1), features, last.expand(-1, -1, reach, -1))
    padded = torch.cat(repeated, dim=2)
    return padded.unfold(2, width, 1) @ (steps / steps.square().sum())


def mel_filters(settings: LogMelSettings) -> NDArray[np.float64]:
    """(mels, fft / 2 + 1) triangles, evenly spaced on the mel scale."""
    to_mel, to_hz = SCALES[settings.scale]
    ends = to_mel(np.array([settings.low_hz, settings.top_hz]))
    edges = to_hz(np.linspace(ends[0], ends[1], settings.mels + 2))
    bins = np.linspace(0, settings.rate / 2, settings.fft // 2 + 1)
    widths = np.diff(edges)
    rising = (bins - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - bins) / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    if settings.norm == "peak":
        return triangles
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None])


def _htk_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + hz / 700))


def _htk_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


# Slaney (1998): linear below 1 kHz, 3 mel per 200 Hz, then 27 mel per factor of 6.4.
KNEE_HZ, KNEE_MEL, STEP = 1000.0, 15.0, math.log(6.4) / 27


def _slaney_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(
        hz < KNEE_HZ, hz * 3 / 200, KNEE_MEL + np.log(np.maximum(hz, KNEE_HZ) / KNEE_HZ) / STEP
    )


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < KNEE_MEL, mel * 200 / 3, KNEE_HZ * np.exp((mel - KNEE_MEL) * STEP))


SCALES = {"slaney": (_slaney_mel, _slaney_hz), "htk": (_htk_mel, _htk_hz)}
