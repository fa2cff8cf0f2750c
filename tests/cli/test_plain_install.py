"""Every command with the main dependencies only: it works, or one sentence names the extra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from av_tagger import weights
from av_tagger.cli.main import COMMANDS
from av_tagger.reports.writers import WRITERS
from tests import ROOT
from tests.assets import make_audio, make_video
from tests.cli.conftest import Done
from tests.cli.plain_install import hidden_modules, main_dependencies, write_blocker
from tests.evaluation.runs import run_folder
from tests.learning.tones import write_folders

pytestmark = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)

FORMATS = ",".join(name for name in WRITERS if name != "otio")
EAR = ("--ear", "starter", "--only", "ear", "--offline", "--quiet")
TINY = ROOT / "tests" / "learning" / "tiny.toml"

RUN_ALL = """
import contextlib, io, json, sys, traceback
from av_tagger.cli.main import run

results = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(words)
        except BaseException:
            code = None
            traceback.print_exc()
    results.append([code, out.getvalue(), err.getvalue()])
print("RESULTS", json.dumps(results))
"""


@dataclass(frozen=True)
class PlainInstall:
    """Runs commands, one after the other in one process, where no extra is installed."""

    blocker: Path

    def run(self, *commands: list[object]) -> list[Done]:
        paths = os.pathsep.join([str(self.blocker), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-c", RUN_ALL],
            input=json.dumps([[str(word) for word in words] for words in commands]),
            env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "80", "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout.rpartition("RESULTS ")[2])
        return [Done(-1 if code is None else code, out, err) for code, out, err in results]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> PlainInstall:
    return PlainInstall(write_blocker(tmp_path_factory.mktemp("plain") / "blocker"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, a sound, a run with its ground truth, and a folder of labelled sounds."""
    folder = tmp_path_factory.mktemp("work")
    make_video(folder / "clip.mp4", seconds=1.0)
    make_audio(folder / "clip.wav", seconds=1.0)  # the arena needs one process for it, not one
    (folder / "clips.csv").write_text("file,labels\nclip.wav,Train\n")  # per fusion
    (folder / "run").mkdir()
    run_folder(folder / "run", clips=60, missing=2)
    write_folders(folder / "concert")
    return folder


def test_what_is_hidden_and_what_is_not() -> None:
    hidden, plain = hidden_modules(), main_dependencies()
    assert {"ray", "librosa", "h5py", "ipywidgets", "pytest"} <= hidden
    assert not {"torch", "numpy", "av", "timm", "cv2", "sklearn", "typer", "rich"} & hidden
    assert {"torch", "decord", "gensim", "cvxpy", "matplotlib"} <= plain


def test_every_command_works(plain: PlainInstall, folder: Path) -> None:
    video, run, out = folder / "clip.mp4", folder / "run", folder / "out"
    truth = ("--truth", run / "truth.csv")
    concert, trained, sound = folder / "concert", out / "trained", folder / "clip.wav"
    commands: dict[str, list[object]] = {
        "tag": ["tag", video, *EAR, "-o", out / "tag", "--format", FORMATS],
        "report page": ["tag", video, *EAR, "--report", out / "page.html"],
        "annotate": ["tag", video, *EAR, "--annotate", out / "copy.mp4"],
        "batch": ["batch", video, *EAR, "-o", out / "batch"],
        "listen": ["listen", video, "--pace", "fast", *EAR],
        "tag with the eye": ["tag", video, "--ear", "starter", "--offline", "--quiet"],
        "arena": ["arena", sound, "--truth", folder / "clips.csv", "--ears", "starter"],
        "demo": ["demo", "-o", out / "demo", *EAR],
        "report": ["report", run, "-o", out / "report", "--no-listen"],
        "find": ["find", run, "any vehicle", "--html", out / "found.html"],
        "index": ["index", run],
        "cut": ["cut", video, "--reel", "1", *EAR, "-o", out / "cut"],
        "caption": ["caption", video, *EAR, "-o", out / "clip.vtt"],
        "handover": ["handover", run, "-o", out / "markers", "--format", "edl,fcpxml"],
        "evaluate": ["evaluate", run, *truth],
        "review": ["review", run, "--summary"],
        "tune": ["tune", run, *truth, "-o", out / "fusion.json", "--folds", "2"],
        "train": [
            *("train", TINY, "--data", concert, "--classes", "data", "--hold-out", "0.3"),
            *("--store", folder / "store", "-o", trained, "--device", "cpu"),
        ],
        "recipes": ["recipes"],
        "analyse": ["analyse", trained, "-o", out / "analysis"],
        "vote": ["vote", trained, trained, "-o", out / "vote"],
        "classes": ["classes", "dog"],
        "config": ["config"],
        "doctor": ["doctor", "--offline"],
        "weights list": ["weights", "list"],
        "weights check": ["weights", "check", "crnn.starter"],
    }
    for name, done in zip(commands, plain.run(*commands.values()), strict=True):
        assert done.code == 0, f"{name}: {done.err}"
        assert "Traceback" not in done.err, name
    assert {name.split()[0] for name in commands} | {"embed", "bench", "export"} >= set(COMMANDS)
    assert (out / "demo" / "demo.html").stat().st_size > 10_000
    assert (out / "copy.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bench", "--clips", "1"], "needs librosa, which cannot be imported"),
        (["batch", "CLIP", "-o", "OUT", "--engine", "ray", *EAR], "--engine ray needs ray"),
        (["weights", "convert", "yamnet", "CLIP"], "h5py"),
        (["export", "starter", "-o", "OUT"], "onnx"),
        (["handover", "RUN", "-o", "OUT", "--format", "otio"], "opentimelineio"),
    ],
)
def test_a_missing_extra_is_one_sentence(
    words: list[str], sentence: str, plain: PlainInstall, folder: Path, tmp_path: Path
) -> None:
    places = {"CLIP": folder / "clip.mp4", "OUT": tmp_path / "out", "RUN": folder / "run"}
    (done,) = plain.run([places.get(word, word) for word in words])
    assert done.code == 2, done.err
    assert done.err.startswith("av-tag: ")
    assert done.err.count("\n") == 1, done.err
    assert sentence in done.err
    assert "pip install " in done.err
    assert "av-tagger[" not in done.err, "the package is on no index: advice names the library"


def test_embed_works_without_extras(plain: PlainInstall, folder: Path, tmp_path: Path) -> None:
    """No ear with embeddings is part of the package: a small one with random weights is used."""
    import torch

    from av_tagger.audio.known.efficientat import EfficientAT

    torch.manual_seed(0)
    torch.save(EfficientAT(0.1).state_dict(), tmp_path / "ear.pt")
    words = ["embed", folder / "clip.mp4", "--ear", tmp_path / "ear.pt", "--device", "cpu"]
    targets = [tmp_path / "rows.npz", tmp_path / "rows.parquet"]
    for done in plain.run(*([*words, "-o", target] for target in targets)):
        assert done.code == 0, done.err
    assert all(target.is_file() for target in targets)
