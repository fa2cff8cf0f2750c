"""Faster inference with the same results."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.network import build_network
from av_tagger.networks import (
    MicroBatch,
    download,
    folded,
    page_lock,
    quick_memory,
    upload,
    upload_rows,
)


def test_folding_removes_norms_and_keeps_the_output() -> None:
    torch.manual_seed(0)
    network = build_network(
        EarArchitecture(
            3, extractor_settings={"channels": (4, 6), "pools": ((5, 6), (4, 5)), "units": 5}
        )
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
            module.running_mean = torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.1
    network.eval()
    names = set(network.state_dict())
    quick = folded(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in quick.modules())
    assert set(network.state_dict()) == names, "the original is left alone"
    x = torch.randn(2, 1, 80, 60)
    with torch.inference_mode():
        torch.testing.assert_close(quick(x).instances, network(x).instances, atol=1e-5, rtol=0)


def test_folding_copies_a_network_in_training() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    assert not folded(network).training
    assert network.training


def test_a_norm_after_something_else_is_kept() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2))
    assert [type(m).__name__ for m in folded(network)] == [
        "BatchNorm2d",
        "Conv2d",
        "ReLU",
        "BatchNorm2d",
    ]


def test_memory_settings_can_be_applied_twice() -> None:
    quick_memory()
    quick_memory()
    assert quick_memory.cache_info().hits >= 1
    assert float(torch.ones(1000, 1000).sum()) == 1e6


def test_values_of_the_cpu_stay_there() -> None:
    values = [torch.arange(3), torch.ones(2, 2)]
    for copy, one in zip(download(values), values, strict=True):
        assert copy.data_ptr() == one.data_ptr()
    assert download([]) == []
    assert upload(values[0], torch.device("cpu")) is values[0]


class Driver:
    """Stands in for the runtime of CUDA: remembers what is locked."""

    def __init__(self, code: int) -> None:
        self.code, self.locked = code, {}

    @contextmanager
    def device(self, name: str) -> Iterator[None]:
        self.name = name
        yield

    def cudaHostRegister(self, address: int, size: int, flags: int) -> int:
        assert flags == 1
        self.thread = threading.current_thread()
        self.locked[address] = size
        return self.code

    def cudaHostUnregister(self, address: int) -> int:
        del self.locked[address]
        return 0


def test_memory_is_locked_by_the_driver_until_it_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (0, 2):
        driver = Driver(code)
        cuda = SimpleNamespace(
            is_available=lambda: True, cudart=lambda d=driver: d, device=driver.device
        )
        monkeypatch.setattr(torch, "cuda", cuda)
        undo = page_lock(4096, 100, "cuda:1")
        assert driver.locked == {4096: 100}
        assert driver.name == "cuda:1"
        assert driver.thread is not threading.current_thread(), "which may launch kernels"
        assert (undo is None) == (code != 0), "a refusal is no error: memory is staged then"
        if undo is not None:
            undo()
            assert driver.locked == {}
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(is_available=lambda: False))
    assert page_lock(4096, 100) is None


def test_a_micro_batch_is_halved_until_it_fits() -> None:
    batch, tried = MicroBatch(100), []

    def work(size: int) -> int:
        tried.append(size)
        if size > 30:
            raise torch.cuda.OutOfMemoryError("made up")
        return size

    assert batch.run(work) == 25
    assert tried == [100, 50, 25]
    assert batch.run(work) == 25, "it is not tried again"


def test_other_errors_and_hopeless_batches_are_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        MicroBatch(8).run(lambda size: size // 0)

    def never(_: int) -> None:
        raise MemoryError

    for size in (1, 7, 64):
        with pytest.raises(MemoryError):
            MicroBatch(size).run(never)


def test_rows_of_any_length_are_laid_into_one_table() -> None:
    fixed = np.arange(3, dtype=np.float32)
    fixed.flags.writeable = False
    table = upload_rows([fixed, np.ones(5, np.float32)], 5, torch.device("cpu"))
    assert table.tolist() == [[0, 1, 2, 0, 0], [1, 1, 1, 1, 1]]
