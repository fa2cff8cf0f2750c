"""Class activation maps: where in a picture a network sees an object, without gradients.

The features before the global average pooling, weighted with the object's row of the classifier
(Zhou et al. 2016). Their mean is the network's own score of the object, which is checked: a network
of another form, such as one with hidden layers after the pooling, has no map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.scores import Box, Heat

POOLS = ("SelectAdaptivePool2d", "AdaptiveAvgPool2d", "FastAdaptiveAvgPool")  # timm, torch
AGREES = 0.05  # of the largest score: rounding of half precision
FINER = 4  # steps per cell when the box is measured
EDGE = 0.2  # of the highest activation: the edge of the box, as by Zhou et al.

Floats = NDArray[np.float32]


@torch.no_grad()
def activation_maps(network: nn.Module, x: Tensor, objects: Sequence[int]) -> Floats | None:
    """(objects, rows, columns) for one prepared picture (1, 3, h, w); None: it has no map."""
    inputs: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Any, ...]) -> None:
        inputs.append(given[0])

    pools = [m for m in network.modules() if type(m).__name__ in POOLS]
    handles = [m.register_forward_pre_hook(keep) for m in pools]
    if not pools:  # a mean without a module: the last activations before the classifier
        leaves = [m for m in network.modules() if not list(m.children())]
        handles += [m.register_forward_hook(lambda _, __, out: inputs.append(out)) for m in leaves]
    try:
        scores = network(x)[0].float()
    finally:
        for handle in handles:
            handle.remove()
    features = next((f[0].float() for f in reversed(inputs) if f.ndim == 4), None)
    maps = None if features is None else _weighted(network, features, len(scores), objects)
    if maps is None:
        return None
    error = (maps.mean(dim=(1, 2)) - scores[list(objects)]).abs().max()
    if not error <= AGREES * scores.abs().max():
        return None
    found: Floats = maps.cpu().numpy()
    return found


def _weighted(
    network: nn.Module, features: Tensor, classes: int, objects: Sequence[int]
) -> Tensor | None:
    """Features (channels, h, w) by the last linear layer; those of a convolution are the scores."""
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    if not linear:
        return features[list(objects)] if len(features) == classes else None
    if linear[-1].weight.shape != (classes, len(features)):
        return None
    rows = linear[-1].weight[list(objects)].float()
    bias = linear[-1].bias
    maps = torch.einsum("kc,chw->khw", rows, features)
    return maps if bias is None else maps + bias[list(objects)].float()[:, None, None]


def heat_of(activation: Floats, area: Box) -> Heat | None:
    """The map of one object, from 0 to 1, and the box of its peak; None if nothing is above 0."""
    highest = float(activation.max())
    if not highest > 0:
        return None
    grid = np.clip(activation / highest, 0, 1)
    cells = tuple(tuple(round(float(v), 2) for v in row) for row in grid)
    return Heat(cells, area, placed(peak_box(grid), area))


def peak_box(grid: Floats) -> Box:
    """Shares of the grid: what is above the edge and hangs together with the peak."""
    from scipy.ndimage import label

    fine = finer(grid)
    parts, _ = label(fine >= EDGE * fine.max())
    rows, columns = np.nonzero(parts == parts[np.unravel_index(fine.argmax(), fine.shape)])
    height, width = fine.shape
    return (
        float(columns.min() / width),
        float(rows.min() / height),
        float((columns.max() + 1) / width),
        float((rows.max() + 1) / height),
    )


def finer(grid: Floats) -> Floats:
    """The same surface on four times as many rows and columns."""
    wide = F.interpolate(
        torch.from_numpy(np.asarray(grid, np.float32))[None, None],
        scale_factor=FINER,
        mode="bicubic",
        align_corners=False,
    )
    found: Floats = wide[0, 0].clamp(0, 1).numpy()
    return found


def placed(box: Box, area: Box) -> Box:
    """A box within the area as shares of the whole picture."""
    left, top, right, bottom = area
    width, height = right - left, bottom - top
    return (
        left + width * box[0],
        top + height * box[1],
        left + width * box[2],
        top + height * box[3],
    )


def central_area(height: int, width: int, resize: int, crop: int) -> Box:
    """The square that is left of a picture after resizing its shorter side and a central crop."""
    side = min(height, width) * crop / resize
    across, down = min(1.0, side / width), min(1.0, side / height)
    return ((1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2)
