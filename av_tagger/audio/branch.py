"""The ear as the rest of the program knows it: waveforms in, scores with a timeline out; torch ends here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.header import Header
from av_tagger.audio.network import MilNetwork
from av_tagger.audio.settings import EarSettings
from av_tagger.audio.waveforms import check_waveforms
from av_tagger.clip import Waveform
from av_tagger.devices import find_device
from av_tagger.errors import UsageError
from av_tagger.networks import folded, quick_memory, upload
from av_tagger.scores import Activity, BranchInfo, Scores, Status

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Segment:
    """A part of a waveform that goes through the network in one pass, and the frames of its answer that count."""

    owner: int
    samples: Numbers
    skip: int  # instances of context before
    keep: int  # instances that count


class MilEar:
    """Any network of the laboratory as an `AudioBranch`."""

    def __init__(
        self,
        network: MilNetwork,
        header: Header,
        device: str | torch.device = "cpu",
        settings: EarSettings | None = None,
    ) -> None:
        if network.frontend is None:
            raise UsageError(
                f"{header.name}: this network reads features, not sound; it cannot be an ear by itself"
            )
        quick_memory()
        self.device = find_device(device)
        self.settings = settings or EarSettings()
        self.header = header
        self.network = network
        self._quick = folded(network).to(self.device)
        self._front = network.frontend.settings
        self._samples = network.extractor.stride * self._front.hop  # an instance

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

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        check_waveforms(waveforms, self.rate)
        pieces = [
            piece for owner, w in enumerate(waveforms) for piece in self._pieces(owner, w.samples)
        ]
        answers = self._answers(pieces)
        own: list[list[tuple[Numbers, Numbers]]] = [[] for _ in waveforms]
        for piece, answer in zip(pieces, answers, strict=True):
            own[piece.owner].append(answer)
        return [self._scores(w, parts) for w, parts in zip(waveforms, own, strict=True)]

    def _pieces(self, owner: int, samples: Numbers) -> Iterator[Segment]:
        """Long sound in overlapping windows, cut at whole instances, so that no timeline has a seam."""
        total = -(-len(samples) // self._samples)
        window = max(1, int(self.settings.longest_seconds * self.rate / self._samples))
        context = int(self.settings.overlap_seconds * self.rate / self._samples / 2)
        step = window if total <= window else max(1, window - 2 * context)
        for start in range(0, total, step):
            before = min(context, start) if total > window else 0
            keep = min(step, total - start)
            part = samples[
                (start - before) * self._samples : (start + keep + context) * self._samples
            ]
            yield Segment(owner, part, before, keep)

    def _answers(self, pieces: Sequence[Segment]) -> list[tuple[Numbers, Numbers]]:
        """Pieces with the same number of frames share a pass: nobody is padded, so nobody hears another's length."""
        groups: dict[int, list[int]] = defaultdict(list)
        for i, piece in enumerate(pieces):
            groups[self._front.frames(len(piece.samples))].append(i)
        answers: dict[int, tuple[Numbers, Numbers]] = {}
        for frames, members in groups.items():
            size = max(1, int(self.settings.batch_seconds * self.rate / (frames * self._front.hop)))
            for start in range(0, len(members), size):
                batch = members[start : start + size]
                answers.update(
                    zip(batch, self._forward([pieces[i] for i in batch], frames), strict=True)
                )
        return [answers[i] for i in range(len(pieces))]

    def _forward(self, pieces: Sequence[Segment], frames: int) -> list[tuple[Numbers, Numbers]]:
        # The front end ends every clip in zeros, so zeros up to a whole frame change nothing.
        waves = np.zeros((len(pieces), frames * self._front.hop), np.float32)
        for row, piece in zip(waves, pieces, strict=True):
            row[: len(piece.samples)] = piece.samples
        half = self.settings.precision == "bfloat16"
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            heard = self._quick(self._quick.features(upload(torch.from_numpy(waves), self.device)))
        bags, instances = heard.bags.float().cpu().numpy(), heard.instances.float().cpu().numpy()
        return [
            (bag, timeline[p.skip : p.skip + p.keep])
            for bag, timeline, p in zip(bags, instances, pieces, strict=True)
        ]

    def _scores(self, waveform: Waveform, parts: Sequence[tuple[Numbers, Numbers]]) -> Scores:
        if not parts:
            return Scores.silent(self.labels, Status.NO_TRACK)  # a track without a single sample
        bags = np.stack([bag for bag, _ in parts]).astype(np.float64)
        timeline = np.concatenate([instances for _, instances in parts])
        activity = Activity(timeline, self.rate / self._samples, waveform.start_seconds)
        # A clip in several windows holds a sound when one of them does (the standard assumption of METHOD §1.1).
        return Scores(self.labels, bags.max(axis=0), activity=activity)
