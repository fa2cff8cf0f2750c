"""Mel spectrograms of bounded width as pictures, for display only."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.errors import AvTaggerError, missing_library
from av_tagger.protocols import DecodeRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from av_tagger.clip import Clip, Waveform

_WINDOW_SECONDS = 60.0
_SILENCE_DB = -90.0  # at or below: dark, so that silence does not look like noise
_CHUNK = 256  # columns computed at a time: bounds the memory for long files
# Dark blue to pale yellow in even steps of lightness; readable in print and by colour-blind people.
_RAMP = np.array(
    [
        [10, 10, 35],
        [58, 20, 98],
        [128, 38, 116],
        [199, 67, 93],
        [244, 122, 62],
        [252, 190, 92],
        [252, 246, 200],
    ],
    np.float64,
)


@dataclass(frozen=True)
class SpectrogramSettings:
    """What the picture shows."""

    width: int = 1200  # columns at most
    bands: int = 96
    window_seconds: float = 0.046
    lowest_hz: float = 40.0
    highest_hz: float = 10_000.0
    range_db: float = 70.0  # below the loudest value; darker values are not told apart


def draw_clip(clip: Clip, settings: SpectrogramSettings | None = None) -> bytes | None:
    """The spectrogram of a clip, decoded window by window; None if its sound cannot be decoded."""
    from av_tagger.media import open_media

    settings = settings or SpectrogramSettings()
    request = DecodeRequest(
        audio_rate=round(2 * settings.highest_hz),
        short_side=None,
        window_seconds=_WINDOW_SECONDS,
        overlap_seconds=0.0,
    )
    try:
        peaks = [
            mel_peaks(w.waveform, settings)
            for w in open_media(clip, request)
            if w.waveform is not None and len(w.waveform.samples)
        ]
    except AvTaggerError:
        return None
    return as_png(np.concatenate(peaks), settings) if peaks else None


def mel_peaks(waveform: Waveform, settings: SpectrogramSettings) -> NDArray[np.float64]:
    """(columns, bands) power: the maximum in each of at most `width` equal pieces of time."""
    size = max(16, round(settings.window_seconds * waveform.rate))
    samples = np.pad(waveform.samples.astype(np.float64), (size // 2, size))
    starts = np.arange(0, max(1, len(waveform.samples)), size // 2)
    weights = mel_weights(settings, waveform.rate, size)
    power = np.concatenate(
        [
            _power(samples, starts[i : i + _CHUNK], size) @ weights.T
            for i in range(0, len(starts), _CHUNK)
        ]
    )
    return _fewer(power, settings.width)


def levels(power: NDArray[np.float64], settings: SpectrogramSettings) -> NDArray[np.float64]:
    """(bands, columns) level from 0 (dark) to 1 (the loudest value)."""
    decibels = 10 * np.log10(_fewer(power, settings.width) + 1e-10)
    floor = max(float(decibels.max()) - settings.range_db, _SILENCE_DB)
    shown: NDArray[np.float64] = np.clip((decibels - floor) / settings.range_db, 0.0, 1.0).T
    return shown


def _fewer(power: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    edges = np.linspace(0, len(power), min(len(power), columns) + 1).astype(int)[:-1]
    fewer: NDArray[np.float64] = np.maximum.reduceat(power, edges, axis=0)
    return fewer


def _power(
    samples: NDArray[np.float64], starts: NDArray[np.int64], size: int
) -> NDArray[np.float64]:
    frames = samples[starts[:, None] + np.arange(size)]
    spectrum = np.fft.rfft(frames * np.hanning(size), axis=1)
    return np.abs(spectrum) ** 2 / size


def mel_weights(settings: SpectrogramSettings, rate: int, size: int) -> NDArray[np.float64]:
    """(bands, bins) mel filters; a band narrower than a bin takes the nearest bin."""
    highest = min(settings.highest_hz, rate / 2)
    edges = _hz(np.linspace(_mel(settings.lowest_hz), _mel(highest), settings.bands + 2))
    bins = np.arange(size // 2 + 1) * rate / size
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    nearest = np.abs(bins - edges[1:-1, None]).argmin(axis=1)
    weights[np.arange(settings.bands), nearest] = np.maximum(
        weights[np.arange(settings.bands), nearest], 0.5
    )
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


def band_of(hz: float, settings: SpectrogramSettings, rate: int) -> float:
    """Where a frequency is on an axis of mel bands, from 0 (lowest) to `settings.bands`."""
    lowest, highest = _mel(settings.lowest_hz), _mel(min(settings.highest_hz, rate / 2))
    return settings.bands * (_mel(hz) - lowest) / (highest - lowest)


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)


def as_png(power: NDArray[np.float64], settings: SpectrogramSettings) -> bytes:
    """A picture of (columns, bands) power, low frequencies at the bottom."""
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_library("spectrograms need", "pillow", error) from error
    buffer = io.BytesIO()
    shown = levels(power, settings)[::-1]
    Image.fromarray(_coloured(shown)).quantize(128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _coloured(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    places = np.linspace(0, 1, len(_RAMP))
    return (
        np.stack([np.interp(levels, places, _RAMP[:, c]) for c in range(3)], axis=-1)
        .round()
        .astype(np.uint8)
    )
