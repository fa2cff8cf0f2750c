"""YAMNet (Plakal and Ellis, 2020): MobileNet-v1 on patches of 0.96 s, 521 AudioSet classes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from av_tagger.networks import same_convolution

RATE = 16_000
WINDOW, HOP, FFT, MELS = 400, 160, 512, 64
LOW_HZ, HIGH_HZ = 125.0, 7500.0
PATCH, PATCH_HOP = 96, 48  # frames: 0.96 s every 0.48 s
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


class Patches(nn.Module):
    """(B, samples) to (B, patches, 96, 64) of log(mel + 0.001); padded with zeros at the end."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        with torch.autocast(waveforms.device.type, enabled=False):
            x = F.pad(waveforms.float(), (0, filled(waveforms.shape[1]) - waveforms.shape[1]))
            frames = x.unfold(1, WINDOW, HOP) * self.window
            magnitudes = torch.fft.rfft(frames, n=FFT).abs()
            features = (magnitudes @ self.filters + 0.001).log()  # (B, T, 64)
            patches: Tensor = features.unfold(1, PATCH, PATCH_HOP).transpose(2, 3)
            return patches


def filled(samples: int) -> int:
    """The number of samples of whole patches: at least one of 0.96 s, plus the last window."""
    least = (PATCH - 1) * HOP + WINDOW
    hop = PATCH_HOP * HOP
    return least + math.ceil(max(0, samples - least) / hop) * hop


def mel_filters() -> Tensor:
    """(257, 64): triangles on the mel axis; the DC bin is unused."""

    def mel(hz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hz / 700)

    low, high = mel(torch.tensor([LOW_HZ, HIGH_HZ], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, MELS + 2, dtype=torch.float64)
    bins = mel(torch.linspace(0, RATE / 2, FFT // 2 + 1, dtype=torch.float64))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0)
    filters[0] = 0
    return filters.float()


class Layer(nn.Module):
    """Convolution, batch norm without scale, ReLU; "same" padding as in TensorFlow."""

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.beta = nn.Parameter(torch.zeros(after))
        self.register_buffer("mean", torch.zeros(after))
        self.register_buffer("variance", torch.ones(after))
        self.mean: Tensor
        self.variance: Tensor
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        # Batch norm folded into the convolution: one pass instead of three.
        scale = torch.rsqrt(self.variance + 1e-4)
        kernel, shift = self.conv.weight * scale[:, None, None, None], self.beta - self.mean * scale
        return same_convolution(x, kernel, shift, self.stride, self.conv.groups).relu_()


class YAMNet(nn.Module):
    """Waveforms at 16 kHz to probabilities per patch, and their mean over the patches."""

    def __init__(self, classes: int = 521) -> None:
        super().__init__()
        self.frontend = Patches()
        layers: list[nn.Module] = [Layer(1, 32, 3, stride=2)]
        before = 32
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            layers += [
                Layer(before, before, 3, stride=stride, groups=before),
                Layer(before, width, 1),
            ]
            before = width
        self.layers = nn.Sequential(*layers)
        self.logits = nn.Linear(before, classes)
        self.width = before

    def widen(self, weight: Tensor, bias: Tensor) -> None:
        """Append classes to the classifier: (classes, 1024) and (classes,)."""
        wider = nn.Linear(self.width, len(self.logits.weight) + len(weight))
        with torch.no_grad():
            wider.weight.copy_(torch.cat([self.logits.weight, weight]))
            wider.bias.copy_(torch.cat([self.logits.bias, bias]))
        self.logits = wider

    def embed(self, waveforms: Tensor) -> Tensor:
        """(B, samples) to (B, patches, 1024)."""
        patches = self.frontend(waveforms)
        images = patches.flatten(0, 1).unsqueeze(1).to(memory_format=torch.channels_last)  # faster
        features: Tensor = self.layers(images)
        return features.mean(dim=(2, 3)).reshape(*patches.shape[:2], self.width)

    def head(self, embeddings: Tensor) -> Tensor:
        logits: Tensor = self.logits(embeddings)
        return logits.float().sigmoid()

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.head(self.embed(waveforms))
        return frames.mean(dim=1), frames
