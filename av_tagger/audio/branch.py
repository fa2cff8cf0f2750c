"""A trained audio network as an `AudioBranch`: waveforms in, scores and a timeline out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from av_tagger.audio.bag_assumptions import assumed
from av_tagger.audio.header import Header
from av_tagger.audio.network import MilNetwork
from av_tagger.audio.settings import EarSettings
from av_tagger.audio.waveforms import (
    Numbers,
    WaveformSegment,
    check_waveforms,
    in_batches,
    per_second,
)
from av_tagger.clip import Waveform
from av_tagger.devices import find_device
from av_tagger.errors import UsageError
from av_tagger.networks import download, folded, quick_memory, upload, upload_rows
from av_tagger.scores import Activity, BranchInfo, Scores, Status


class MilEar:
    """Any network that `build_network` makes, with a front end."""

    def __init__(
        self,
        network: MilNetwork,
        header: Header,
        device: str | torch.device = "cpu",
        settings: EarSettings | None = None,
    ) -> None:
        if network.frontend is None:
            raise UsageError(
                f"{header.name}: this network reads features, not sound; "
                "it cannot be an ear by itself"
            )
        quick_memory()
        self.device = find_device(device)
        self.settings = settings or EarSettings()
        self.header = header
        self.network = network
        self.quick = folded(network).to(self.device)  # computes; the same results
        self._front = network.frontend.settings
        self.instance_samples = network.extractor.stride * self._front.hop

    @property
    def labels(self) -> tuple[str, ...]:
        return self.header.labels

    @property
    def rate(self) -> int:
        return self._front.rate

    @property
    def info(self) -> BranchInfo:
        a = self.header.architecture
        return BranchInfo(Status.OK, f"{a.extractor}, {a.pooling} pooling", self.header.name)

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def width(self) -> int:
        """Of the embeddings."""
        return self.network.extractor.width

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        check_waveforms(waveforms, self.rate)
        parts = [part for i, w in enumerate(waveforms) for part in self._parts(i, w.samples)]
        segments = [segment for segment, _ in parts]
        size = int(self.settings.batch_seconds * self.rate)
        answers = in_batches(segments, self._padded_length, size, self._forward, self._stacked)
        own: list[list[tuple[Numbers, Numbers]]] = [[] for _ in waveforms]
        for (segment, kept), (bag, timeline) in zip(parts, answers, strict=True):
            own[segment.owner].append((bag, timeline[kept]))
        return [self._scores(w, found) for w, found in zip(waveforms, own, strict=True)]

    def embed(self, waveforms: Sequence[Waveform]) -> list[Numbers]:
        """(seconds, width) of each waveform: the mean of the instances that start in a second."""
        check_waveforms(waveforms, self.rate)
        parts = [part for i, w in enumerate(waveforms) for part in self._parts(i, w.samples)]
        size = int(self.settings.batch_seconds * self.rate)
        segments = [segment for segment, _ in parts]
        rows = in_batches(segments, self._padded_length, size, self._embeddings, self._stacked)
        own: list[list[Numbers]] = [[] for _ in waveforms]
        for (segment, kept), row in zip(parts, rows, strict=True):
            own[segment.owner].append(row[kept])
        return [
            per_second(np.concatenate(found), self.rate / self.instance_samples) for found in own
        ]

    def instances(self, samples: Numbers, frames: slice) -> tuple[Numbers, Numbers]:
        """Scores (instances, classes) and embeddings of some frames of a sound.

        The other samples are context of the front end; the network reads the frames alone.
        """
        half = self.settings.precision == "bfloat16"
        wave = upload(torch.from_numpy(np.ascontiguousarray(samples)[None]), self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            heard = self.quick(self.quick.features(wave)[:, :, frames])
        return heard.instances[0].float().cpu().numpy(), heard.embeddings[0].float().cpu().numpy()

    def _parts(self, owner: int, samples: Numbers) -> Iterator[tuple[WaveformSegment, slice]]:
        """Overlapping windows of a long waveform, and the instances of each that are kept.

        Windows are cut at whole instances; half of the overlap on each side is context only.
        """
        total = -(-len(samples) // self.instance_samples)
        window = max(1, int(self.settings.longest_seconds * self.rate / self.instance_samples))
        context = int(self.settings.overlap_seconds * self.rate / self.instance_samples / 2)
        step = window if total <= window else max(1, window - 2 * context)
        for start in range(0, total, step):
            before = min(context, start) if total > window else 0
            keep = min(step, total - start)
            first = (start - before) * self.instance_samples
            part = samples[first : (start + keep + context) * self.instance_samples]
            yield WaveformSegment(owner, first, part), slice(before, before + keep)

    def _padded_length(self, samples: int) -> int:
        """Whole frames: the front end pads with zeros at the end, so more zeros change nothing."""
        return self._front.frames(samples) * self._front.hop

    def _stacked(self, waves: Sequence[Numbers], length: int) -> Tensor:
        return upload_rows(waves, length, self.device)

    def _forward(self, waves: Tensor) -> list[tuple[Numbers, Numbers]]:
        """Bag (classes,) and instance probabilities (instances, classes) of each waveform."""
        half = self.settings.precision == "bfloat16"
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            heard = self.quick(self.quick.features(waves))
            bags = assumed(self.settings.assumption or self.header.assumption, heard)
        bags, instances = download([bags.float(), heard.instances.float()])
        return list(zip(bags.numpy(), instances.numpy(), strict=True))

    def _embeddings(self, waves: Tensor) -> list[Numbers]:
        """(instances, width) of each waveform."""
        with torch.inference_mode():
            heard = self.quick(self.quick.features(waves))
        return list(heard.embeddings.float().cpu().numpy())

    def _scores(self, waveform: Waveform, parts: Sequence[tuple[Numbers, Numbers]]) -> Scores:
        if not parts:
            return Scores.silent(self.labels, Status.NO_TRACK)  # a track without a single sample
        bags = np.stack([bag for bag, _ in parts]).astype(np.float64)
        timeline = np.concatenate([instances for _, instances in parts])
        activity = Activity(timeline, self.rate / self.instance_samples, waveform.start_seconds)
        # Standard MIL assumption (AV §2.1): a clip has a class if one of its windows has it.
        return Scores(self.labels, bags.max(axis=0), activity=activity)
