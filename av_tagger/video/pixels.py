"""Preprocessing of frames: resized and cropped uint8, as RGB or the decoder's YUV planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        return Pixels(prepare_rgb(rgb_pixels(frames, rows, device), geometry))
    cuts = [
        _cuts(size, target, geometry.crop)
        for size in (frames.size, (frames.size[0] // 2, frames.size[1] // 2))
    ]
    out = torch.empty(
        (len(rows), 3, geometry.crop, geometry.crop), dtype=torch.uint8, device=device
    )
    for channel, plane in enumerate(_planes_on(frames, rows, device)):
        cut = cuts[channel > 0]
        height, width = cut
        part = plane[:, height.begin : height.end, width.begin : width.end]
        _shrink(part, cut, out[:, channel])
    return Pixels(out, frames.luma)


def _planes_on(frames: Frames, rows: NDArray[np.int64], device: torch.device) -> list[Tensor]:
    """Y, U and V of some rows; to a GPU in one copy of whole pictures, as they lie in memory."""
    images: Any = frames.images
    if isinstance(images, Tensor):  # decoded on the card
        return split_planes(_rows(images, rows))
    if device.type == "cpu":
        return [torch.from_numpy(_rows(plane, rows)) for plane in frames.planes()]
    return split_planes(upload(torch.from_numpy(_rows(frames.images, rows)), device))


def split_planes(pictures: Tensor) -> list[Tensor]:
    """Views of Y (n, height, width), U and V (n, height / 2, width / 2) of planar pictures."""
    n, rows, width = pictures.shape
    height, half = rows * 2 // 3, (n, rows // 3, width // 2)
    flat = pictures.reshape(n, rows * width)
    y, u, v = flat.tensor_split([height * width, height * width * 5 // 4], dim=1)
    return [y.reshape(n, height, width), u.reshape(half), v.reshape(half)]


def rgb_pixels(frames: Frames, rows: NDArray[np.int64], device: torch.device) -> Tensor:
    """(n, 3, height, width) uint8, channels last; on a GPU the colours are converted there."""
    if frames.luma is None or device.type == "cpu":
        images = _rows(frames.images, rows) if frames.luma is None else frames.rgb(rows)
        whole = upload(torch.from_numpy(np.ascontiguousarray(images)), device)
        return whole.permute(0, 3, 1, 2)
    return converted(_planes_on(frames, rows, device), frames.luma)


def converted(planes: Sequence[Tensor], luma: ColourMatrix) -> Tensor:
    """(n, 3, height, width) uint8 of Y, U and V: the steps of `ColourMatrix.rgb`."""
    y, u, v = planes
    n, height, width = y.shape
    scale = luma.matrix.astype(np.float32).tolist()
    bright = y.float() * scale[0][0] + float(np.float32(0.5 - scale[0][0] * luma.black))
    bright = bright.view(n, height // 2, 2, width // 2, 2)
    blue, red = u.float() - 128, v.float() - 128
    out = torch.empty((n, height, width, 3), dtype=torch.uint8, device=y.device)
    for colour, (_, of_u, of_v) in enumerate(scale):
        value = bright + (of_u * blue + of_v * red)[:, :, None, :, None]
        out[..., colour] = value.clamp_(0, 255).to(torch.uint8).view(n, height, width)
    return out.permute(0, 3, 1, 2)


def _rows(images: Any, rows: NDArray[np.int64]) -> Any:
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


def prepare_rgb(x: Tensor, geometry: Geometry) -> Tensor:
    """(n, 3, height, width) uint8, channels last, resized and cropped to (n, 3, crop, crop)."""
    height, width = x.shape[2:]
    target = _target((height, width), geometry.resize)
    if (height, width) != target:
        resize = in_bytes if x.device.type == "cpu" else in_floats
        x = resize(x, target, geometry.mode)
    top, left = (_first(side, geometry.crop) for side in target)
    return x[:, :, top : top + geometry.crop, left : left + geometry.crop]


def in_bytes(x: Tensor, target: tuple[int, int], mode: str) -> Tensor:
    """Resized uint8 pictures as Pillow resizes them; torch has this on the CPU only."""
    return F.interpolate(x, size=target, mode=mode, antialias=True, align_corners=False)


def in_floats(x: Tensor, target: tuple[int, int], mode: str) -> Tensor:
    """The same on any device, within a level: first across, then down, rounded after each."""
    height, width = target
    across = _rounded(x.float(), (x.shape[2], width), mode)
    return _rounded(across, (height, width), mode).to(torch.uint8)


def _rounded(x: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    resized = F.interpolate(x, size=size, mode=mode, antialias=True, align_corners=False)
    return resized.round_().clamp_(0, 255)


def by_pillow(images: Images, geometry: Geometry) -> Tensor:
    """(n, height, width, 3) to (n, 3, crop, crop) uint8, bit for bit as the libraries do."""
    from PIL import Image

    rows, columns = _target(images.shape[1:3], geometry.resize)
    resample, crop = Image.Resampling[geometry.mode.upper()], geometry.crop
    top, left = _first(rows, crop), _first(columns, crop)
    resized = [np.asarray(Image.fromarray(i).resize((columns, rows), resample)) for i in images]
    cropped = np.stack([one[top : top + crop, left : left + crop] for one in resized])
    return torch.from_numpy(cropped).permute(0, 3, 1, 2)


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
    """(n, h, w) to (n / 4, 4, h, w), the four side by side in memory: numpy is quickest at that.

    What a last group lacks is left undefined.
    """
    pictures = x.numpy()
    fours = -(-len(pictures) // TOGETHER)
    whole = np.empty((fours, *pictures.shape[1:], TOGETHER), np.uint8)
    for k in range(TOGETHER):
        plane = pictures[k::TOGETHER]
        whole[: len(plane), ..., k] = plane
    return torch.from_numpy(whole).permute(0, 3, 1, 2)


def _unpacked(fours: Tensor) -> Tensor:
    """(n / 4, 4, h, w) to (n / 4, h, w) numbers of four bytes."""
    return fours.permute(0, 2, 3, 1).contiguous().view(torch.int32)[..., 0]
