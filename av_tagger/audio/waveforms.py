"""Waveforms on their way to a network: checks, segments, batches of equal length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Waveform
from av_tagger.errors import MediaError

T = TypeVar("T")
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class WaveformSegment:
    """A part of a waveform that goes through the network in one pass."""

    owner: int  # index of the waveform
    start: int  # samples
    samples: Numbers


def check_waveforms(waveforms: Sequence[Waveform], rate: int) -> None:
    """Refuse another sampling rate, and samples that are NaN or infinite."""
    for i, w in enumerate(waveforms):
        if w.rate != rate:
            raise ValueError(
                f"the ear needs {rate} Hz, the waveform has {w.rate} Hz: "
                "request the ear's rate from the decoder"
            )
        if not np.isfinite(w.samples).all():
            where = f"waveform {i + 1} of {len(waveforms)}, from {w.start_seconds:g} s"
            reason = "contains samples that are NaN or infinite"
            raise MediaError(where, reason, "decode or record it again")


def resampled(waveform: Waveform, rate: int) -> Waveform:
    """The same sound at another rate (polyphase filter)."""
    if waveform.rate == rate or not len(waveform.samples):
        return replace(waveform, rate=rate)
    from scipy.signal import resample_poly

    common = gcd(waveform.rate, rate)
    samples = resample_poly(waveform.samples, rate // common, waveform.rate // common)
    return replace(waveform, samples=samples.astype(np.float32), rate=rate)


def in_batches(
    segments: Sequence[WaveformSegment],
    padded_length: Callable[[int], int],
    batch_samples: int,
    run: Callable[[Numbers], Sequence[T]],
) -> list[T]:
    """One result of `run` for each segment.

    Segments of equal padded length share a batch (segments, samples) of about `batch_samples`; none
    is padded to the length of another, so results do not depend on the other segments.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for i, segment in enumerate(segments):
        groups[padded_length(len(segment.samples))].append(i)
    found: dict[int, T] = {}
    for length, members in groups.items():
        size = max(1, batch_samples // length)
        for begin in range(0, len(members), size):
            batch = members[begin : begin + size]
            waves = np.zeros((len(batch), length), np.float32)
            for row, i in zip(waves, batch, strict=True):
                row[: len(segments[i].samples)] = segments[i].samples
            found.update(zip(batch, run(waves), strict=True))
    return [found[i] for i in range(len(segments))]


def per_second(values: Numbers, rate: float) -> Numbers:
    """Rows at `rate` per second to one row per second: the mean of those that start in it.

    Where rows are further apart than a second, the row before holds on.
    """
    seconds = np.floor(np.arange(len(values)) / rate + 1e-6).astype(int)
    means: list[Numbers] = []
    for second in range(int(seconds[-1]) + 1):
        found = values[seconds == second]
        means.append(found.mean(axis=0) if len(found) else means[-1])
    return np.stack(means).astype(np.float32)


def merge_rows(timeline: Numbers, values: Numbers, first: int) -> None:
    """Write frames into a timeline of NaN; where windows overlap, the maximum is kept."""
    room = timeline[first : first + len(values)]
    np.fmax(room, values[: len(room)], out=room)


def filled_rows(timeline: Numbers) -> Numbers:
    """NaN rows get the values of the last row before them: the end after the last whole frame."""
    known = np.maximum.accumulate(np.where(np.isnan(timeline[:, 0]), 0, np.arange(len(timeline))))
    return timeline[known]
