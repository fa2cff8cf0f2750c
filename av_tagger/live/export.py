"""Ears as ONNX files: the network with its front end, for one window length."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from av_tagger.audio.branch import MilEar
from av_tagger.audio.combined import CombinedEar
from av_tagger.audio.frontend import LogMel
from av_tagger.audio.known import yamnet
from av_tagger.audio.known.ear import KnownEar, narrower
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.onnx_ear import INPUT, KEY, OUTPUTS, MeanOf, OnnxEar, OnnxFacts
from av_tagger.clip import Waveform
from av_tagger.errors import StorageError, UsageError, missing_library
from av_tagger.live.plain_networks import PlainKaldiMel, PlainLogMel, PlainPatches
from av_tagger.protocols import AudioBranch
from av_tagger.settings import to_table

WINDOW_SECONDS = 10.0
TOLERANCE = 1e-4
PATCH_SAMPLES = (yamnet.PATCH - 1) * yamnet.HOP + yamnet.WINDOW


class ExportedNetwork(nn.Module):
    """(1, samples) to `bag` (1, classes) and `frames` (1, frames, classes)."""

    def __init__(self, ear: AudioBranch) -> None:
        super().__init__()
        self.trained = isinstance(ear, MilEar)
        if isinstance(ear, MilEar):
            network: nn.Module = _copy(ear.quick, frontend=PlainLogMel(_front(ear)))
        elif isinstance(ear, KnownEar):
            network = _known(cast("nn.Module", ear.network))
        else:
            raise UsageError(
                f"{ear.info.model}: only single ears can be exported; give starter, yamnet,"
                " efficientat:mn10 or a run"
            )
        self.network = network.cpu().eval()

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        if not self.trained:
            bag, frames = self.network(samples)
            return bag, frames
        network = cast("Any", self.network)
        heard = network(network.features(samples))
        return heard.bags, heard.instances


def _front(ear: MilEar) -> LogMel:
    assert ear.quick.frontend is not None
    return ear.quick.frontend


def _known(network: nn.Module) -> nn.Module:
    if isinstance(network, EfficientAT):
        return _copy(network, frontend=PlainKaldiMel(network.frontend))
    if isinstance(network, YAMNet):
        return _copy(network, frontend=PlainPatches(network.frontend))
    raise UsageError(f"{type(network).__name__}: this network cannot be exported yet")


def _copy(module: nn.Module, **children: nn.Module) -> nn.Module:
    twin = copy.copy(module)
    twin.__dict__["_modules"] = {**module.__dict__["_modules"], **children}
    return copy.deepcopy(twin)


@dataclass(frozen=True)
class ExportCheck:
    """The largest difference between the file, in onnxruntime, and torch."""

    path: Path
    difference: float
    bytes: int


def export_ear(ear: AudioBranch, path: Path, seconds: float = WINDOW_SECONDS) -> ExportCheck:
    """Write the ear as an ONNX file and compare the two on noise and tones; StorageError beyond
    1e-4.

    Of one ear behind its calibration the file holds the ear, and the name of the calibration.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_library("Export needs", "onnx", error, "onnx") from error
    calibrated = ""
    if isinstance(ear, CombinedEar) and len(ear.parts) == 1:
        calibrated, ear = ear.calibration.name, ear.parts[0]
    network = ExportedNetwork(ear)
    samples = window_samples(ear, seconds)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer: shapes are constants, as intended
        torch.onnx.export(
            network,
            (torch.zeros(1, samples),),
            str(path),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    facts = replace(_facts(ear, network, samples), exported=calibrated)
    entry.key, entry.value = KEY, json.dumps(to_table(facts))
    onnx.save(model, str(path))
    return check_export(ear, path)


def window_samples(ear: AudioBranch, seconds: float) -> int:
    """With the lead. Published ears have a window of their own: that of their training."""
    if isinstance(ear, KnownEar):
        return ear.family.window_samples + ear.family.lead_samples
    return round(seconds * ear.rate)


def check_export(ear: AudioBranch, path: Path) -> ExportCheck:
    exported, worst = OnnxEar(path), 0.0
    rng = np.random.default_rng(0)
    time = np.arange(exported.window) / ear.rate
    tone = 0.3 * np.sin(2 * np.pi * (300 + 100 * time) * time)
    for level in (1e-3, 0.1):
        sound = (rng.standard_normal(exported.window) * level + tone).astype(np.float32)
        waves = [Waveform(sound, ear.rate)]
        (a,), (b,) = ear.hear(waves), exported.hear(waves)
        assert a.activity is not None
        assert b.activity is not None
        frames = np.abs(a.activity.values - b.activity.values)
        worst = max(
            worst, float(frames.max()), float(np.abs(a.probabilities - b.probabilities).max())
        )
    if worst > TOLERANCE:
        raise StorageError(
            f"{path}: differs from torch by {worst:.1e}, more than {TOLERANCE:.0e}; do not use it"
        )
    return ExportCheck(path, worst, path.stat().st_size)


def _facts(ear: AudioBranch, network: ExportedNetwork, samples: int) -> OnnxFacts:
    facts = OnnxFacts(
        name=ear.info.weights or ear.info.model,
        labels=ear.labels,
        rate=ear.rate,
        frame_rate=_frame_rate(ear),
        samples=samples,
    )
    if isinstance(ear, KnownEar):
        mean = MeanOf(PATCH_SAMPLES, yamnet.PATCH_HOP * yamnet.HOP)
        known = isinstance(network.network, YAMNet)
        return replace(
            facts,
            raised=tuple(narrower(ear.labels)),
            mean=mean if known else None,
            centre=ear.family.frames.centre,
            lead=ear.family.lead_samples,
        )
    header = cast("MilEar", ear).header
    return replace(facts, header=json.dumps(to_table(header)))


def _frame_rate(ear: AudioBranch) -> float:
    if isinstance(ear, KnownEar):
        return ear.family.frames.rate
    assert isinstance(ear, MilEar)
    return ear.rate / ear.instance_samples
