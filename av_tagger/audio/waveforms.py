"""Waveforms for an ear: checked, and at the rate that it listens at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import gcd

import numpy as np

from av_tagger.clip import Waveform
from av_tagger.errors import MediaError


def check_waveforms(waveforms: Sequence[Waveform], rate: int) -> None:
    """An ear takes sound at its own rate, all of it finite."""
    for i, w in enumerate(waveforms):
        if w.rate != rate:
            raise ValueError(
                f"this ear listens at {rate} Hz, the waveform has {w.rate} Hz: ask the decoder for the ear's rate"
            )
        if not np.isfinite(w.samples).all():
            where = f"sound {i + 1} of {len(waveforms)}, from {w.start_seconds:g} s"
            raise MediaError(
                where, "holds samples that are not finite numbers", "decode or record it again"
            )


def resampled(waveform: Waveform, rate: int) -> Waveform:
    """The same sound at another rate (polyphase filter)."""
    if waveform.rate == rate or not len(waveform.samples):
        return replace(waveform, rate=rate)
    from scipy.signal import resample_poly

    common = gcd(waveform.rate, rate)
    samples = resample_poly(waveform.samples, rate // common, waveform.rate // common)
    return replace(waveform, samples=samples.astype(np.float32), rate=rate)
