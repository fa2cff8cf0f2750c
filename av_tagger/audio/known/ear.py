"""A published AudioSet network as an `AudioBranch`, and reading its weights."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT, Family
from av_tagger.audio.known.vggish_files import network_of as vggish
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.waveforms import (
    Numbers,
    WaveformSegment,
    check_waveforms,
    in_batches,
    per_second,
)
from av_tagger.clip import Waveform
from av_tagger.devices import find_device
from av_tagger.errors import WeightsError, sentence
from av_tagger.labels import audioset
from av_tagger.networks import folded, quick_memory, upload
from av_tagger.scores import Activity, BranchInfo, Scores, Status

BATCH_SAMPLES = 160 * 32_000  # per forward pass, bounds memory: 16 windows of 10 s
AGAIN = "fetch it again: av-tag weights fetch"


class Network(Protocol):
    """What a published network must offer."""

    width: int  # of the embeddings

    def embed(self, waveforms: Tensor) -> Tensor:
        """(B, samples) to (B, frames, width)."""
        ...

    def __call__(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities of the waveforms (B, classes) and of their frames (B, frames, classes)."""
        ...


class KnownEar:
    """Long sound is split into windows; a clip's score is the maximum over its windows."""

    def __init__(
        self, name: str, family: Family, network: Network, device: str | torch.device = "cpu"
    ) -> None:
        quick_memory()
        self.name = name
        self.family = family
        self.device = find_device(device)
        self._narrower = _narrower(family.labels)
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
        answers = in_batches(segments, self._padded_length, BATCH_SAMPLES, self._forward)
        own: list[list[tuple[int, Numbers, Numbers]]] = [[] for _ in waveforms]
        for segment, (bag, frames) in zip(segments, answers, strict=True):
            own[segment.owner].append((segment.start, bag, frames))
        return [self._scores(w, parts) for w, parts in zip(waveforms, own, strict=True)]

    def embed(self, waveforms: Sequence[Waveform]) -> list[Numbers]:
        """(seconds, width) per waveform: the mean over the frames that start in each second."""
        segments = self._segments(waveforms)
        rows = in_batches(segments, self._padded_length, BATCH_SAMPLES, self._embed)
        timelines = [self._timeline(w, self.network.width) for w in waveforms]
        for segment, values in zip(segments, rows, strict=True):
            _merge(timelines[segment.owner], values, self._first_frame(segment.start))
        return [per_second(_filled(t), self.family.frame_rate) for t in timelines]

    def _segments(self, waveforms: Sequence[Waveform]) -> list[WaveformSegment]:
        check_waveforms(waveforms, self.rate)
        return [part for i, w in enumerate(waveforms) for part in self._windows(i, w.samples)]

    def _windows(self, owner: int, samples: Numbers) -> Iterator[WaveformSegment]:
        """Windows that cover the waveform; the last ends with it and may overlap the one before."""
        window = self.family.window_samples
        frame = round(self.rate / self.family.frame_rate)
        if not len(samples):
            return
        latest = max(0, -(-(len(samples) - window) // frame) * frame)
        for start in range(0, max(1, len(samples) - frame), window):
            first = start if start + window <= len(samples) else latest
            yield WaveformSegment(owner, first, samples[first : first + window])

    def _padded_length(self, samples: int) -> int:
        return max(samples, self.family.least_samples)

    def _forward(self, waves: Numbers) -> list[tuple[Numbers, Numbers]]:
        with torch.inference_mode():
            bags, frames = self.network(upload(torch.from_numpy(waves), self.device))
        pairs = zip(bags.cpu().numpy(), frames.cpu().numpy(), strict=True)
        return [(self._widened(bag), self._widened(timeline)) for bag, timeline in pairs]

    def _widened(self, probabilities: Numbers) -> Numbers:
        """A class is at least as probable as the narrower classes that count for it."""
        for broad, narrow in self._narrower:
            raised = np.maximum(probabilities[..., broad], probabilities[..., narrow])
            probabilities[..., broad] = raised
        return probabilities

    def _embed(self, waves: Numbers) -> list[Numbers]:
        with torch.inference_mode():
            rows = self.network.embed(upload(torch.from_numpy(waves), self.device))
        return list(rows.float().cpu().numpy())

    def _timeline(self, waveform: Waveform, width: int) -> Numbers:
        """(frames, width) of NaN."""
        frames = -int(-len(waveform.samples) * self.family.frame_rate // self.rate)
        return np.full((max(1, frames), width), np.nan, np.float32)

    def _first_frame(self, sample: int) -> int:
        return round(sample * self.family.frame_rate / self.rate)

    def _scores(self, waveform: Waveform, parts: Sequence[tuple[int, Numbers, Numbers]]) -> Scores:
        if not parts:
            return Scores.silent(self.labels, Status.NO_TRACK)
        timeline = self._timeline(waveform, len(self.labels))
        for start, _, frames in parts:
            _merge(timeline, frames, self._first_frame(start))
        bags = np.stack([bag for _, bag, _ in parts]).astype(np.float64)
        activity = Activity(_filled(timeline), self.family.frame_rate, waveform.start_seconds)
        return Scores(self.labels, bags.max(axis=0), activity=activity)


def _narrower(labels: tuple[str, ...]) -> list[tuple[int, int]]:
    """Positions of each broad class and a narrower one that counts for it."""
    by_id = {c.id: c.label for c in audioset()}
    pairs = [(c.label, by_id[id_]) for c in audioset() for id_ in c.also]
    position = {label: k for k, label in enumerate(labels)}
    return [(position[a], position[b]) for a, b in pairs if {a, b} <= position.keys()]


def _merge(timeline: Numbers, values: Numbers, first: int) -> None:
    """Write frames into a timeline of NaN; where windows overlap, the maximum is kept."""
    room = timeline[first : first + len(values)]
    np.fmax(room, values[: len(room)], out=room)


def _filled(timeline: Numbers) -> Numbers:
    """NaN rows get the values of the last row before them: the end after the last whole frame."""
    known = np.maximum.accumulate(np.where(np.isnan(timeline[:, 0]), 0, np.arange(len(timeline))))
    return timeline[known]


def read_network(family: str, path: Path) -> Network:
    """The network of a family with the weights of a file; its width is read from the file."""
    state = _read_state(path)
    last = EFFICIENTAT.tensor
    if family == "efficientat" and last not in state:
        remedy = "give a file such as mn10_as_mAP_471.pt"
        raise WeightsError(sentence(path, "is not an EfficientAT MobileNet", remedy))
    try:
        if family == "vggish":
            return cast("Network", vggish(state).eval())
        network: nn.Module = YAMNet() if family == "yamnet" else EfficientAT(len(state[last]) / 160)
        network.load_state_dict(state, strict=True)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(sentence(path, f"does not fit {family} ({reason})", AGAIN)) from error
    return cast("Network", network)


def _read_state(path: Path) -> dict[str, Tensor]:
    """Named tensors; nothing else is unpickled."""
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (
        SafetensorError,
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        ValueError,
    ) as error:
        reason = f"cannot be read as weights ({str(error).splitlines()[0][:120]})"
        raise WeightsError(sentence(path, reason, AGAIN)) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(sentence(path, "does not hold named tensors", AGAIN))
    return state
