"""Frame features from the first blocks of the network that also recognises objects.

They stand in for AlexNet's conv5 (AV section 2.2). Which block at which size: the choice of key
frames that covers real films best for its cost, see the table of `studies.frame_features`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from av_tagger.networks import folded
from av_tagger.video.alexnet import Geometry
from av_tagger.video.efficientnet import load_published
from av_tagger.video.eye_source import EARLY_BLOCKS, EARLY_SIDE
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.folded import Normalised
from av_tagger.video.lite import HALF, SHARE, meta_lite2


class EarlyBlocks(nn.Module):
    """The stem and the first blocks of an EfficientNet with timm's names."""

    def __init__(self, network: nn.Module, blocks: int = EARLY_BLOCKS) -> None:
        super().__init__()
        whole = cast("Any", folded(network))
        self.layers = nn.Sequential(whole.conv_stem, whole.bn1, *whole.blocks[:blocks])

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features


def early_features(
    path: Path, how: Compute, blocks: int = EARLY_BLOCKS, side: int = EARLY_SIDE
) -> NetworkFeatures:
    """From the weights of EfficientNet-Lite2; always float32, as depthwise filters need it."""
    network = meta_lite2()
    load_published(network, path)
    geometry = Geometry(int(side / SHARE), side, HALF, HALF)
    layers = Normalised(EarlyBlocks(network, blocks), geometry)
    name = f"efficientnet_lite2 block {blocks} at {side}"
    return NetworkFeatures(name, layers, geometry, replace(how, dtype=torch.float32, int8=False))
