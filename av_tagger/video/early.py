"""Frame features from the first blocks of the network that also recognises objects.

They stand in for AlexNet's conv5 (AV section 2.2). Which block at which size: the choice of key
frames that covers real films best for its cost, see the table of `studies.frame_features`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from av_tagger.video.alexnet import Geometry
from av_tagger.video.eye_source import EARLY_BLOCKS, EARLY_SIDE
from av_tagger.video.features import Compute, NetworkFeatures
from av_tagger.video.folded import Normalised
from av_tagger.video.lite import HALF, SHARE, EfficientNetLite2


class EarlyBlocks(nn.Module):
    """The stem and the first blocks of an EfficientNet, shared with it."""

    def __init__(self, network: EfficientNetLite2, blocks: int = EARLY_BLOCKS) -> None:
        super().__init__()
        self.layers = nn.Sequential(network.conv_stem, network.bn1, *network.blocks[:blocks])

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features


def early_features(
    network: EfficientNetLite2, how: Compute, blocks: int = EARLY_BLOCKS, side: int = EARLY_SIDE
) -> NetworkFeatures:
    """Of a network with its weights; always float32, as depthwise filters need it."""
    geometry = Geometry(int(side / SHARE), side, HALF, HALF)
    layers = Normalised(EarlyBlocks(network, blocks), geometry)
    name = f"efficientnet_lite2 block {blocks} at {side}"
    return NetworkFeatures(name, layers, geometry, replace(how, dtype=torch.float32, int8=False))
