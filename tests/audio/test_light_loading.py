"""An ear is loaded without torch's compiler, whose import takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.labels import dcase2017
from tests import ROOT

CODE = """
import sys
from pathlib import Path
from av_tagger.audio.checkpoint import load_checkpoint
load_checkpoint(Path(sys.argv[1]))
sys.exit(", ".join({"torch._dynamo", "sympy"} & set(sys.modules)) or 0)
"""


def test_loading_an_ear_imports_no_compiler(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = {"channels": (4, 4, 4, 4), "units": 4}
    architecture = EarArchitecture(17, extractor_settings=small, margin=5)
    header = Header("tiny", architecture, dcase2017().labels)
    save_checkpoint(tmp_path / "ear.safetensors", build_network(architecture), header)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "ear.safetensors")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
