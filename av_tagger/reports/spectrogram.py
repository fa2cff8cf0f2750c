"""Sound as a picture: a mel spectrogram of bounded width, for eyes and not for models."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.errors import MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from av_tagger.clip import Waveform

_CHUNK = 256  # columns worked on at a time: bounds the memory of long files
# Dark blue over violet and orange to pale yellow: even steps of lightness, readable in print and with any colour vision.
_RAMP = np.array([[10, 10, 35], [58, 20, 98], [128, 38, 116], [199, 67, 93], [244, 122, 62], [252, 190, 92], [252, 246, 200]], np.float64)


@dataclass(frozen=True)
class SpectrogramSettings:
    width: int = 1200  # columns at most
    bands: int = 96
    window_seconds: float = 0.046
    lowest_hz: float = 40.0
    highest_hz: float = 10_000.0
    range_db: float = 70.0  # what lies that far below the loudest is dark


def spectrogram_png(waveform: Waveform, settings: SpectrogramSettings | None = None) -> bytes:
    """The picture as a PNG, low sounds at the bottom; every column is the loudest of the moments that it stands for."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra(f"pictures need Pillow ({error}); install it: pip install pillow") from error
    levels = mel_levels(waveform, settings or SpectrogramSettings())
    image = Image.fromarray(_coloured(levels[::-1]))
    buffer = io.BytesIO()
    image.quantize(128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def mel_levels(waveform: Waveform, settings: SpectrogramSettings) -> NDArray[np.float64]:
    """(bands, columns) loudness between 0, dark, and 1, the loudest."""
    size = max(16, round(settings.window_seconds * waveform.rate))
    samples = np.pad(waveform.samples.astype(np.float64), (size // 2, size))
    starts = np.arange(0, max(1, len(waveform.samples)), max(1, size // 2))
    weights = mel_weights(settings, waveform.rate, size)
    power = np.concatenate([_power(samples, starts[i : i + _CHUNK], size) @ weights.T for i in range(0, len(starts), _CHUNK)])
    columns = np.minimum(len(power), settings.width)
    edges = np.linspace(0, len(power), columns + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(power, edges, axis=0)  # (columns, bands)
    decibels = 10 * np.log10(peaks + 1e-10)
    floor = max(decibels.max() - settings.range_db, -90.0)  # silence stays dark
    levels: NDArray[np.float64] = np.clip((decibels - floor) / settings.range_db, 0.0, 1.0).T
    return levels


def _power(samples: NDArray[np.float64], starts: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    frames = samples[starts[:, None] + np.arange(size)]
    spectrum = np.fft.rfft(frames * np.hanning(size), axis=1)
    return np.abs(spectrum) ** 2 / size


def mel_weights(settings: SpectrogramSettings, rate: int, size: int) -> NDArray[np.float64]:
    """(bands, bins) triangles evenly spaced on the mel scale; a band narrower than a bin takes the nearest one."""
    highest = min(settings.highest_hz, rate / 2)
    edges = _hz(np.linspace(_mel(settings.lowest_hz), _mel(highest), settings.bands + 2))
    bins = np.arange(size // 2 + 1) * rate / size
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    nearest = np.abs(bins - edges[1:-1, None]).argmin(axis=1)
    weights[np.arange(settings.bands), nearest] = np.maximum(weights[np.arange(settings.bands), nearest], 0.5)
    return weights / weights.sum(axis=1, keepdims=True)


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)


def _coloured(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    places = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(levels, places, _RAMP[:, c]) for c in range(3)], axis=-1).round().astype(np.uint8)
