"""Waveforms on their way to a network: checks, segments, batches of equal length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import gcd
from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from av_tagger.clip import Waveform, all_finite
from av_tagger.errors import MediaError

T = TypeVar("T")
Numbers = NDArray[np.float32]
LOBES, KAISER_BETA = 10, 5.0  # of the resampling filter: zero crossings per side, window shape


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
        if not (w.finite or all_finite(w.samples)):
            where = f"waveform {i + 1} of {len(waveforms)}, from {w.start_seconds:g} s"
            reason = "contains samples that are NaN or infinite"
            raise MediaError(where, reason, "decode or record it again")


def resampled(waveform: Waveform, rate: int) -> Waveform:
    """The same sound at another rate (polyphase filter)."""
    if waveform.rate == rate or not len(waveform.samples):
        return replace(waveform, rate=rate)
    common = gcd(waveform.rate, rate)
    samples = polyphase(waveform.samples, rate // common, waveform.rate // common)
    return replace(waveform, samples=samples, rate=rate)


def polyphase(samples: Numbers, up: int, down: int) -> Numbers:
    """Resample by up / down: as scipy's `resample_poly`, whose import takes longer than a clip."""
    taps = _lowpass(up, down)
    middle, count = len(taps) // 2, -(-len(samples) * up // down)
    found = np.empty(count, np.float32)
    for phase in range(min(up, count)):
        # outputs phase, phase + up, ...: all with the same taps, `down` samples apart
        newest, first_tap = divmod(phase * down + middle, up)
        own = taps[first_tap::up][::-1]
        size = (count - 1 - phase) // up + 1
        begin = newest + 1 - len(own)
        end = begin + (size - 1) * down + len(own)
        padded = np.pad(
            samples[max(begin, 0) : end], (max(-begin, 0), max(end - len(samples), 0))
        ).astype(np.float32)
        rows = sliding_window_view(padded, len(own))[::down]
        found[phase::up] = np.einsum("nk,k->n", rows[:size], own)
    return found


@cache
def _lowpass(up: int, down: int) -> Numbers:
    """A windowed sinc at the lower of the two Nyquist frequencies, with a gain of `up`."""
    widest = max(up, down)
    n = np.arange(-LOBES * widest, LOBES * widest + 1)
    taps = np.sinc(n / widest) * np.kaiser(len(n), KAISER_BETA)
    taps = taps / taps.sum() * up
    found: Numbers = taps.astype(np.float32)
    return found


def with_lead(samples: Numbers, first: int, end: int, lead: int) -> Numbers:
    """Samples from `first` to `end` and those before them, mirrored where the sound starts."""
    part = samples[max(0, first - lead) : end]
    missing = max(0, lead - first)
    return np.pad(part, (missing, 0), mode="reflect") if missing else part


def in_batches(
    segments: Sequence[WaveformSegment],
    padded_length: Callable[[int], int],
    batch_samples: int,
    run: Callable[[Any], Sequence[T]],
    stack: Callable[[Sequence[Numbers], int], Any] | None = None,
) -> list[T]:
    """One result of `run` for each segment.

    `stack` makes what `run` gets from the samples and their padded length: `zero_padded`.
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
            waves = (stack or zero_padded)([segments[i].samples for i in batch], length)
            found.update(zip(batch, run(waves), strict=True))
    return [found[i] for i in range(len(segments))]


def zero_padded(waves: Sequence[Numbers], length: int) -> Numbers:
    """(waves, length) samples."""
    rows = np.empty((len(waves), length), np.float32)
    for row, wave in zip(rows, waves, strict=True):
        row[: len(wave)], row[len(wave) :] = wave, 0.0
    return rows


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
