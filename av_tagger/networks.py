"""Faster inference with the same results: batch norms, TensorFlow's padding, uploads, memory."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from av_tagger.systems import M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD, tune_malloc

N = TypeVar("N", bound=nn.Module)
T = TypeVar("T")
CONVOLUTION_THEN_NORM = ("ConvNormAct",)  # blocks of timm whose children run in their order


def folded(network: N) -> N:
    """A copy in evaluation mode, with batch norms folded into the convolutions before them."""
    return fold(copy.deepcopy(network))


def fold(network: N) -> N:
    """The same without a copy: the network itself is changed. Folding twice changes nothing."""
    for block in list(network.eval().modules()):
        if isinstance(block, nn.Sequential) or _runs_in_order(block):
            _fold(block)
    return network


def _runs_in_order(block: nn.Module) -> bool:
    known = type(block).__name__ in CONVOLUTION_THEN_NORM
    return known or getattr(block, "norms_follow_convolutions", False)


def _fold(block: nn.Module) -> None:
    """Fold neighbouring children; the activation of a norm with one (as in timm) is kept."""
    children = list(block.named_children())
    plain = not getattr(block, "norms_follow_convolutions", False)
    for (_, convolution), (name, norm) in itertools.pairwise(children):
        foldable = type(convolution) is nn.Conv2d if plain else isinstance(convolution, nn.Conv2d)
        if foldable and isinstance(norm, nn.BatchNorm2d):
            activation = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
            _absorb(cast("nn.Conv2d", convolution), norm)
            setattr(block, name, nn.Sequential(*activation))


def same_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, groups: int = 1
) -> Tensor:
    """A convolution padded as in TensorFlow ("SAME"): ceil(size / stride) outputs.

    Where TensorFlow pads one side by one more, `F.pad` would copy the whole input. Instead both
    sides are padded and the input is shifted by a stride; the first output is dropped.
    """
    padding: list[int] = []
    kept: list[slice] = []
    for size, kernel in zip(x.shape[-2:], weight.shape[-2:], strict=True):
        outputs = -(-size // stride)
        missing = max(0, (outputs - 1) * stride + kernel - size)
        uneven = missing % 2
        padding.append(missing // 2 + uneven * stride)
        kept.append(slice(uneven, uneven + outputs))
    found = F.conv2d(x, weight, bias, stride, padding, groups=groups)
    return found[..., kept[0], kept[1]]


def _absorb(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )


def upload(values: Tensor, device: torch.device) -> Tensor:
    """A copy on the device; to a GPU from pinned memory, asynchronously.

    Values in page-locked memory (see `page_lock`) are copied from where they are: keep them until
    a result that depends on the copy was read. Others go through a staging copy.

    torch reuses pinned memory only after the copy of its stream is done: no buffers are kept here.
    """
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    if values.is_pinned():
        return values.to(device, non_blocking=True)
    staged = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return staged.copy_(values).to(device, non_blocking=True)


def upload_rows(rows: Sequence[NDArray[np.float32]], length: int, device: torch.device) -> Tensor:
    """(rows, length) on the device with zeros at the ends, without a copy on the CPU before."""
    table = torch.empty((len(rows), length), device=device)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = upload(torch.from_numpy(np.require(row, requirements="W")), device)
        place[len(row) :] = 0.0
    return table


def download(values: Sequence[Tensor]) -> list[Tensor]:
    """Copies on the CPU, after a single wait for the device; what is there already stays there."""
    if not any(one.device.type == "cuda" for one in values):
        return [one.cpu() for one in values]
    copies = []
    for one in values:
        staged = torch.empty(one.shape, dtype=one.dtype, pin_memory=True)
        copies.append(staged.copy_(one, non_blocking=True))
    torch.cuda.current_stream(values[0].device).synchronize()
    return copies


def page_lock(address: int, size: int, device: str = "cuda") -> Callable[[], object] | None:
    """Page-lock memory of this process, so that a GPU reads it without a copy; returns the undo.

    None where there is no GPU, or the system allows no more locked memory: `upload` then stages.

    In a thread of its own: after a refusal CUDA reports it again to the next kernel of that thread.
    """
    cuda: Any = torch.cuda
    if not cuda.is_available():
        return None
    runtime, codes = cuda.cudart(), list[int]()

    def register() -> None:
        with cuda.device(device):  # else the first one, where it would need memory, too
            codes.append(int(runtime.cudaHostRegister(address, size, PORTABLE)))

    thread = threading.Thread(target=register, name="page lock")
    thread.start()
    thread.join()
    return partial(runtime.cudaHostUnregister, address) if codes == [0] else None


def out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had too little memory."""
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)


class MicroBatch:
    """How many pictures a network gets at once; halved when the device has too little memory."""

    def __init__(self, size: int) -> None:
        self.size, self._least = size, max(1, size // SMALLEST_PART)

    def run(self, work: Callable[[int], T]) -> T:
        """`work` of the current size; again from the start with half of it after a failure."""
        while True:
            try:
                return work(self.size)
            except Exception as error:
                if self.size <= self._least or not out_of_memory(error):
                    raise
            self.size = max(self._least, self.size // 2)  # after `error`, which holds the tensors


@cache
def quick_memory() -> None:
    """Make glibc keep large blocks: fresh pages for every layer can cost as much as the layer.

    Call it before the first large tensor; on other systems it does nothing. One arena for all
    threads, because further arenas hold no block above 64 MB.
    """
    tune_malloc({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 1 << 30, M_ARENA_MAX: 1})


PORTABLE = 1  # cudaHostRegisterPortable: locked for all devices
SMALLEST_PART = 8  # of a micro-batch; a failure at this size needs fewer clips, not fewer pictures
