"""A library that is missing or broken costs the feature that needs it, never the command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from av_tagger import weights
from tests import ROOT
from tests.assets import make_video

ALL = (
    "cv2",
    "decord",
    "gensim",
    "cvxpy",
    "sklearn",
    "numba",
    "matplotlib",
    "timm",
    "torchvision",
    "pandas",
    "ray",
    "pyarrow",
)
BROKEN = {
    "missing": "raise ModuleNotFoundError(\"No module named 'this'\")",
    "unlinked": "raise ImportError('libGL.so.1: cannot open shared object file')",
    "other version": "raise RuntimeError('compiled for another version')",
}

pytestmark = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)


@dataclass(frozen=True)
class Machine:
    """Runs `av-tag` where some libraries fail when they are imported."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def breaks(self, library: str, how: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{library}.py").write_text(BROKEN[how] + "\n")

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        program = "from av_tagger.cli.main import main; main()"
        paths = os.pathsep.join([str(self.folder), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def tag(self, video: Path, *words: str | Path) -> dict[str, Any]:
        done = self.run(video, "--ear", "starter", "--offline", "--json", *words)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout) | {"said": done.stderr}
        return answer


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "broken")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "clip.mp4", seconds=0.5)


def test_a_file_is_tagged_with_none_of_them(machine: Machine, video: Path) -> None:
    for library in ALL:
        machine.breaks(library, "missing")
    answer = machine.tag(video)
    assert answer["ear"]["status"] == "ok"
    assert answer["keyframes"]


@pytest.mark.parametrize(
    ("library", "how"),
    [("cvxpy", "unlinked"), ("gensim", "other version"), ("decord", "missing")],
)
def test_a_file_is_tagged_without_one_of_them(
    machine: Machine, video: Path, library: str, how: str
) -> None:
    """None of the three is needed for the default run."""
    machine.breaks(library, how)
    answer = machine.tag(video)
    assert answer["ear"]["status"] == "ok"
    assert answer["keyframes"]
    assert library not in answer["said"]


@pytest.mark.parametrize("how", ["missing", "other version"])
def test_without_gensim_the_shipped_table_replaces_word_vectors(
    machine: Machine, video: Path, tmp_path: Path, how: str
) -> None:
    import timm
    from safetensors.torch import save_file

    own = tmp_path / "own"
    own.mkdir()
    (own / "glove.840B.300d.txt").write_text("train 1 0\ncar 0 1\n")
    network = timm.create_model("mobilenetv3_small_050", pretrained=False)
    save_file(network.state_dict(), own / "mobilenetv3_small_050.safetensors")
    lines = ("[eye]", 'recogniser = "mobilenetv3_small_050"', 'rule = "paper"')
    (tmp_path / "run.toml").write_text("\n".join(lines))
    machine.environment["AV_TAGGER_WEIGHTS"] = str(own)
    machine.breaks("gensim", how)
    answer = machine.tag(video, "--config", tmp_path / "run.toml")
    assert "word vectors need gensim, which cannot be imported" in answer["said"]
    assert answer["eye"]["status"] in ("ok", "degraded")
    assert answer["eye"]["weights"].endswith("rule paper")
    assert "glove.840B.300d.txt" not in answer["eye"]["weights"]


def test_without_cvxpy_its_selector_is_refused(
    machine: Machine, video: Path, tmp_path: Path
) -> None:
    machine.breaks("cvxpy", "other version")
    (tmp_path / "run.toml").write_text('[eye]\nselector = "cvxpy"\n')
    done = machine.run(video, "--ear", "starter", "--offline", "--config", tmp_path / "run.toml")
    assert done.returncode in (1, 2)
    assert "cvxpy cannot be loaded" in done.stderr
    assert "use the default solver 'sparse'" in done.stderr


def test_without_opencv_only_annotated_videos_are_refused(
    machine: Machine, video: Path, tmp_path: Path
) -> None:
    machine.breaks("cv2", "unlinked")
    assert machine.tag(video)["keyframes"]
    words = (video, "--ear", "starter", "--offline", "--annotate", tmp_path / "out.mp4")
    done = machine.run(*words)
    assert done.returncode in (1, 2)
    assert (
        "annotated videos need opencv-python-headless, which cannot be imported (libGL"
        in done.stderr
    )
    assert not (tmp_path / "out.mp4").exists()


def test_a_decoder_that_cannot_be_loaded_is_named(machine: Machine, video: Path) -> None:
    """Decoding happens in another process, which has the same broken library."""
    machine.breaks("decord", "unlinked")
    done = machine.run(video, "--ear", "starter", "--offline", "--backend", "decord")
    assert done.returncode in (1, 2)
    assert "decord cannot be loaded (libGL.so.1" in done.stderr
    assert "use --backend pyav" in done.stderr


def test_help_does_not_need_them(machine: Machine) -> None:
    for library in ALL:
        machine.breaks(library, "unlinked")
    done = machine.run("--help")
    assert done.returncode == 0
    assert "doctor" in done.stdout


def test_the_doctor_names_what_is_broken(machine: Machine) -> None:
    machine.breaks("cv2", "unlinked")
    machine.breaks("gensim", "other version")
    done = machine.run("doctor")
    assert done.returncode == 0
    findings = re.sub(r"\n {3,}", " ", done.stdout).splitlines()
    for distribution, reason in (
        ("opencv-python-headless", "libGL.so.1"),
        ("gensim", "another version"),
    ):
        line = next(line for line in findings if f" {distribution} " in line)
        assert line.startswith("!")
        assert "cannot be loaded" in line
        assert reason in " ".join(done.stdout.split()), "lines are wrapped"
