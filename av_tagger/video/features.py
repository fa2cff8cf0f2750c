"""Pictures to vectors: micro-batches laid end to end over the clips, each distinct frame computed
once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.clip import Frames, Rows
from av_tagger.networks import MicroBatch, upload
from av_tagger.video.alexnet import Geometry
from av_tagger.video.pixels import Pixels, prepare

Span = tuple[int, int, int]  # of a clip, from a row to a row


CPU = torch.device("cpu")
CPU_BATCH, GPU_BATCH = (
    16,
    240,
)  # pictures: what a core's cache holds; a clip of ten seconds, which fills a GPU


@dataclass(frozen=True)
class Compute:
    """How a describer runs."""

    batch: int = CPU_BATCH
    device: torch.device = CPU
    dtype: torch.dtype = torch.float32
    int8: bool = False  # int8 frame features, where the network supports them

    @property
    def arithmetic(self) -> str:
        return "int8" if self.int8 else str(self.dtype).removeprefix("torch.")


class NetworkFeatures:
    """A `FrameFeatures` of any network on pixels."""

    def __init__(self, name: str, network: nn.Module, geometry: Geometry, how: Compute) -> None:
        self.name, self.geometry, self.how = name, geometry, how
        self.batch = MicroBatch(how.batch)
        network = network.eval().requires_grad_(requires_grad=False)
        self.network = network.to(how.device, how.dtype).to(memory_format=torch.channels_last)

    def describe(self, clips: Sequence[Frames]) -> list[Tensor]:
        """(frames, features) float32 a clip, on the device."""
        distinct = [clip.distinct() for clip in clips]
        return self.batch.run(lambda size: self._describe(clips, distinct, size))

    def _describe(
        self, clips: Sequence[Frames], distinct: Sequence[tuple[Rows, Rows]], batch_size: int
    ) -> list[Tensor]:
        found: list[Tensor | None] = [None] * len(clips)
        for batch in self._batches(clips, distinct, batch_size):
            rows = [(c, distinct[c][0][a:b]) for c, a, b in batch]
            features = self._features_of(clips, rows)
            if len(batch) == 1 and len(features) == len(distinct[batch[0][0]][0]):
                found[batch[0][0]] = features.float()  # the whole clip: no copy
                continue
            begin = 0
            for c, a, b in batch:
                whole = found[c]
                if whole is None:
                    whole = found[c] = features.new_empty(
                        (len(distinct[c][0]), features.shape[1]), dtype=torch.float32
                    )
                whole[a:b] = features[begin : begin + b - a]
                begin += b - a
        return [
            self._spread(whole, copies) for whole, (_, copies) in zip(found, distinct, strict=True)
        ]

    def _batches(
        self, clips: Sequence[Frames], distinct: Sequence[tuple[Rows, Rows]], batch_size: int
    ) -> Iterator[list[Span]]:
        """Clips of one form run on into each other; another form begins a batch of its own."""
        for luma in dict.fromkeys(clip.luma for clip in clips):
            mine = [c for c, clip in enumerate(clips) if clip.luma == luma]
            for spans in _micro_batches([len(distinct[c][0]) for c in mine], batch_size):
                yield [(mine[i], a, b) for i, a, b in spans]

    def _features_of(self, clips: Sequence[Frames], batch: Sequence[tuple[int, Rows]]) -> Tensor:
        """(pictures, features) of some rows of some clips of one pixel format."""
        pieces = [prepare(clips[c], rows, self.geometry, self.how.device) for c, rows in batch]
        values = [piece.values for piece in pieces]
        whole = pieces[0] if len(pieces) == 1 else Pixels(torch.cat(values), pieces[0].luma)
        with torch.no_grad():
            features: Tensor = self.network(whole)
        return features

    @staticmethod
    def _spread(features: Tensor | None, copies: NDArray[np.int64]) -> Tensor:
        if features is None:
            return torch.empty((0, 0))
        return (
            features
            if len(features) == len(copies)
            else features[upload(torch.from_numpy(copies), features.device)]
        )


def _micro_batches(lengths: Sequence[int], batch: int) -> Iterator[list[Span]]:
    """Spans (clip, first row, end) of `batch` rows in all, across clips."""
    spans: list[Span] = []
    room = batch
    for clip, length in enumerate(lengths):
        row = 0
        while row < length:
            take = min(room, length - row)
            spans.append((clip, row, row + take))
            row, room = row + take, room - take
            if room == 0:
                yield spans
                spans, room = [], batch
    if spans:
        yield spans


THUMBNAIL = Geometry(resize=16, crop=16)
