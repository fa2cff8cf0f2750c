"""Faster inference with the same results."""

from __future__ import annotations

import torch
from torch import nn

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.network import build_network
from av_tagger.networks import folded, quick_memory


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
