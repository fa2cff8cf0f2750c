"""What makes a trained network quick in use and changes no answer: its device, its memory, its folded constants."""

from __future__ import annotations

import copy
import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from av_tagger.clip import Waveform
from av_tagger.errors import DeviceError, MediaError

N = TypeVar("N", bound=nn.Module)


def folded(network: N) -> N:
    """A copy in evaluation mode in which each batch norm that follows a convolution is a part of it."""
    copied = copy.deepcopy(network).eval()
    for block in [m for m in copied.modules() if isinstance(m, nn.Sequential)]:
        for i in range(len(block) - 1):
            convolution, norm = block[i], block[i + 1]
            if type(convolution) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                block[i], block[i + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copied


def find_device(device: torch.device | str) -> torch.device:
    """`auto` takes a GPU where there is one."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"there is no device {str(device)!r}; give auto, cpu, cuda or cuda:N") from error
    if wanted.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"the ear does not run on {wanted.type!r}; give auto, cpu, cuda or cuda:N")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"there is no device {str(device)!r}: {torch.cuda.device_count()} CUDA devices found; give --device cpu or auto")
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("there is no device 'mps' on this machine; give --device cpu or auto")
    return wanted


@cache
def quick_memory() -> None:
    """Tell glibc to keep big blocks instead of returning them: fresh pages for every layer cost as much as the arithmetic.

    Measured: 30 ms to 16 ms for a forward pass of 10 s. For inference, before the first big tensor; elsewhere it does nothing.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library, musl for one
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 1 << 30)


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def check_waveforms(waveforms: Sequence[Waveform], rate: int) -> None:
    """An ear takes sound at its own rate, all of it finite."""
    for i, w in enumerate(waveforms):
        if w.rate != rate:
            raise ValueError(f"this ear listens at {rate} Hz, the waveform has {w.rate} Hz: ask the decoder for the ear's rate")
        if not np.isfinite(w.samples).all():
            where = f"sound {i + 1} of {len(waveforms)}, from {w.start_seconds:g} s"
            raise MediaError(where, "holds samples that are not finite numbers", "decode or record it again")
