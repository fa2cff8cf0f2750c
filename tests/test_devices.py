"""Names of devices."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from av_tagger.devices import check_device_name, find_device
from av_tagger.errors import DeviceError


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_names_of_devices(name: str) -> None:
    check_device_name(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:a", "CPU", "meta", "", "cpu,cuda"])
def test_what_names_no_device_is_refused(name: str) -> None:
    for check in (check_device_name, find_device):
        with pytest.raises(DeviceError, match=r"there is no device .*; give auto, cpu, cuda or"):
            check(name)


def test_devices_of_this_machine() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert find_device(torch.device("cpu")) == torch.device("cpu")


def test_a_device_that_is_not_here_says_how_many_are() -> None:
    with pytest.raises(DeviceError, match=r"'cuda:99': \d+ CUDA devices found; give --device cpu"):
        find_device("cuda:99")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an MPS device")
def test_mps_elsewhere() -> None:
    with pytest.raises(DeviceError, match="no device 'mps' on this machine"):
        find_device("mps")


def test_a_name_is_checked_without_torch() -> None:
    code = (
        "import sys; from av_tagger.devices import check_device_name as check; "
        "check('cuda:1'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
