"""The device to compute on, from its name: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from av_tagger.errors import DeviceError

if TYPE_CHECKING:
    import torch

NAME = re.compile(r"auto|cpu|(cuda|mps)(:\d+)?")


def check_device_name(name: str) -> None:
    """Refuse what cannot be a device, without importing torch."""
    if not NAME.fullmatch(name):
        raise DeviceError(f"there is no device {name!r}; give auto, cpu, cuda or cuda:N")


def find_device(device: torch.device | str) -> torch.device:
    """The device of that name on this machine; `auto` takes a GPU if there is one."""
    import torch

    check_device_name(str(device))
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = torch.device(device)
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise DeviceError(
            f"there is no device {str(device)!r}: {count} CUDA devices found; "
            "give --device cpu or auto"
        )
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("there is no device 'mps' on this machine; give --device cpu or auto")
    return wanted
