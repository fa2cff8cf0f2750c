"""Children end with the process that started them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from av_tagger.media.lifeline import Lifeline
from tests import ROOT
from tests.waiting import LIMIT, until

PARENT = """
import sys
from pathlib import Path
from av_tagger.clip import Clip
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.protocols import DecodeRequest

decoder = DecodeProcess("hang with lock", factory="tests.fakes:make_backend", search=[Path(".")])
windows = decoder.windows(Clip(Path("a.mp4")), DecodeRequest())
next(windows)
print(decoder.process.pid, flush=True)
next(windows)
"""


def state_of(pid: int) -> str:
    """The state letter in /proc, empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_closed_lifeline_ends_the_child() -> None:
    line = Lifeline()
    child = subprocess.Popen(["sleep", "600"], pass_fds=[line.reader])
    line.tie(child.pid)
    assert child.poll() is None
    line.close()
    assert child.wait(LIMIT) == -signal.SIGIO


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_busy_decoder_ends_when_its_parent_is_killed() -> None:
    """Also one that holds the interpreter's lock, so that no thread of its own could notice."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until(lambda: state_of(pid) in ("", "Z"), "the decoder has ended")
