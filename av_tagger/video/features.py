"""Pictures to vectors: micro-batches laid end to end over the clips, each distinct frame computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.clip import Frames, Images
from av_tagger.video.alexnet import Geometry

Forward = Callable[[Tensor], Tensor]  # (b, 3, crop, crop) pixels 0..255 to (b, features)


class Folded(nn.Module):
    """A convolutional network that takes raw pixels: the normalisation is folded into its first convolution.

    With x = (p / 255 - mean) / std, conv(x) = conv'(p - c) + b' for any constant c. Pixels minus a whole number c near the mean are
    whole numbers of at most eight bits, so bf16 holds them exactly. The border that used to be x = 0 becomes p = 255 mean, the mean pixel.
    """

    border: Tensor

    def __init__(self, network: nn.Sequential, geometry: Geometry) -> None:
        super().__init__()
        first = network[0]
        assert isinstance(first, nn.Conv2d)
        mean, std = (255 * torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (geometry.mean, geometry.std))
        self.centre = centre = float(mean.mean().round())  # one for all channels: a constant per channel takes ten times as long
        weight = first.weight.detach().double() / std
        bias = torch.zeros(len(weight)) if first.bias is None else first.bias.detach()
        bias = bias.double() + (weight * (centre - mean)).sum((1, 2, 3))
        self.first = nn.Conv2d(3, len(weight), first.kernel_size, first.stride)  # type: ignore[arg-type]
        self.first.load_state_dict({"weight": weight.float(), "bias": bias.float()})
        self.rest = network[1:]
        self.padding = int(first.padding[0])
        self.register_buffer("border", (mean - centre).float())

    def forward(self, pixels: Tensor) -> Tensor:
        kind, pad = self.first.weight.dtype, self.padding
        n, _, height, width = pixels.shape
        size = (n, 3, height + 2 * pad, width + 2 * pad)
        framed = torch.empty(size, dtype=kind, device=pixels.device, memory_format=torch.channels_last)
        if pad:
            for edge in (framed[:, :, :pad], framed[:, :, -pad:], framed[..., :pad], framed[..., -pad:]):
                edge.copy_(self.border.expand_as(edge))
        framed[:, :, pad : pad + height, pad : pad + width] = pixels.to(kind, memory_format=torch.channels_last).sub_(self.centre)
        features: Tensor = self.rest(self.first(framed))
        return features.flatten(1)


class Normalised(nn.Module):
    """Any other network: pixels are normalised in front of it."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, geometry: Geometry) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(geometry.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(geometry.std)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() - self.mean.float()) / self.std.float()
        features: Tensor = self.network(x.to(self.mean.dtype).contiguous(memory_format=torch.channels_last))
        return features.flatten(1)


class Thumbnail(nn.Module):
    """No network at all: the brightness and colour of a small picture, with its contrast in the foreground."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.float().flatten(1) / 255


CPU = torch.device("cpu")


@dataclass(frozen=True)
class Described:
    """How a describer runs."""

    batch: int = 32
    device: torch.device = CPU
    kind: torch.dtype = torch.float32


class NetworkFeatures:
    """A `FrameFeatures` of any network on pixels."""

    def __init__(self, name: str, network: nn.Module, geometry: Geometry, how: Described) -> None:
        self.name, self.geometry, self.how = name, geometry, how
        network = network.eval().requires_grad_(requires_grad=False)
        self.network = network.to(how.device, how.kind).to(memory_format=torch.channels_last)

    def describe(self, clips: Sequence[Frames]) -> list[Tensor]:
        """(frames, features) float32 a clip, on the device."""
        distinct = [distinct_rows(clip.images) for clip in clips]
        found: list[Tensor | None] = [None] * len(clips)
        for spans in _micro_batches([len(rows) for rows, _ in distinct], self.how.batch):
            features = self._compute([_rows(clips[c].images, distinct[c][0][a:b]) for c, a, b in spans])
            begin = 0
            for c, a, b in spans:
                whole = found[c]
                if whole is None:
                    whole = found[c] = features.new_empty((len(distinct[c][0]), features.shape[1]))
                whole[a:b] = features[begin : begin + b - a]
                begin += b - a
        return [self._spread(whole, copies) for whole, (_, copies) in zip(found, distinct, strict=True)]

    def _compute(self, pieces: Sequence[Images]) -> Tensor:
        with torch.no_grad():
            pixels = [prepare(piece, self.geometry, self.how.device) for piece in pieces]
            return self.network(pixels[0] if len(pixels) == 1 else torch.cat(pixels)).float()  # type: ignore[no-any-return]

    @staticmethod
    def _spread(features: Tensor | None, copies: NDArray[np.int64]) -> Tensor:
        if features is None:
            return torch.empty((0, 0))
        return features if len(features) == len(copies) else features[torch.from_numpy(copies).to(features.device)]


def prepare(images: Images, geometry: Geometry, device: torch.device) -> Tensor:
    """Resize the shorter side, crop the centre: (n, 3, crop, crop) pixels, as torchvision does it on whole numbers."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2)  # channels_last as it lies in memory
    height, width = x.shape[2:]
    short, long = sorted((height, width))
    if short != geometry.resize:
        target = (geometry.resize, int(geometry.resize * long / short))
        size = target if height <= width else target[::-1]
        whole = x if device.type == "cpu" else x.float()  # whole numbers are resized on the CPU only
        x = F.interpolate(whole, size=size, mode=geometry.mode, antialias=True, align_corners=False)
        x = x if x.dtype == torch.uint8 else x.round_().clamp_(0, 255).to(torch.uint8)
    return _centre(x, geometry.crop)


def _rows(images: Images, rows: NDArray[np.int64]) -> Images:
    """Those rows, without a copy where they lie side by side."""
    first, last = int(rows[0]), int(rows[-1])
    return images[first : last + 1] if last - first + 1 == len(rows) else images[rows]


def _centre(x: Tensor, crop: int) -> Tensor:
    height, width = x.shape[2:]
    top, left = round((height - crop) / 2), round((width - crop) / 2)
    return x[:, :, top : top + crop, left : left + crop]


def distinct_rows(images: Images) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the frames that differ from all before them, and for each frame which of those it equals."""
    first: list[int] = []
    copies = np.empty(len(images), dtype=np.int64)
    alike: dict[int, list[int]] = {}
    for row, key in enumerate(_sums(images)):
        bucket = alike.setdefault(int(key), [])
        twin = next((d for d in bucket if np.array_equal(images[first[d]], images[row])), None)
        if twin is None:
            twin = len(first)
            first.append(row)
            bucket.append(twin)
        copies[row] = twin
    return np.array(first, dtype=np.int64), copies


def _sums(images: Images) -> NDArray[np.uint64]:
    """A number a frame that equal frames share: the sum of its bytes, eight at a time, at the speed of memory."""
    flat = np.ascontiguousarray(images).reshape(len(images), -1)
    whole = flat.shape[1] // 8 * 8
    tail = flat[:, whole:].astype(np.uint64).sum(axis=1)
    words = np.ascontiguousarray(flat[:, :whole]).view(np.uint64)
    total: NDArray[np.uint64] = words.sum(axis=1, dtype=np.uint64) + tail
    return total


def _micro_batches(lengths: Sequence[int], batch: int) -> Iterator[list[tuple[int, int, int]]]:
    """Spans (clip, first row, end) that together hold `batch` rows, running on from clip to clip."""
    spans: list[tuple[int, int, int]] = []
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
