"""EfficientNet-Lite2 in plain torch: the same tensors and results as timm's, without its imports.

Importing timm also imports torchvision and torch's compiler, seconds that a first tag waits for.
Tan and Le, "EfficientNet" (2019); Lite: no squeeze-and-excitation, ReLU6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from av_tagger.networks import same_convolution
from av_tagger.video.alexnet import Geometry

STEM, HEAD, OBJECTS = 32, 1280, 1000
NORM_EPSILON = 1e-3  # of networks that TensorFlow trained
GROWTH = 6  # channels inside a block, per channel at its entrance
# (kernel, stride, channels out, blocks) of the stages behind the first one
STAGES = (
    (3, 2, 24, 3),
    (5, 2, 48, 3),
    (3, 2, 88, 4),
    (5, 1, 120, 4),
    (5, 2, 208, 5),
    (3, 1, 352, 1),
)
CROP, SHARE = 260, 0.89  # pixels that the network sees, and their share of the picture
HALF = (0.5, 0.5, 0.5)
GEOMETRY = Geometry(int(CROP / SHARE), CROP, HALF, HALF, "bicubic")


class SameConv(nn.Conv2d):
    """A strided convolution padded as in TensorFlow: ceil(size / stride) outputs."""

    def forward(self, x: Tensor) -> Tensor:
        return same_convolution(x, self.weight, self.bias, self.stride[0], self.groups)


class NormAct(nn.BatchNorm2d):
    """Batch norm, then ReLU6."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=NORM_EPSILON)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.act(super().forward(x))
        return found


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON)


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    if stride > 1:
        return SameConv(channels, channels, kernel, stride, groups=channels, bias=False)
    return nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, bias=False)


class FirstBlock(nn.Module):
    """A depthwise and a pointwise convolution."""

    norms_follow_convolutions = True  # each norm is behind the convolution above it: can be folded

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv_dw, self.bn1 = _depthwise(channels, 3, 1), NormAct(channels)
        self.conv_pw, self.bn2 = nn.Conv2d(channels, out, 1, bias=False), _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.bn2(self.conv_pw(self.bn1(self.conv_dw(x))))
        return found


class InvertedResidual(nn.Module):
    """MBConv: more channels, a depthwise convolution, fewer channels, and the way around."""

    norms_follow_convolutions = True

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        inside = GROWTH * channels
        self.conv_pw, self.bn1 = nn.Conv2d(channels, inside, 1, bias=False), NormAct(inside)
        self.conv_dw, self.bn2 = _depthwise(inside, kernel, stride), NormAct(inside)
        self.conv_pwl, self.bn3 = nn.Conv2d(inside, out, 1, bias=False), _norm(out)
        self.around = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.bn1(self.conv_pw(x))
        found = self.bn3(self.conv_pwl(self.bn2(self.conv_dw(found))))
        return found + x if self.around else found


class EfficientNetLite2(nn.Module):
    """(n, 3, h, w) normalised pixels to (n, 1000) logits; parameters have timm's names."""

    norms_follow_convolutions = True

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = SameConv(3, STEM, 3, 2, bias=False), NormAct(STEM)
        width = STEM // 2
        stages = [nn.Sequential(FirstBlock(STEM, width))]
        for kernel, stride, out, count in STAGES:
            first = InvertedResidual(width, out, kernel, stride)
            rest = [InvertedResidual(out, out, kernel, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(first, *rest))
            width = out
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2 = nn.Conv2d(width, HEAD, 1, bias=False), NormAct(HEAD)
        self.classifier = nn.Linear(HEAD, OBJECTS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.bn1(self.conv_stem(x)))
        x = self.bn2(self.conv_head(x))
        logits: Tensor = self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def meta_lite2() -> EfficientNetLite2:
    """The network without weights, on the meta device: no time is spent on random ones."""
    with torch.device("meta"):
        return EfficientNetLite2()
