"""How loud a sound is in its film: levels measured from the audio track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import AvTaggerError
from av_tagger.protocols import DecodeRequest

if TYPE_CHECKING:
    from av_tagger.clip import Clip, Waveform

FRAME_SECONDS = 0.1
RATE = 16_000
_WINDOW_SECONDS = 60.0
SILENCE_DB = -70.0  # absolute gate of ITU-R BS.1770
GATE_DB = -10.0  # relative gate of ITU-R BS.1770

Powers = NDArray[np.float64]


@dataclass(frozen=True)
class SoundLevels:
    """Mean power of every tenth of a second; 1 is full scale."""

    powers: Powers
    start_seconds: float = 0.0

    @property
    def film_db(self) -> float:
        """The film's own level, gated as in ITU-R BS.1770 (without its frequency weighting).

        Frames of silence and frames far below the mean are left out; NaN where all are silent.
        """
        audible = self.powers[self.powers > _power(SILENCE_DB)]
        if not len(audible):
            return float("nan")
        kept = audible[audible > audible.mean() * _power(GATE_DB)]
        return float(10 * np.log10(kept.mean()))

    def relative_db(self, start: float, end: float) -> float:
        """Level between two times of the file relative to the film's; NaN if there is none."""
        first = max(0, round((start - self.start_seconds) / FRAME_SECONDS))
        last = max(first + 1, round((end - self.start_seconds) / FRAME_SECONDS))
        part = self.powers[first:last]
        power = float(part.mean()) if len(part) else 0.0
        return 10 * float(np.log10(power)) - self.film_db if power > 0 else float("nan")


def measure_levels(clip: Clip) -> SoundLevels | None:
    """Levels of a clip, decoded window by window; None if its sound cannot be decoded."""
    from av_tagger.media import open_media

    request = DecodeRequest(RATE, None, window_seconds=_WINDOW_SECONDS, overlap_seconds=0.0)
    try:
        parts = [
            frame_powers(window.waveform)
            for window in open_media(clip, request)
            if window.waveform is not None and len(window.waveform.samples)
        ]
    except (AvTaggerError, OSError):
        return None
    return SoundLevels(np.concatenate(parts), clip.start_seconds) if parts else None


def frame_powers(waveform: Waveform) -> Powers:
    """(frames,) mean power per tenth of a second; a last, shorter frame counts as a frame."""
    size = round(FRAME_SECONDS * waveform.rate)
    squares = waveform.samples.astype(np.float64) ** 2
    starts = np.arange(0, len(squares), size)
    sums: Powers = np.add.reduceat(squares, starts)
    lengths = np.minimum(size, len(squares) - starts)
    powers: Powers = sums / lengths
    return powers


def _power(decibels: float) -> float:
    return float(10 ** (decibels / 10))
