"""A library that cannot be loaded costs the feature that needs it, never the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from av_tagger import weights
from tests.assets import make_video

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = (
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

PROGRAM = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"libGL.so.1: cannot open shared object file ({{name}})")
sys.meta_path.insert(0, Blocked())
from av_tagger.cli.main import main
main(sys.argv[1:])
"""


def run(blocked: tuple[str, ...], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(blocked=set(blocked)), *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)
def test_a_file_is_tagged_with_none_of_them(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", seconds=1.0)
    done = run(BLOCKED, str(video), "--ear", "starter", "--offline", "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    answer = json.loads(done.stdout)
    assert answer["ear"]["status"] == "ok"
    assert answer["keyframes"]


@pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)
def test_a_decoder_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    """Decoding happens in a worker: there, too, the broken library is found first."""
    video = make_video(tmp_path / "clip.mp4", seconds=1.0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "decord.py").write_text(
        "raise ImportError('libavcodec.so.58: cannot open shared object file')\n"
    )
    paths = os.pathsep.join([str(tmp_path / "broken"), str(ROOT)])
    command = [
        sys.executable,
        "-c",
        "from av_tagger.cli.main import main; main()",
        "tag",
        str(video),
    ]
    flags = ["--ear", "starter", "--offline", "--backend", "decord"]
    done = subprocess.run(
        [*command, *flags],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "decord cannot be loaded (libavcodec.so.58" in done.stderr
    assert "use --backend pyav" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_names_what_is_broken() -> None:
    done = run(("cv2",), "doctor")
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if "opencv-python" in line)
    assert "cannot be loaded" in line
    assert "libGL.so.1" in line
