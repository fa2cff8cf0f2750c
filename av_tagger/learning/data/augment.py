"""Variations of what is learnt from: on waveforms, between the bags of a batch, and on features; each draws from keyed numbers only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.learning.data.bags import Inputs, Lengths
from av_tagger.learning.data.manifests import Targets

Wave = NDArray[np.float32]
Background = Callable[[np.random.Generator], Wave]


@dataclass(frozen=True)
class Augment:
    """Which variations, how strong; the defaults change nothing."""

    gain_db: float = 0.0  # up to this much louder or quieter
    shift_seconds: float = (
        0.0  # turned around in a circle by up to this much: a bag has no beginning
    )
    background_share: float = 0.0  # of the clips get another clip without any class beneath them
    background_snr_db: tuple[float, float] = (0.0, 20.0)
    mixup_alpha: float = 0.0  # Beta(alpha, alpha) of the mixing weight; 0: no mixup
    mixup_labels: Literal["mix", "union"] = "mix"
    time_masks: int = 0
    time_mask_frames: int = 0  # longest
    band_masks: int = 0
    band_mask_bands: int = 0  # widest

    def __post_init__(self) -> None:
        low, high = self.background_snr_db
        if not 0 <= self.background_share <= 1 or low > high:
            raise ValueError(
                "background_share lies between 0 and 1, background_snr_db is [lowest, highest]"
            )
        if min(self.gain_db, self.shift_seconds, self.mixup_alpha) < 0:
            raise ValueError("gain_db, shift_seconds and mixup_alpha are not negative")

    @property
    def masks_features(self) -> bool:
        return bool(
            (self.time_masks and self.time_mask_frames)
            or (self.band_masks and self.band_mask_bands)
        )


def vary(
    wave: Wave, how: Augment, rate: int, draw: np.random.Generator, background: Background | None
) -> Wave:
    """One clip as it could have been recorded, too; its labels stay."""
    if how.shift_seconds:
        reach = min(round(how.shift_seconds * rate), len(wave) // 2)
        wave = np.roll(wave, int(draw.integers(-reach, reach + 1)))
    if background is not None and draw.random() < how.background_share:
        wave = wave + at_snr(
            looped(background(draw), len(wave), draw), wave, draw.uniform(*how.background_snr_db)
        )
    if how.gain_db:
        wave = wave * np.float32(10 ** (draw.uniform(-how.gain_db, how.gain_db) / 20))
    return wave


def at_snr(noise: Wave, signal: Wave, snr_db: float) -> Wave:
    """The noise, scaled so that the signal's mean power is `snr_db` above its own."""
    ours, theirs = float(np.mean(signal**2)), float(np.mean(noise**2))
    if ours == 0 or theirs == 0:
        return noise  # beside silence any background is as loud as it was recorded
    return noise * np.float32(np.sqrt(ours / theirs * 10 ** (-snr_db / 10)))


def looped(wave: Wave, count: int, draw: np.random.Generator) -> Wave:
    """`count` samples from anywhere in a wave that goes round and round."""
    start = int(draw.integers(max(1, len(wave))))
    return (
        np.take(wave, np.arange(start, start + count), mode="wrap")
        if len(wave)
        else np.zeros(count, np.float32)
    )


def mixup(
    inputs: Inputs, lengths: Lengths, targets: Targets, how: Augment, draw: np.random.Generator
) -> tuple[Inputs, Lengths, Targets]:
    """Every bag with another of the batch: x = w a + (1 - w) b, and its labels alike or united."""
    other = draw.permutation(len(inputs))
    w = draw.beta(how.mixup_alpha, how.mixup_alpha, len(inputs)).astype(np.float32)
    w = np.maximum(w, 1 - w)  # the bag itself stays the louder one
    shape = (-1,) + (1,) * (inputs.ndim - 1)
    mixed = inputs * w.reshape(shape) + inputs[other] * (1 - w).reshape(shape)
    both = targets * w[:, None] + targets[other] * (1 - w)[:, None]
    labels = np.maximum(targets, targets[other]) if how.mixup_labels == "union" else both
    return mixed.astype(np.float32), np.maximum(lengths, lengths[other]), labels.astype(np.float32)


def mask_features(features: Tensor, how: Augment, draw: np.random.Generator) -> Tensor:
    """Blank stretches of time and of frequency with each clip's own mean."""
    b, *channels, frames, bands = features.shape
    hidden = _stripes(b, frames, how.time_masks, how.time_mask_frames, draw)[
        :, :, None
    ]  # (b, frames, 1)
    hidden = (
        hidden | _stripes(b, bands, how.band_masks, how.band_mask_bands, draw)[:, None, :]
    )  # (b, frames, bands)
    mask = (
        torch.from_numpy(hidden)
        .to(features.device)
        .reshape(b, *(1 for _ in channels), frames, bands)
    )
    mean = features.mean(dim=(-2, -1), keepdim=True)
    return torch.where(mask, mean, features)


def _stripes(
    rows: int, length: int, count: int, widest: int, draw: np.random.Generator
) -> NDArray[np.bool_]:
    """(rows, length): `count` stripes a row, each 0 to `widest` wide, anywhere."""
    widths = draw.integers(0, min(widest, length) + 1, (rows, count, 1))
    starts = np.floor(draw.random((rows, count, 1)) * (length - widths + 1)).astype(np.int64)
    slots = np.arange(length)
    return np.asarray(((slots >= starts) & (slots < starts + widths)).any(axis=1), np.bool_)
