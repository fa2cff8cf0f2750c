"""What makes a trained network quick in use and changes no answer, for ear and eye: its device, its memory, its folded constants."""

from __future__ import annotations

import copy
import ctypes
import itertools
import sys
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

N = TypeVar("N", bound=nn.Module)
CONVOLUTION_THEN_NORM = (
    "ConvNormAct",
)  # blocks of other libraries whose children run in the order in which they stand


def folded(network: N) -> N:
    """A copy in evaluation mode in which each batch norm that follows a convolution is a part of it."""
    copied = copy.deepcopy(network).eval()
    for block in list(copied.modules()):
        if isinstance(block, nn.Sequential) or type(block).__name__ in CONVOLUTION_THEN_NORM:
            _fold(block)
    return copied


def _fold(block: nn.Module) -> None:
    """Children that follow each other; a norm that brings its own activation, as timm's do, keeps that."""
    children = list(block.named_children())
    for (name, convolution), (next_name, norm) in itertools.pairwise(children):
        if type(convolution) is nn.Conv2d and isinstance(norm, nn.BatchNorm2d):
            activation = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
            setattr(block, name, fuse_conv_bn_eval(convolution, norm))
            setattr(block, next_name, nn.Sequential(*activation))


def upload(values: Tensor, device: torch.device) -> Tensor:
    """The same on the device. To a GPU through page-locked memory, so that nobody waits and the copy runs beside the arithmetic.

    torch keeps such memory and hands it out again only when the copy of its stream is done: a ring of buffers, without one of ours.
    """
    if device.type != "cuda":
        return values.to(device)
    staged = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return staged.copy_(values).to(device, non_blocking=True)


@cache
def quick_memory() -> None:
    """Tell glibc to keep big blocks instead of returning them: fresh pages for every layer cost as much as the arithmetic.

    Measured: 30 ms to 16 ms for a forward pass of 10 s. For inference, before the first big tensor; elsewhere it does nothing.
    One arena for all threads, since those of further threads hold no block above 64 MB and give back what they hold.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library, musl for one
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 1 << 30)
    mallopt(M_ARENA_MAX, 1)


M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # malloc.h
