"""Sound in memory tagged as a recorded file: through the decoder's windows and the tagger."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_tagger.clip import Clip, Media, Samples
from av_tagger.media.windows import ContainerHints, DecodedSound, Windows
from av_tagger.scores import Tagged
from av_tagger.tagger import Tagger

CLIP = Clip(Path("recorded.wav"))


def windows_of(tagger: Tagger, samples: Samples) -> list[Media]:
    """The windows that a decoder cuts the sound into."""
    rate = tagger.parts.request.audio_rate or 1
    seconds = len(samples) / rate
    hints = ContainerHints(True, False, seconds, sound_ends=seconds)
    windows = Windows(CLIP, tagger.parts.request, hints)
    found: list[Media] = []
    for first in range(0, len(samples), rate // 2):
        block = np.asarray(samples[first : first + rate // 2], np.float32)
        found += windows.add(DecodedSound(0.0, first, block))
    return [*found, *windows.finish()]


def tag_samples(tagger: Tagger, samples: Samples) -> Tagged:
    results = [r for window in windows_of(tagger, samples) for r in tagger.score([window])]
    return tagger.merge_windows(CLIP, results, 0.0)
