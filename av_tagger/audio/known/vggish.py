"""VGGish (Hershey et al., 2017): log-mel patches, VGG network, PCA whitening, 8-bit code.

Output in the format of AudioSet's released features: 128 numbers per second, integers in 0 ... 255.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from av_tagger.audio.known.yamnet import FFT, HOP, PATCH, RATE, WINDOW, mel_filters

__all__ = ["RATE", "VGGish", "dequantised", "filled", "quantised"]

OFFSET = 0.01  # added to the mel magnitudes before the logarithm
SECOND = 100  # frames between patches for one embedding per second, as AudioSet's release has them
PATCH_SAMPLES = (PATCH - 1) * HOP + WINDOW  # 0.975 s
CHANNELS = (64, 128, 256, 256, 512, 512)
POOLED = (0, 1, 3, 5)  # convolutions with a pool of 2 x 2 after them
CELLS = (PATCH // 16) * (64 // 16)  # positions that the four pools leave of a patch
LOWEST, HIGHEST = -2.0, 2.0  # range of the 8-bit code, the same as in YouTube-8M
LEVELS = 255


class VGGish(nn.Module):
    """Waveforms (b, samples) at 16 kHz to 8-bit codes (b, patches, 128) as float32.

    `hop` is the distance of patches in frames of 10 ms: 100 for one per second, 96 for patches
    without gaps. `rectify` applies ReLU to the embedding before the PCA, as the code of 2017 did.
    """

    pca: Tensor
    means: Tensor

    def __init__(
        self,
        channels: tuple[int, ...] = CHANNELS,
        dense: tuple[int, ...] = (4096, 4096, 128),
        hop: int = SECOND,
        *,
        rectify: bool = False,
    ) -> None:
        super().__init__()
        self.hop, self.rectify, self.width = hop, rectify, dense[-1]
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise((1, *channels))
        )
        sides = pairwise((CELLS * channels[-1], *dense))
        self.dense = nn.ModuleList(nn.Linear(before, after) for before, after in sides)
        self.register_buffer("pca", torch.eye(self.width))  # rows are eigenvectors
        self.register_buffer("means", torch.zeros(self.width))

    def patches(self, waveforms: Tensor) -> Tensor:
        """(b, samples) to (b, patches, 96, 64); the end is padded with zeros to a whole patch."""
        missing = filled(waveforms.shape[1], self.hop) - waveforms.shape[1]
        with torch.autocast(waveforms.device.type, enabled=False):
            padded = F.pad(waveforms.float(), (0, missing))  # crops where `missing` is negative
            frames = padded.unfold(1, WINDOW, HOP) * self.get_buffer("window")
            magnitudes = torch.fft.rfft(frames, n=FFT).abs()
            features = (magnitudes @ self.get_buffer("filters") + OFFSET).log()  # (b, frames, 64)
            patches: Tensor = features.unfold(1, PATCH, self.hop).transpose(2, 3)
            return patches

    def raw(self, patches: Tensor) -> Tensor:
        """(n, 96, 64) to embeddings (n, 128), before PCA and quantisation."""
        x = patches.unsqueeze(1)
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x).relu()
            if number in POOLED:
                x = F.max_pool2d(x, 2)
        x = x.permute(0, 2, 3, 1).flatten(1)  # time, bands, channels: the order of TensorFlow
        for layer in self.dense[:-1]:
            x = layer(x).relu()
        out: Tensor = self.dense[-1](x)
        return out.relu() if self.rectify else out

    def whitened(self, embeddings: Tensor) -> Tensor:
        """PCA whitening, clipped to the range of the code."""
        return ((embeddings.float() - self.means) @ self.pca.T).clamp(LOWEST, HIGHEST)

    def embed(self, waveforms: Tensor) -> Tensor:
        """(b, samples) to 8-bit codes (b, patches, 128)."""
        patches = self.patches(waveforms)
        codes = quantised(self.whitened(self.raw(patches.flatten(0, 1))))
        return codes.view(*patches.shape[:2], self.width)

    forward = embed


def filled(samples: int, hop: int = SECOND) -> int:
    """Samples of the patches of a sound: one per `hop`; the last at least half a hop of sound."""
    count = max(1, int(samples / (hop * HOP) + 0.5))
    return (count - 1) * hop * HOP + PATCH_SAMPLES


def quantised(whitened: Tensor) -> Tensor:
    """[-2, 2] to integers 0 ... 255, rounded down as in the published code."""
    return ((whitened - LOWEST) * (LEVELS / (HIGHEST - LOWEST))).floor()


def dequantised(codes: Tensor) -> Tensor:
    """Integers 0 ... 255 to [-2, 2], as YouTube-8M's reader: about the centre of each step."""
    span = HIGHEST - LOWEST
    return codes.float() * (span / LEVELS) + (LOWEST + span / 512)
