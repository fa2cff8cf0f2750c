"""EfficientAT (Schmid et al., ICASSP 2023): MobileNetV3-large on log-mels, 527 classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE = 32_000
WINDOW, HOP, FFT, MELS = 800, 320, 1024, 128
TOP_HZ = 15_000.0
STRIDE = 32  # spectrogram frames per output frame: 0.32 s
SMOOTHING = 3  # output frames that are averaged: about a second


class KaldiMel(nn.Module):
    """(B, samples) to (B, 1, 128, frames): pre-emphasis, power spectrum, mel filters, log."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False), persistent=False)
        self.register_buffer("filters", kaldi_filters(), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        with torch.autocast(waveforms.device.type, enabled=False):
            x = waveforms.float()
            x = x[:, 1:] - 0.97 * x[:, :-1]
            spectrum = torch.stft(
                x,
                FFT,
                HOP,
                WINDOW,
                window=self.window,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )
            power = spectrum.real.square() + spectrum.imag.square()  # (B, 513, T)
            return (((self.filters @ power + 1e-5).log() + 4.5) / 5).unsqueeze(1)


def kaldi_filters() -> Tensor:
    """(128, 513): Kaldi's filters, triangles on the mel axis (not in Hz); last bin unused."""

    def mel(hz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hz / 700)

    edges = torch.linspace(
        0, float(mel(torch.tensor(TOP_HZ, dtype=torch.float64))), MELS + 2, dtype=torch.float64
    )
    bins = mel(torch.arange(FFT // 2, dtype=torch.float64) * RATE / FFT)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return F.pad(torch.minimum(rising, falling).clamp(min=0), (0, 1)).float()


@dataclass(frozen=True)
class BlockSpec:
    """One row of MobileNetV3-large's table (Howard et al. 2019, table 1)."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hard_swish: bool
    stride: int = 1


TABLE = (
    BlockSpec(3, 16, 16, squeeze=False, hard_swish=False),
    BlockSpec(3, 64, 24, squeeze=False, hard_swish=False, stride=2),
    BlockSpec(3, 72, 24, squeeze=False, hard_swish=False),
    BlockSpec(5, 72, 40, squeeze=True, hard_swish=False, stride=2),
    BlockSpec(5, 120, 40, squeeze=True, hard_swish=False),
    BlockSpec(5, 120, 40, squeeze=True, hard_swish=False),
    BlockSpec(3, 240, 80, squeeze=False, hard_swish=True, stride=2),
    BlockSpec(3, 200, 80, squeeze=False, hard_swish=True),
    BlockSpec(3, 184, 80, squeeze=False, hard_swish=True),
    BlockSpec(3, 184, 80, squeeze=False, hard_swish=True),
    BlockSpec(3, 480, 112, squeeze=True, hard_swish=True),
    BlockSpec(3, 672, 112, squeeze=True, hard_swish=True),
    BlockSpec(5, 672, 160, squeeze=True, hard_swish=True, stride=2),
    BlockSpec(5, 960, 160, squeeze=True, hard_swish=True),
    BlockSpec(5, 960, 160, squeeze=True, hard_swish=True),
)


def multiple_of_eight(channels: float) -> int:
    """The nearest multiple of eight, at least eight, and not below 90 % of `channels`."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def convolution(
    channels: tuple[int, int],
    kernel: int,
    activation: nn.Module | None,
    *,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    conv = nn.Conv2d(*channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    parts: list[nn.Module] = [conv, nn.BatchNorm2d(channels[1], eps=0.001)]
    return nn.Sequential(*parts, *([activation] if activation is not None else []))


class Squeeze(nn.Module):
    """Squeeze and excitation; parameters are named as in the published files."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = multiple_of_eight(channels / 4)
        layers = nn.ModuleDict(
            {"fc1": nn.Linear(channels, hidden), "fc2": nn.Linear(hidden, channels)}
        )
        self.conc_se_layers = nn.ModuleList([layers])

    def forward(self, x: Tensor) -> Tensor:
        layers = self.conc_se_layers[0]
        assert isinstance(layers, nn.ModuleDict)
        weights = layers["fc2"](layers["fc1"](x.mean(dim=(2, 3))).relu()).sigmoid()
        scaled: Tensor = x * weights[:, :, None, None]
        return scaled


class Inverted(nn.Module):
    """Inverted residual: expand, depthwise convolution, squeeze, project, skip connection."""

    def __init__(self, row: BlockSpec, channels: tuple[int, int, int]) -> None:
        super().__init__()
        before, wide, after = channels
        act: type[nn.Module] = nn.Hardswish if row.hard_swish else nn.ReLU
        parts: list[nn.Module] = [convolution((before, wide), 1, act())] if wide != before else []
        parts.append(convolution((wide, wide), row.kernel, act(), stride=row.stride, groups=wide))
        parts += [Squeeze(wide)] if row.squeeze else []
        parts.append(convolution((wide, after), 1, None))
        self.block = nn.Sequential(*parts)
        self.adds = row.stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.adds else y


class EfficientAT(nn.Module):
    """Waveforms at 32 kHz to AudioSet probabilities, for all of it and per 0.32 s."""

    def __init__(self, width: float, classes: int = 527) -> None:
        super().__init__()
        self.frontend = KaldiMel()
        first = multiple_of_eight(16 * width)
        layers: list[nn.Module] = [convolution((1, first), 3, nn.Hardswish(), stride=2)]
        before = first
        for row in TABLE:
            after = multiple_of_eight(row.out * width)
            layers.append(Inverted(row, (before, multiple_of_eight(row.expanded * width), after)))
            before = after
        layers.append(convolution((before, 6 * before), 1, nn.Hardswish()))
        self.features = nn.Sequential(*layers)
        hidden = multiple_of_eight(1280 * width)
        dense: list[nn.Module] = [
            nn.Linear(6 * before, hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(hidden, classes),
        ]
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dense)
        self.width = 6 * before

    def embed(self, waveforms: Tensor) -> Tensor:
        """(B, samples) to (B, frames of 0.32 s, width): input of the head, mean over frequency."""
        image = self.frontend(waveforms).to(memory_format=torch.channels_last)  # faster
        features: Tensor = self.features(image)
        return features.mean(dim=2).transpose(1, 2)

    def head(self, embeddings: Tensor) -> Tensor:
        logits: Tensor = self.classifier[2:](embeddings)
        return logits.float().sigmoid()

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """(B, classes) from the mean over time, (B, T, classes) from means over about a second."""
        embeddings = self.embed(waveforms)
        return self.head(embeddings.mean(dim=1)), self.head(smooth(embeddings))


def smooth(embeddings: Tensor) -> Tensor:
    """Moving average over SMOOTHING frames, over fewer at the ends."""
    x = embeddings.transpose(1, 2)
    mean = F.avg_pool1d(x, SMOOTHING, stride=1, padding=SMOOTHING // 2, count_include_pad=False)
    return mean.transpose(1, 2)
