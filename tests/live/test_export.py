"""Ears as ONNX files: the same scores in onnxruntime, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture, LogMelSettings
from av_tagger.audio.branch import MilEar
from av_tagger.audio.ears import load, load_ear, resolve
from av_tagger.audio.frame_times import FrameTimes
from av_tagger.audio.header import Header
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT
from av_tagger.audio.network import build_network
from av_tagger.audio.onnx_ear import MeanOf, OnnxEar, OnnxFacts
from av_tagger.clip import Samples, Waveform
from av_tagger.config import configure
from av_tagger.errors import UsageError, WeightsError
from av_tagger.live.export import export_ear
from av_tagger.live.listener import Listener
from av_tagger.live.threads import exported_parts, use_threads
from av_tagger.plan import make_plan
from av_tagger.protocols import AudioBranch
from tests import ROOT
from tests.assets import Audio, make_audio
from tests.live.test_kept import noise, yamnet

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def starter() -> AudioBranch:
    return load_ear("starter", "cpu", offline=True)


def efficientat() -> AudioBranch:
    torch.manual_seed(0)
    return KnownEar("efficientat.mn04", EFFICIENTAT, EfficientAT(0.4))


def with_deltas() -> AudioBranch:
    torch.manual_seed(0)
    front = LogMelSettings(rate=16_000, window=400, hop=160, fft=512, mels=64, deltas=True)
    architecture = EarArchitecture(3, "bc-resnet", frontend=front)
    header = Header("tiny", architecture, ("a", "b", "c"))
    return MilEar(build_network(architecture), header)


@pytest.mark.parametrize("make", [starter, efficientat, yamnet, with_deltas])
def test_the_file_gives_the_scores_of_torch(
    make: Callable[[], AudioBranch], tmp_path: Path
) -> None:
    ear = make()
    done = export_ear(ear, tmp_path / "ear.onnx")
    assert done.difference <= 1e-4
    exported = OnnxEar(done.path)
    assert isinstance(exported, AudioBranch)
    assert (exported.labels, exported.rate) == (ear.labels, ear.rate)
    sound = noise(ear.rate, exported.window / ear.rate)[: exported.window]
    compare(exported, ear, sound)


def compare(exported: AudioBranch, ear: AudioBranch, sound: Samples) -> None:
    waves = [Waveform(sound, ear.rate, 30.0)]
    (mine,), (plain,) = exported.hear(waves), ear.hear(waves)
    np.testing.assert_allclose(mine.probabilities, plain.probabilities, atol=1e-4)
    assert mine.activity is not None
    assert plain.activity is not None
    np.testing.assert_allclose(mine.activity.values, plain.activity.values, atol=1e-4)
    assert mine.activity.start_seconds == 30.0


@pytest.mark.parametrize("seconds", [0.3, 1.0, 4.3, 9.7])
def test_yamnet_hears_short_sound_as_torch_does(yamnet_file: Path, seconds: float) -> None:
    compare(OnnxEar(yamnet_file), yamnet(), noise(16_000, seconds))


def test_files_of_before_say_when_their_rows_lie() -> None:
    """Without a lead the first patch of YAMNet is centred half a patch after the start."""
    old = OnnxFacts("yamnet", ("a",), 16_000, 1 / 0.48, 161_520, mean=MeanOf(15_600, 7_680))
    assert old.frames == FrameTimes(pytest.approx(0.48), 0.48)
    assert OnnxFacts("run", ("a",), 20_000, 10.0, 200_000).frames is None


@pytest.fixture(scope="module")
def yamnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_ear(yamnet(), tmp_path_factory.mktemp("yamnet") / "yamnet.onnx").path


@pytest.fixture(scope="module")
def starter_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter behind its calibration, as `av-tag export starter` writes it."""
    ear = load(resolve("starter", offline=True, calibrated=True), "cpu")
    return export_ear(ear, tmp_path_factory.mktemp("starter") / "ear.onnx").path


def test_a_calibrated_ear_keeps_its_calibration_thresholds_and_fusion(starter_file: Path) -> None:
    plans = [
        make_plan(configure(None, {"ear": ear, "only": "ear", "offline": True}))
        for ear in ("starter", str(starter_file))
    ]
    plain, exported = plans
    assert plain.ear is not None
    assert exported.ear is not None
    assert (exported.ear.kind, exported.ear.exported) == ("combined", "starter")
    assert (plain.needs_torch, exported.needs_torch) == (True, False)
    assert exported.classes == plain.classes
    np.testing.assert_array_equal(exported.fusion.rows.ear, plain.fusion.rows.ear)
    assert exported.fingerprint != plain.fingerprint
    assert not any("was fitted to" in line for line in exported.advice)
    sound = noise(20_000, 10.0)
    ears = [plan.build("cpu").parts.ear for plan in plans]
    assert ears[0] is not None
    assert ears[1] is not None
    compare(ears[1], ears[0], sound[: 10 * ears[0].rate])


def test_a_trained_ear_keeps_its_header(tmp_path: Path) -> None:
    ear = with_deltas()
    path = export_ear(ear, tmp_path / "ear.onnx").path
    source = resolve(path, calibrated=True)
    assert (source.kind, source.labels) == ("onnx", ("a", "b", "c"))
    assert source.header == ear.header  # type: ignore[attr-defined]


def test_live_windows_have_the_length_of_the_network(starter_file: Path) -> None:
    tagger = make_plan(
        configure(None, {"ear": str(starter_file), "only": "ear", "offline": True})
    ).build()
    assert exported_parts(tagger.parts.ear)
    listener = Listener(tagger)
    spans = list(listener.schedule.due(15.0))
    assert {round(s.end - s.start, 6) for s in spans if s.end >= 10.0} == {10.0}
    use_threads(tagger.parts.ear, 2)
    assert [part.threads for part in exported_parts(tagger.parts.ear)] == [2]


def test_av_tag_listens_without_torch(starter_file: Path, tmp_path: Path) -> None:
    wav = tmp_path / "tone.wav"
    make_audio(wav, 3.0, Audio("pcm"))
    code = f"""
import sys
from av_tagger.cli.main import main
sys.argv = ["av-tag", "listen", {str(wav)!r}, "--pace", "fast", "--json", "--seconds", "-q",
            "--ear", {str(starter_file)!r}, "--only", "ear", "--threads", "1", "--offline"]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    kinds = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert kinds == ["second", "second", "second", "end"]


def test_timelines_cover_the_sound(starter_file: Path) -> None:
    ear = OnnxEar(starter_file)
    for seconds in (0.5, 10, 23.3):
        silence = np.zeros(int(seconds * ear.rate), np.float32)
        (scores,) = ear.hear([Waveform(silence, ear.rate)])
        assert scores.activity is not None
        assert len(scores.activity.values) == -int(-seconds * 10 // 1)
        assert np.isfinite(scores.activity.values).all()


def test_several_ears_are_refused(tmp_path: Path) -> None:
    from tests.live.test_listener import tagger

    ear = tagger().parts.ear
    assert ear is not None
    with pytest.raises(UsageError, match="only single ears can be exported"):
        export_ear(ear, tmp_path / "x.onnx")


def test_files_that_are_no_ears(tmp_path: Path, yamnet_file: Path) -> None:
    import onnx

    path = tmp_path / "x.onnx"
    with pytest.raises(WeightsError, match="no such"):
        resolve(path)
    path.write_bytes(b"no network")
    with pytest.raises(WeightsError, match="cannot be read as an ONNX network"):
        OnnxEar(path)
    path.write_bytes(yamnet_file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="cannot be read as an ONNX network"):
        resolve(path)
    model = onnx.load(str(yamnet_file))
    model.metadata_props[0].value = '{"name": 1}'
    onnx.save(model, str(path))
    with pytest.raises(WeightsError, match="its description cannot be read"):
        resolve(path)
    del model.metadata_props[:]
    onnx.save(model, str(path))
    with pytest.raises(WeightsError, match="no ear of av-tag export"):
        resolve(path)
