"""The bag assumption from training to the table by device, on scenes in the form of TAU (FUSE)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from av_tagger.audio.ears import load_ear
from av_tagger.audio.settings import EarSettings
from av_tagger.clip import Waveform
from av_tagger.studies.sound_manifest import read_waveform
from tests.cli.conftest import AvTag
from tests.learning.tones import RATE, TONES, write_wav

SCENES, DEVICES, FILES = ("low", "middle", "shrill"), ("a", "b", "s6"), 4
TINY = (
    "architecture.extractor_settings.channels=[4,6]",
    "architecture.frontend.rate=4000",
    "architecture.frontend.window=128",
    "architecture.frontend.hop=40",
    "architecture.frontend.fft=128",
    "architecture.frontend.mels=16",
    "batch=8",
    "length.epochs=2",
    "length.epoch_steps=6",
    "schedule.warmup_epochs=0.5",
)
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A meta file and its sounds; device s6 adds a strong hum that the others lack."""
    root = tmp_path_factory.mktemp("tau")
    draw, t, rows = np.random.default_rng(0), np.arange(RATE) / RATE, []
    for scene in SCENES:
        for device in DEVICES:
            for number in range(FILES):
                samples = 0.05 * draw.standard_normal(RATE)
                samples += 0.1 * np.sin(2 * np.pi * TONES[scene] * t) * (t < draw.uniform(0.2, 1))
                samples += (device == "s6") * 0.3 * np.sin(2 * np.pi * 900 * t)
                name = f"audio/{scene}-oslo-{number}-1-{device}.wav"
                write_wav(root / name, np.clip(samples, -1, 1).astype(np.float32))
                rows.append(f"{name}\t{scene}")
    (root / "meta.csv").write_text("\n".join(["filename\tscene_label", *rows]) + "\n")
    return root


def trained(scenes: Path, folder: Path, assumption: str, av_tag: AvTag) -> None:
    sets = [w for s in (*TINY, f"keep.assumption={assumption}") for w in ("--set", s)]
    data = ["--data", scenes / "meta.csv", "--valid", scenes / "meta.csv", "--classes", "data"]
    where = ["-o", folder, "--store", scenes / "store", "--device", "cpu", "--decoders", "1"]
    assert av_tag("train", "fuse/gt", *data, *where, *sets).code == 0


def timelines(ear_of: Path, scenes: Path) -> list[Array]:
    """Scores of the instances of every clip, in the order of the meta file."""
    ear = load_ear(ear_of, "cpu")
    names = [r.split("\t")[0] for r in (scenes / "meta.csv").read_text().splitlines()[1:]]
    waves = [Waveform(read_waveform(scenes / name, ear.rate), ear.rate) for name in names]
    found = [scores.activity for scores in ear.hear(waves)]
    return [np.asarray(a.values, np.float64) for a in found if a is not None]


def by_hand(name: str, instances: Array) -> Array:
    """FUSE equations 2 and 10; the N-th largest score for a threshold and N instances."""
    if name == "cmi":
        return np.bincount(instances.argmax(axis=1), minlength=3) / len(instances)
    return np.asarray(np.sort(instances, axis=0)[-(int(name[4:]) if name[4:] else 1)])


@pytest.mark.parametrize("name", ["smi", "cmi", "tmi:3"])
def test_validation_ear_and_devices_use_the_same_assumption(
    name: str, scenes: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    trained(scenes, tmp_path / "run", name, av_tag)
    lines = timelines(tmp_path / "run", scenes)
    expected = np.stack([by_hand(name, instances) for instances in lines])
    with np.load(tmp_path / "run" / "validation.npz") as stored:
        np.testing.assert_allclose(stored["scores"], expected, atol=2e-3)
        targets = stored["targets"] > 0.5

    done = av_tag(
        *("analyse", tmp_path / "run", "-o", tmp_path / "seen", "--json"),
        *("--data", scenes / "meta.csv", "--store", scenes / "store"),
    )
    assert done.code == 0, done.err
    devices = json.loads(done.out)["devices"]
    right = np.take_along_axis(targets, expected.argmax(axis=1)[:, None], axis=1)[:, 0]
    of_device = np.tile(np.repeat(np.arange(3), FILES), 3)
    for number, device in enumerate(DEVICES):
        assert devices[device] == {
            "accuracy": pytest.approx(right[of_device == number].mean()),
            "clips": 12,
        }
    assert devices["all"]["accuracy"] == pytest.approx(right.mean())


def test_another_assumption_can_be_chosen_later(
    scenes: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    """For the table with --assumption, for tagging with hearing.assumption."""
    trained(scenes, tmp_path / "run", "smi", av_tag)
    lines = timelines(tmp_path / "run", scenes)
    words = ["analyse", tmp_path / "run", "-o", tmp_path / "seen", "--json"]
    words += ["--data", scenes / "meta.csv", "--store", scenes / "store"]
    truth = np.repeat(np.arange(3), len(DEVICES) * FILES)
    for name in ("smi", "cmi"):
        done = av_tag(*words, "--assumption", name)
        chosen = np.array([by_hand(name, instances).argmax() for instances in lines])
        found = json.loads(done.out)
        assert found["devices"]["all"]["accuracy"] == pytest.approx((chosen == truth).mean())
        assert found["instances"]["run"][name] == pytest.approx((chosen == truth).mean())

    clip = tmp_path / "one.wav"
    shutil.copy(scenes / "audio" / "low-oslo-0-1-a.wav", clip)
    settings = tmp_path / "cmi.toml"
    settings.write_text('[hearing]\nassumption = "cmi"\n')
    tag = ["tag", clip, "--ear", tmp_path / "run", "--only", "ear", "--json", "--offline"]
    done = av_tag(*tag, "--device", "cpu", "--config", settings)
    assert done.code == 0, done.err
    heard = {k: v["heard"] for k, v in json.loads(done.out)["scores"].items()}
    share = by_hand("cmi", lines[0])
    assert [heard[scene] for scene in SCENES] == pytest.approx(share, abs=1e-4)
    assert EarSettings(assumption="cmi").assumption == "cmi"


def test_an_assumption_that_does_not_exist_is_one_sentence(
    scenes: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    data = ["--data", scenes / "meta.csv", "--classes", "data", "-o", tmp_path / "run"]
    done = av_tag("train", "fuse/gt", *data, "--set", "keep.assumption=most")
    assert done.code == 2
    assert "the bag assumption is pooling, smi, cmi or tmi:N" in " ".join(done.err.split())
