"""Published AudioSet networks as ears: windows of sound in, scores and a timeline out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from av_tagger.audio.calibration import HEAD, EmbeddingHead
from av_tagger.audio.frame_times import TIMELINE_RATE
from av_tagger.audio.known.families import Family
from av_tagger.audio.known.files import Network
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.waveforms import (
    Numbers,
    WaveformSegment,
    check_waveforms,
    filled_rows,
    in_batches,
    merge_rows,
    per_second,
    with_lead,
)
from av_tagger.clip import Waveform
from av_tagger.devices import find_device
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import audioset
from av_tagger.networks import download, folded, quick_memory, upload_rows
from av_tagger.scores import Activity, BranchInfo, Scores, Status

BATCH_SAMPLES = 160 * 32_000  # per forward pass, bounds memory: 16 windows of 10 s


class KnownEar:
    """Long sound is split into windows; a clip's score is the maximum over its windows."""

    def __init__(
        self, name: str, family: Family, network: Network, device: str | torch.device = "cpu"
    ) -> None:
        quick_memory()
        self.name = name
        self.family = family
        self.device = find_device(device)
        self._narrower = narrower(family.labels)
        quick = folded(cast("nn.Module", network)).to(self.device)
        self.network = cast("Network", quick.to(memory_format=torch.channels_last))

    @property
    def labels(self) -> tuple[str, ...]:
        return self.family.labels

    @property
    def rate(self) -> int:
        return self.family.rate

    @property
    def width(self) -> int:
        return self.network.width

    @property
    def info(self) -> BranchInfo:
        return BranchInfo(Status.OK, self.name.partition(".")[0], self.name)

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        segments = self._segments(waveforms)
        answers = in_batches(
            segments, self._padded_length, BATCH_SAMPLES, self._forward, self._stacked
        )
        own: list[list[tuple[int, Numbers, Numbers]]] = [[] for _ in waveforms]
        for segment, (bag, frames) in zip(segments, answers, strict=True):
            own[segment.owner].append((segment.start, bag, frames))
        return [self._scores(w, parts) for w, parts in zip(waveforms, own, strict=True)]

    def embed(self, waveforms: Sequence[Waveform]) -> list[Numbers]:
        """(seconds, width) per waveform: the mean of the rows of each second."""
        segments = self._segments(waveforms)
        rows = in_batches(segments, self._padded_length, BATCH_SAMPLES, self._embed, self._stacked)
        timelines = [self._no_rows(w, self.network.width) for w in waveforms]
        for segment, values in zip(segments, rows, strict=True):
            merge_rows(timelines[segment.owner], values, self._first_row(segment.start))
        return [per_second(filled_rows(t), self.family.frames.rate) for t in timelines]

    def _segments(self, waveforms: Sequence[Waveform]) -> list[WaveformSegment]:
        check_waveforms(waveforms, self.rate)
        return [part for i, w in enumerate(waveforms) for part in self._windows(i, w.samples)]

    def _windows(self, owner: int, samples: Numbers) -> Iterator[WaveformSegment]:
        """Windows that cover the waveform; the last ends with it and may overlap the one before."""
        window, lead = self.family.window_samples, self.family.lead_samples
        frame = round(self.rate * self.family.frames.hop)
        if not len(samples):
            return
        latest = max(0, -(-(len(samples) - window) // frame) * frame)
        for start in range(0, max(1, len(samples) - frame), window):
            first = start if start + window <= len(samples) else latest
            yield WaveformSegment(owner, first, with_lead(samples, first, first + window, lead))

    def _padded_length(self, samples: int) -> int:
        return max(samples, self.family.least_samples)

    def _stacked(self, waves: Sequence[Numbers], length: int) -> Tensor:
        return upload_rows(waves, length, self.device)

    def _forward(self, waves: Tensor) -> list[tuple[Numbers, Numbers]]:
        with torch.inference_mode():
            bags, frames = self.network(waves)
            if self.family.lead_samples:  # the published score is that of the other rows
                bags = frames[:, 1:].mean(dim=1)
        scores, timelines = (found.numpy() for found in download([bags, frames]))
        known = self._narrower
        pairs = zip(scores, timelines, strict=True)
        return [(raised(bag, known), raised(timeline, known)) for bag, timeline in pairs]

    def _embed(self, waves: Tensor) -> list[Numbers]:
        with torch.inference_mode():
            rows = self.network.embed(waves)
        return list(rows.float().cpu().numpy())

    def _no_rows(self, waveform: Waveform, width: int) -> Numbers:
        """(rows, width) of NaN."""
        rows = self.family.frames.count(len(waveform.samples) / self.rate)
        return np.full((rows, width), np.nan, np.float32)

    def _first_row(self, sample: int) -> int:
        return self.family.frames.row_at(sample / self.rate)

    def _scores(self, waveform: Waveform, parts: Sequence[tuple[int, Numbers, Numbers]]) -> Scores:
        if not parts:
            return Scores.silent(self.labels, Status.NO_TRACK)
        rows = self._no_rows(waveform, len(self.labels))
        for start, _, frames in parts:
            merge_rows(rows, frames, self._first_row(start))
        bags = np.stack([bag for _, bag, _ in parts]).astype(np.float64)
        seconds = len(waveform.samples) / self.rate
        values = self.family.frames.timeline(rows, seconds)
        activity = Activity(values, TIMELINE_RATE, waveform.start_seconds)
        return Scores(self.labels, bags.max(axis=0), activity=activity)


def raised(probabilities: Numbers, pairs: Sequence[tuple[int, int]]) -> Numbers:
    """A class is at least as probable as the narrower classes that count for it; in place."""
    for broad, narrow in pairs:
        wide = probabilities[..., broad]
        np.maximum(wide, probabilities[..., narrow], out=wide)
    return probabilities


def narrower(labels: tuple[str, ...]) -> list[tuple[int, int]]:
    """Positions of each broad class and a narrower one that counts for it."""
    by_id = {c.id: c.label for c in audioset()}
    pairs = [(c.label, by_id[id_]) for c in audioset() for id_ in c.also]
    position = {label: k for k, label in enumerate(labels)}
    return [(position[a], position[b]) for a, b in pairs if {a, b} <= position.keys()]


def widened(name: str, family: Family, network: Network, head: EmbeddingHead) -> Family:
    """Add the head to the network's classifier; the family with its classes (YAMNet only)."""
    if not isinstance(network, YAMNet):
        raise UsageError(f"{name}: a head on its embeddings is not supported; only YAMNet has one")
    if head.weight.shape[1] != network.width:
        raise WeightsError(
            f"{name}: has embeddings of width {network.width}, its head expects "
            f"{head.weight.shape[1]}; install av_tagger again"
        )
    network.widen(torch.from_numpy(head.weight), torch.from_numpy(head.bias))
    return replace(family, labels=(*family.labels, *(HEAD + label for label in head.labels)))
