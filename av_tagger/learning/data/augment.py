"""Augmentation: of waveforms, of the bags of a batch (mixup), and of features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.learning.data.bags import Inputs, Lengths
from av_tagger.learning.data.examples import Targets

Wave = NDArray[np.float32]
Background = Callable[[np.random.Generator], Wave]


@dataclass(frozen=True)
class Augment:
    """Which augmentations, and how strong; the defaults change nothing."""

    gain_db: float = 0.0  # random gain of up to this, up or down
    shift_seconds: float = 0.0  # circular shift of up to this
    background_share: float = 0.0  # share of the clips that get a clip without classes added
    background_snr_db: tuple[float, float] = (0.0, 20.0)
    mixup_alpha: float = 0.0  # weights from Beta(alpha, alpha); 0: no mixup
    mixup_labels: Literal["mix", "union"] = "mix"
    tilt: float = 0.0  # standard deviation of a random spectral slope, in nats at the band edges
    time_masks: int = 0
    time_mask_frames: int = 0  # maximum width
    band_masks: int = 0
    band_mask_bands: int = 0  # maximum width

    def __post_init__(self) -> None:
        low, high = self.background_snr_db
        if not 0 <= self.background_share <= 1 or low > high:
            raise ValueError(
                "background_share lies between 0 and 1, background_snr_db is [lowest, highest]"
            )
        if min(self.gain_db, self.shift_seconds, self.mixup_alpha, self.tilt) < 0:
            raise ValueError("gain_db, shift_seconds, mixup_alpha and tilt are not negative")

    @property
    def changes_features(self) -> bool:
        time = self.time_masks and self.time_mask_frames
        return bool(self.tilt or time or (self.band_masks and self.band_mask_bands))


def augment_wave(
    wave: Wave, how: Augment, rate: int, draw: np.random.Generator, background: Background | None
) -> Wave:
    """Circular shift, background and gain; labels stay the same."""
    if how.shift_seconds:
        reach = min(round(how.shift_seconds * rate), len(wave) // 2)
        wave = np.roll(wave, int(draw.integers(-reach, reach + 1)))
    if background is not None and draw.random() < how.background_share:
        noise = looped(background(draw), len(wave), draw)
        wave = wave + at_snr(noise, wave, draw.uniform(*how.background_snr_db))
    if how.gain_db:
        wave = wave * np.float32(10 ** (draw.uniform(-how.gain_db, how.gain_db) / 20))
    return wave


def at_snr(noise: Wave, signal: Wave, snr_db: float) -> Wave:
    """The noise, scaled so that the mean power of the signal is `snr_db` above it."""
    power, noise_power = float(np.mean(signal**2)), float(np.mean(noise**2))
    if power == 0 or noise_power == 0:
        return noise  # silence has no ratio: the background keeps its level
    return noise * np.float32(np.sqrt(power / noise_power * 10 ** (-snr_db / 10)))


def looped(wave: Wave, count: int, draw: np.random.Generator) -> Wave:
    """`count` samples from a random start; the wave is repeated as often as needed."""
    start = int(draw.integers(max(1, len(wave))))
    if not len(wave):
        return np.zeros(count, np.float32)
    return np.take(wave, np.arange(start, start + count), mode="wrap")


def mixup(
    inputs: Inputs, lengths: Lengths, targets: Targets, how: Augment, draw: np.random.Generator
) -> tuple[Inputs, Lengths, Targets]:
    """Each bag with another one of the batch: w a + (1 - w) b; labels are mixed or united."""
    other = draw.permutation(len(inputs))
    w = draw.beta(how.mixup_alpha, how.mixup_alpha, len(inputs)).astype(np.float32)
    w = np.maximum(w, 1 - w)  # the bag itself stays the louder one
    shape = (-1,) + (1,) * (inputs.ndim - 1)
    mixed = inputs * w.reshape(shape) + inputs[other] * (1 - w).reshape(shape)
    both = targets * w[:, None] + targets[other] * (1 - w)[:, None]
    labels = np.maximum(targets, targets[other]) if how.mixup_labels == "union" else both
    return mixed.astype(np.float32), np.maximum(lengths, lengths[other]), labels.astype(np.float32)


def augment_features(features: Tensor, how: Augment, draw: np.random.Generator) -> Tensor:
    """A random spectral slope, then masks of time and frequency; (b, channels, frames, bands)."""
    if how.tilt:
        slopes = torch.from_numpy(draw.normal(0, how.tilt, len(features)).astype(np.float32))
        slope = slopes.to(features.device).reshape(-1, *(1 for _ in features.shape[1:]))
        features = features + slope * torch.linspace(
            -1, 1, features.shape[-1], device=features.device
        )
    return mask_features(features, how, draw)


def mask_features(features: Tensor, how: Augment, draw: np.random.Generator) -> Tensor:
    """Replace random stripes of time and of frequency by the mean of the clip."""
    b, *channels, frames, bands = features.shape
    time = _stripes(b, frames, how.time_masks, how.time_mask_frames, draw)  # (b, frames)
    band = _stripes(b, bands, how.band_masks, how.band_mask_bands, draw)  # (b, bands)
    hidden = torch.from_numpy(time[:, :, None] | band[:, None, :]).to(features.device)
    mask = hidden.reshape(b, *(1 for _ in channels), frames, bands)
    return torch.where(mask, features.mean(dim=(-2, -1), keepdim=True), features)


def _stripes(
    rows: int, length: int, count: int, widest: int, draw: np.random.Generator
) -> NDArray[np.bool_]:
    """(rows, length): `count` stripes per row, each 0 to `widest` wide."""
    widths = draw.integers(0, min(widest, length) + 1, (rows, count, 1))
    starts = np.floor(draw.random((rows, count, 1)) * (length - widths + 1)).astype(np.int64)
    slots = np.arange(length)
    return np.asarray(((slots >= starts) & (slots < starts + widths)).any(axis=1), np.bool_)
