"""A trained network on the embeddings of a published one, as an `AudioBranch`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.bag_assumptions import assumed
from av_tagger.audio.header import Header
from av_tagger.audio.network import MilNetwork
from av_tagger.audio.settings import EarSettings
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError
from av_tagger.protocols import EmbeddingBranch
from av_tagger.scores import Activity, BranchInfo, Scores, Status

Numbers = NDArray[np.float32]


class EmbeddedEar:
    """One network computes embeddings per second, another classifies them."""

    def __init__(
        self,
        embedder: EmbeddingBranch,
        network: MilNetwork,
        header: Header,
        settings: EarSettings | None = None,
    ) -> None:
        shape, self.settings = network.extractor.shape, settings or EarSettings()
        if network.frontend is not None or shape.channels * shape.bands != embedder.width:
            reads = (
                "sound"
                if network.frontend is not None
                else f"{shape.channels * shape.bands} numbers a second"
            )
            raise UsageError(
                f"{header.name}: reads {reads}, but {embedder.name} gives "
                f"{embedder.width} numbers a second"
            )
        self.embedder = embedder
        self.header = header
        self.network = network.eval().to(embedder.device)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.header.labels

    @property
    def rate(self) -> int:
        return self.embedder.rate

    @property
    def info(self) -> BranchInfo:
        a = self.header.architecture
        return BranchInfo(
            Status.OK,
            f"{a.extractor}, {a.pooling} pooling on {self.embedder.name}",
            self.header.name,
        )

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        sounding = [w for w in waveforms if len(w.samples)]
        rows = iter(self.embedder.embed(sounding))
        return [
            self._score(w, next(rows))
            if len(w.samples)
            else Scores.silent(self.labels, Status.NO_TRACK)
            for w in waveforms
        ]

    def instances(self, rows: Numbers) -> Numbers:
        """(seconds, classes) scores of rows of embeddings (seconds, width)."""
        return self._forward(rows)[1]

    def _score(self, waveform: Waveform, rows: Numbers) -> Scores:
        """Long sound is split into equal parts; the score is the maximum over the parts."""
        parts = [self._forward(part) for part in np.array_split(rows, -(-len(rows) // LONGEST))]
        bags = np.stack([bag for bag, _ in parts]).astype(np.float64)
        timeline = np.concatenate([instances for _, instances in parts])
        activity = Activity(timeline, self.network.extractor.rate, waveform.start_seconds)
        return Scores(self.labels, bags.max(axis=0), activity=activity)

    def _forward(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        shape = self.network.extractor.shape
        features = torch.from_numpy(rows).to(self.embedder.device)
        features = features.view(1, len(rows), shape.channels, shape.bands).transpose(1, 2)
        with torch.inference_mode():
            heard = self.network(features)
            bags = assumed(self.settings.assumption or self.header.assumption, heard)
        return bags[0].float().cpu().numpy(), heard.instances[0].float().cpu().numpy()


LONGEST = 30  # seconds per bag
