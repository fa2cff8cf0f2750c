"""An int8 version of a folded network: about twice as fast as bf16 on CPUs with int8 instructions.

Pixels are bytes already and stay exact. Each signal between two convolutions becomes round(255 x /
range), its range being the largest value that a set of made-up pictures calls forth; each filter
has a scale of its own. What comes out behind the last layer is float again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from av_tagger.clip import ColourMatrix
from av_tagger.video.alexnet import Geometry
from av_tagger.video.folded import First, Folded, frame
from av_tagger.video.pixels import Pixels

PICTURES = 16  # that ranges are taken from
HEADROOM = (
    1.25  # x the largest calibration value: clipping real video costs more than a coarser step
)


@dataclass(frozen=True)
class Filter:
    """An int8 convolution: weight = scale x int8 value, with one scale per output channel."""

    weight: Tensor  # int8
    scale: Tensor
    bias: Tensor
    stride: list[int]
    padding: list[int]
    groups: int

    @classmethod
    def of(cls, plain: nn.Conv2d, bias: Tensor | None = None) -> Filter:
        weight = plain.weight.detach().float()
        scale = (weight.abs().amax((1, 2, 3)) / 127).clamp_(min=1e-12)
        whole = (weight / scale[:, None, None, None]).round_().to(torch.int8)
        given = plain.bias if bias is None else bias
        zero = torch.zeros(len(weight))
        return cls(
            whole,
            scale,
            zero if given is None else given.detach().float(),
            [*plain.stride],
            [*plain.padding],
            plain.groups,
        )


class Convolution:
    """An int8 convolution with a ReLU; packed for the CPU at its first batch."""

    def __init__(self, filters: Filter, step_in: float, step_out: float | None) -> None:
        self.filters, self.step_in, self.step_out = (
            filters,
            step_in,
            step_out,
        )  # step: the value of one; None: float comes out
        self.zeros = torch.zeros(len(filters.scale), dtype=torch.int32)
        self._packed: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        f = self.filters
        ops: Any = torch.ops.onednn
        if self._packed is None:
            self._packed = ops.qconv_prepack(
                f.weight,
                f.scale,
                self.step_in,
                0,
                f.stride,
                f.padding,
                [1, 1],
                f.groups,
                list(x.shape),
            )
        step, kind = (1.0, torch.float32) if self.step_out is None else (self.step_out, torch.uint8)
        how: tuple[Any, ...] = (
            f.stride,
            f.padding,
            [1, 1],
            f.groups,
            step,
            0,
            kind,
            "relu",
            [],
            "",
        )
        out: Tensor = ops.qconv2d_pointwise(
            x, self.step_in, 0, self._packed, f.scale, self.zeros, f.bias, *how
        )
        return out


class Quantised(nn.Module):
    """The int8 version of a `Folded` network: same pixels in, float32 features out."""

    def __init__(self, network: Folded) -> None:
        super().__init__()
        self.plain = [
            network.float()
        ]  # in a list: only asked for first convolutions of other forms
        self.layers = [
            layer for layer in network.rest if not isinstance(layer, nn.ReLU)
        ]  # a part of the convolution before it
        self.steps = [
            HEADROOM * most / 255 for most in ranges(network, calibration(network.geometry))
        ]
        self._first: dict[ColourMatrix | None, tuple[First, Convolution]] = {}
        self._rest = list(self._laid_out())

    def forward(self, pixels: Pixels) -> Tensor:
        first, convolution = self.first_for(pixels.luma)
        border = (first.border + first.centre).round()
        x = convolution(frame(pixels.values, border, first.padding, torch.uint8))
        for layer in self._rest:
            x = layer(x)
        return x.float().flatten(1)

    def first_for(self, luma: ColourMatrix | None) -> tuple[First, Convolution]:
        if luma not in self._first:
            first = self.plain[0].first_for(luma)
            inner = first.convolution
            assert inner.bias is not None
            # The pixels come as they are, not minus the centre.
            bias = inner.bias.double() - first.centre * inner.weight.double().sum((1, 2, 3))
            self._first[luma] = first, Convolution(Filter.of(inner, bias), 1.0, self._step_out(0))
        return self._first[luma]

    def _laid_out(self) -> Iterator[Callable[[Tensor], Tensor]]:
        number = 0
        for at, layer in enumerate(self.layers):
            if isinstance(layer, nn.Conv2d):
                number += 1
                step = self.steps[number - 1]
                yield lambda x, step=step: _bytes(x, step)  # type: ignore[misc]
                yield Convolution(Filter.of(layer), step, self._step_out(at + 1))
            else:
                yield _pool(layer) if isinstance(layer, nn.MaxPool2d) else layer

    def _step_out(self, at: int) -> float | None:
        """The step of what comes out in front of layer `at`: bytes when nothing but pooling lies
        before the next convolution.
        """
        following = next(
            (
                i
                for i in range(at, len(self.layers))
                if not isinstance(self.layers[i], nn.MaxPool2d)
            ),
            None,
        )
        if following is None or not isinstance(self.layers[following], nn.Conv2d):
            return None
        return self.steps[sum(isinstance(layer, nn.Conv2d) for layer in self.layers[:following])]


def _bytes(x: Tensor, step: float) -> Tensor:
    return x if x.dtype == torch.uint8 else (x / step).round_().clamp_(0, 255).to(torch.uint8)


def _pool(layer: nn.MaxPool2d) -> Callable[[Tensor], Tensor]:
    size, stride, ceil = [layer.kernel_size] * 2, [layer.stride] * 2, layer.ceil_mode

    def pool(x: Tensor) -> Tensor:
        if x.dtype != torch.uint8:
            return layer(x)  # type: ignore[no-any-return]
        out: Tensor = torch.ops.quantized.max_pool2d(x, size, stride, [0, 0], [1, 1], ceil)
        return out

    return pool


def ranges(network: Folded, pictures: Sequence[Tensor]) -> list[float]:
    """The largest value that enters each convolution behind the first."""
    most: list[float] = []
    convolutions = [layer for layer in network.rest if isinstance(layer, nn.Conv2d)]
    hooks = [
        c.register_forward_pre_hook(lambda _, given: most.append(float(given[0].max())))
        for c in convolutions
    ]
    try:
        with torch.no_grad():
            for picture in pictures:
                network(Pixels(picture))
    finally:
        for hook in hooks:
            hook.remove()
    return [max(*most[i :: len(convolutions)], 1e-6) for i in range(len(convolutions))]


def calibration(geometry: Geometry) -> list[Tensor]:
    """Seeded pictures of coloured patches of every size, some with hard edges."""
    random = np.random.default_rng(20170)
    return [_patches(random, 2 + 2 * n, geometry.crop, smooth=n % 2 == 0) for n in range(PICTURES)]


def _patches(random: np.random.Generator, count: int, crop: int, *, smooth: bool) -> Tensor:
    colours = torch.from_numpy(random.integers(0, 256, (1, 3, count, count)).astype(np.float32))
    mode = "bicubic" if smooth else "nearest"
    x = F.interpolate(
        colours, size=(crop, crop), mode=mode, align_corners=False if smooth else None
    )
    return x.round_().clamp_(0, 255).to(torch.uint8)


@cache
def works() -> bool:
    """Whether this torch has the operations and they compute what they should."""
    plain = nn.Conv2d(16, 16, 3, padding=1)
    same = torch.Generator().manual_seed(0)
    nn.init.normal_(plain.weight, generator=same)
    x = (
        torch.randint(0, 256, (1, 16, 8, 8), generator=same)
        .to(torch.uint8)
        .contiguous(memory_format=torch.channels_last)
    )
    try:
        with torch.no_grad():
            found, expected = (
                Convolution(Filter.of(plain), 0.01, None)(x),
                plain(0.01 * x.float()).relu_(),
            )
    except (RuntimeError, AttributeError, TypeError, NotImplementedError):
        return False
    return bool((found - expected).abs().max() < 0.05 * expected.max())
