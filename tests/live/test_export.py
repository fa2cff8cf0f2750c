"""Ears as ONNX files: the same scores in onnxruntime, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.audio.ears import load_ear
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, WeightsError
from av_tagger.live.onnx_ear import OnnxEar
from av_tagger.protocols import AudioBranch
from tests import ROOT
from tests.live.test_kept import noise, yamnet

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def starter() -> AudioBranch:
    return load_ear("starter", "cpu", offline=True)


def efficientat() -> AudioBranch:
    torch.manual_seed(0)
    return KnownEar("efficientat.mn04", EFFICIENTAT, EfficientAT(0.4))


@pytest.mark.parametrize("make", [starter, efficientat])
def test_the_file_gives_the_scores_of_torch(make: object, tmp_path: Path) -> None:
    from av_tagger.live.export import export_ear

    ear = make()  # type: ignore[operator]
    done = export_ear(ear, tmp_path / "ear.onnx")
    assert done.difference <= 1e-4
    exported = OnnxEar(done.path)
    assert isinstance(exported, AudioBranch)
    assert (exported.labels, exported.rate) == (ear.labels, ear.rate)
    sound = noise(ear.rate, exported.window / ear.rate)[: exported.window]
    waves = [Waveform(sound, ear.rate, 30.0)]
    (mine,), (plain,) = exported.hear(waves), ear.hear(waves)
    np.testing.assert_allclose(mine.probabilities, plain.probabilities, atol=1e-4)
    assert mine.activity is not None
    assert plain.activity is not None
    np.testing.assert_allclose(mine.activity.values, plain.activity.values, atol=1e-4)
    assert mine.activity.start_seconds == 30.0


def test_it_hears_without_torch(tmp_path: Path) -> None:
    from av_tagger.live.export import export_ear

    path = export_ear(starter(), tmp_path / "ear.onnx").path
    code = f"""
import sys
from pathlib import Path
import numpy as np
from av_tagger.clip import Waveform
from av_tagger.live.onnx_ear import OnnxEar
ear = OnnxEar(Path({str(path)!r}))
for seconds in (0.5, 10, 23.3):
    (scores,) = ear.hear([Waveform(np.zeros(int(seconds * ear.rate), np.float32), ear.rate)])
    assert len(scores.activity.values) == -int(-seconds * 10 // 1), scores.activity.values.shape
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_several_ears_are_refused(tmp_path: Path) -> None:
    from av_tagger.live.export import export_ear
    from tests.live.test_listener import tagger

    ear = tagger().parts.ear
    assert ear is not None
    with pytest.raises(UsageError, match="only single ears can be exported"):
        export_ear(ear, tmp_path / "x.onnx")
    with pytest.raises(UsageError, match="YAMNet: this network cannot be exported yet"):
        export_ear(yamnet(), tmp_path / "x.onnx")


def test_files_that_are_no_ears(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(WeightsError, match="cannot be read as an ONNX network"):
        OnnxEar(path)
