"""Networks on raw RGB or YUV pixels: normalisation is folded into the weights, or done in front."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from av_tagger.clip import ColourMatrix
from av_tagger.video.alexnet import Geometry
from av_tagger.video.pixels import Pixels


class First(nn.Module):
    """A first convolution on raw pixels of one format, with colour conversion and normalisation
    folded in.

    Normalised x = A p - t for a pixel p, be it RGB or luma and colour differences, so conv(x) =
    conv'(p - c) + b' for any constant c. Pixels minus an integer c are integers of at most eight
    bits, so bf16 holds them exactly. The border that used to be x = 0 becomes p = A^-1 t: the mean
    pixel.
    """

    border: Tensor

    def __init__(
        self, plain: nn.Conv2d, geometry: Geometry, luma: ColourMatrix | None = None
    ) -> None:
        super().__init__()
        A, t = _normalisation(geometry, luma)
        mean = torch.linalg.solve(A, t)
        self.centre = centre = float(
            mean.mean().round()
        )  # one for all channels: a constant per channel takes ten times as long
        weight = torch.einsum("ochw,cp->ophw", plain.weight.detach().double().cpu(), A)
        bias = torch.zeros(len(weight)) if plain.bias is None else plain.bias.detach().cpu()
        bias = bias.double() + (weight * (centre - mean)[:, None, None]).sum((1, 2, 3))
        self.convolution = nn.Conv2d(3, len(weight), plain.kernel_size, plain.stride)  # type: ignore[arg-type]
        self.convolution.load_state_dict({"weight": weight.float(), "bias": bias.float()})
        self.padding = int(plain.padding[0])
        self.register_buffer("border", (mean - centre).float()[:, None, None])
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        kind = self.convolution.weight.dtype
        framed = frame(pixels, self.border, self.padding, kind)
        pad, (height, width) = self.padding, pixels.shape[2:]
        framed[:, :, pad : pad + height, pad : pad + width].sub_(self.centre)
        out: Tensor = self.convolution(framed)
        return out


def frame(pixels: Tensor, border: Tensor, pad: int, kind: torch.dtype) -> Tensor:
    """The pixels as numbers of that kind, channels last, in a frame of border pixels."""
    n, _, height, width = pixels.shape
    size = (n, 3, height + 2 * pad, width + 2 * pad)
    framed = torch.empty(size, dtype=kind, device=pixels.device, memory_format=torch.channels_last)
    if pad:
        for edge in (
            framed[:, :, :pad],
            framed[:, :, -pad:],
            framed[..., :pad],
            framed[..., -pad:],
        ):
            edge.copy_(border.expand_as(edge))
    inner = framed[:, :, pad : pad + height, pad : pad + width]
    for part in (
        (slice(0, 3),) if pixels.stride(1) == 1 else range(3)
    ):  # planes one by one: all at once they take four times as long
        inner[:, part].copy_(pixels[:, part])
    return framed


def _normalisation(geometry: Geometry, luma: ColourMatrix | None) -> tuple[Tensor, Tensor]:
    """A and t of x = A p - t."""
    mean, std = (255 * torch.tensor(v, dtype=torch.float64) for v in (geometry.mean, geometry.std))
    if luma is None:
        return torch.diag(1 / std), mean / std
    matrix, zero = (
        torch.from_numpy(luma.matrix),
        torch.tensor([luma.black, 128, 128], dtype=torch.float64),
    )
    return matrix / std[:, None], (matrix @ zero + mean) / std


class Folded(nn.Module):
    """A convolutional network on raw pixels: one first convolution per pixel format, made on first
    use.
    """

    def __init__(self, network: nn.Sequential, geometry: Geometry) -> None:
        super().__init__()
        first = network[0]
        assert isinstance(first, nn.Conv2d)
        self.geometry = geometry
        self.rest = network[1:]
        self.first = First(first, geometry)
        self._plain = [first]  # in a list: as it came, never moved
        self._others: dict[ColourMatrix, First] = {}

    def first_for(self, luma: ColourMatrix | None) -> First:
        if luma is None:
            return self.first
        if luma not in self._others:
            like = self.first.convolution.weight
            made = First(self._plain[0], self.geometry, luma).to(like.device, like.dtype)
            self._others[luma] = made.to(memory_format=torch.channels_last)
        return self._others[luma]

    def forward(self, pixels: Pixels) -> Tensor:
        features: Tensor = self.rest(self.first_for(pixels.luma)(pixels.values))
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

    def forward(self, pixels: Pixels) -> Tensor:
        x = (pixels.rgb() - self.mean.float()) / self.std.float()
        features: Tensor = self.network(
            x.to(self.mean.dtype).contiguous(memory_format=torch.channels_last)
        )
        return features.flatten(1)


class Thumbnail(nn.Module):
    """No network: the pixels of a small thumbnail as features."""

    def forward(self, pixels: Pixels) -> Tensor:
        return pixels.rgb().flatten(1) / 255
