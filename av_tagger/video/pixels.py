"""Preprocessing of frames: resized and cropped uint8, as RGB or the decoder's YUV planes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.clip import ColourMatrix, Frames, Images
from av_tagger.networks import upload
from av_tagger.video.alexnet import Geometry

FAR = 96  # results in front of the crop among which a cut is looked for
TOGETHER = (
    4  # grey pictures that torch resizes as the channels of one: its quick path takes so many
)


@dataclass(frozen=True)
class Pixels:
    """A batch in one form: (n, 3, crop, crop) uint8, its channels red, green and blue or, with
    `luma`, Y, U and V.
    """

    values: Tensor
    luma: ColourMatrix | None = None

    def __len__(self) -> int:
        return len(self.values)

    def rgb(self) -> Tensor:
        """(n, 3, crop, crop) float32 of 0..255, for networks that know no other form."""
        x = self.values.float()
        if self.luma is None:
            return x
        matrix = torch.from_numpy(self.luma.matrix).to(x)
        black = torch.tensor([self.luma.black, 128, 128]).to(x)
        return torch.einsum("rc,nchw->nrhw", matrix, x - black[:, None, None]).clamp_(0, 255)


def prepare(
    frames: Frames, rows: NDArray[np.int64], geometry: Geometry, device: torch.device
) -> Pixels:
    """Resize the shorter side and crop the centre, as torchvision does on uint8.

    Planes are resized as they are: a resize and a change of colours are both sums, so their order
    does not matter, and three quarters of the numbers need no work in a picture that shares its
    colour differences.
    """
    target = _target(frames.size, geometry.resize)
    if frames.luma is None or geometry.mode != "bilinear":
        images = _rows(frames.images, rows) if frames.luma is None else frames.rgb(rows)
        return Pixels(_resized(images, target, geometry, device))
    cuts = [
        _cuts(size, target, geometry.crop)
        for size in (frames.size, (frames.size[0] // 2, frames.size[1] // 2))
    ]
    out = torch.empty(
        (len(rows), 3, geometry.crop, geometry.crop), dtype=torch.uint8, device=device
    )
    for channel, plane in enumerate(frames.planes()):
        cut = cuts[channel > 0]
        _shrink(_on_device(_rows(plane, rows), cut, device), cut, out[:, channel])
    return Pixels(out, frames.luma)


def _rows(images: Images, rows: NDArray[np.int64]) -> Images:
    """Those rows, without a copy where they lie side by side."""
    first, last = int(rows[0]), int(rows[-1])
    return images[first : last + 1] if last - first + 1 == len(rows) else images[rows]


def _target(size: tuple[int, int], resize: int) -> tuple[int, int]:
    """The shorter side becomes `resize`, the longer one keeps its ratio, rounded down as
    torchvision does.
    """
    height, width = size
    long = int(resize * max(size) / min(size))
    return (resize, long) if height <= width else (long, resize)


def _resized(
    images: Images, target: tuple[int, int], geometry: Geometry, device: torch.device
) -> Tensor:
    x = upload(torch.from_numpy(np.ascontiguousarray(images)), device).permute(
        0, 3, 1, 2
    )  # channels_last as it lies in memory
    if tuple(x.shape[2:]) != target:
        whole = x if device.type == "cpu" else x.float()  # uint8 is resized on the CPU only
        x = F.interpolate(
            whole, size=target, mode=geometry.mode, antialias=True, align_corners=False
        )
        x = x if x.dtype == torch.uint8 else x.round_().clamp_(0, 255).to(torch.uint8)
    top, left = (_first(side, geometry.crop) for side in target)
    return x[:, :, top : top + geometry.crop, left : left + geometry.crop]


def _first(side: int, crop: int) -> int:
    """Where a central crop begins."""
    return round((side - crop) / 2)


@dataclass(frozen=True)
class CropSpan:
    """What of one side of a plane the crop needs: sources `begin` to `end` give `count` results,
    wanted from `skip` on.
    """

    begin: int
    end: int
    count: int
    skip: int
    scale: float  # source pixels a result


def _cuts(size: tuple[int, int], target: tuple[int, int], crop: int) -> tuple[CropSpan, CropSpan]:
    rows, columns = (_cut(side, wanted, crop) for side, wanted in zip(size, target, strict=True))
    return rows, columns


def _cut(side: int, target: int, crop: int) -> CropSpan:
    """Result j lies at source scale * (j + 1/2): a cut in front of result j keeps all places if
    scale * j is an integer.

    Among the results shortly before the crop the one nearest to that is taken; it is off by a
    hundredth of a pixel or so at the most.
    """
    scale, first = side / target, _first(target, crop)
    reach = math.ceil(max(scale, 1.0)) + 1  # of the resizing triangle, in source pixels
    nearest = max(0, math.floor((scale * first - reach) / scale))
    start = min(
        range(max(0, nearest - FAR), nearest + 1),
        key=lambda j: (round(abs(scale * j - round(scale * j)), 2), -j),
    )
    begin = round(scale * start)
    end = min(side, math.ceil(scale * (first + crop)) + reach)
    return CropSpan(begin, end, first + crop - start, first - start, scale)


def _on_device(plane: Images, cuts: tuple[CropSpan, CropSpan], device: torch.device) -> Tensor:
    """Only what the crop needs is copied there."""
    rows, columns = cuts
    return upload(
        torch.from_numpy(plane[:, rows.begin : rows.end, columns.begin : columns.end]), device
    )


def _shrink(x: Tensor, cuts: tuple[CropSpan, CropSpan], out: Tensor) -> None:
    """(n, h, w) resized into (n, crop, crop), all uint8."""
    rows, columns = cuts
    counts, scales = (rows.count, columns.count), (1 / rows.scale, 1 / columns.scale)
    crop = (..., slice(rows.skip, None), slice(columns.skip, None))
    # the only name that takes both a size and a scale
    resize = torch.ops.aten._upsample_bilinear2d_aa  # noqa: SLF001
    if x.device.type != "cpu":  # uint8 is resized on the CPU only
        out.copy_(
            resize(x[:, None].float(), counts, False, *scales)[:, 0][crop].round_().clamp_(0, 255)
        )
        return
    whole = _unpacked(resize(_packed(x), counts, False, *scales))[crop]  # (fours, crop, crop)
    for k in range(TOGETHER):
        out[k::TOGETHER] = whole[: len(out[k::TOGETHER])] >> 8 * k  # the lowest byte stays


def _packed(x: Tensor) -> Tensor:
    """(n, h, w) to (n / 4, 4, h, w), the four side by side in memory; by arithmetic, since to copy
    byte by byte is slow.
    """
    fours = -(-len(x) // TOGETHER)
    whole = torch.zeros((fours, *x.shape[1:]), dtype=torch.int32)
    for k in reversed(range(TOGETHER)):
        plane = x[k::TOGETHER]
        whole.bitwise_left_shift_(8)[: len(plane)].bitwise_or_(plane)
    return whole.view(torch.uint8).view(*whole.shape, TOGETHER).permute(0, 3, 1, 2)


def _unpacked(fours: Tensor) -> Tensor:
    """(n / 4, 4, h, w) to (n / 4, h, w) numbers of four bytes."""
    return fours.permute(0, 2, 3, 1).contiguous().view(torch.int32)[..., 0]
