"""Download a wheel with the user's own pip and its settings, with progress and time limits.

pip reports no machine-readable progress, and an unreachable index can take minutes to fail. So its
temporary folder is watched: bytes that arrive are progress, and an index that has not answered
within a few seconds counts as unreachable.
"""

from __future__ import annotations

import errno
import importlib.util
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from av_tagger.errors import WeightsError

Progress = Callable[[int], None]  # bytes so far


@dataclass(frozen=True)
class PipLimits:
    """Time limits in seconds."""

    start: float = 30.0  # until pip is up, on a busy machine
    answer: float = 5.0  # then until an index has found the package
    stall: float = 60.0  # then without a new byte
    total: float = 1800.0
    poll: float = 0.05


LIMITS = PipLimits()
RETRIES = 1  # per request: pip's usual five would delay the answer that there is no network


class PipError(WeightsError):
    """pip failed; the message is its own reason."""


class PipMissingError(PipError):
    """This Python has no pip."""


class IndexUnreachableError(PipError):
    """No answer from the package index, or none in time."""


class NotInIndexError(PipError):
    """The index, or the folders that stand for it, answered but hold no such version."""


def download_wheel(
    requirement: str, folder: Path, progress: Progress | None = None, most: float = math.inf
) -> Path:
    """Download `NAME==VERSION` into `folder`: no dependencies, no build, no installation.

    pip is ended when more than `most` bytes have arrived.
    """
    if not has_pip():
        raise PipMissingError("this Python has no pip")
    wheels, scratch = folder / "wheels", folder / "scratch"
    for place in (wheels, scratch):
        place.mkdir(parents=True)
    run = _Run(_start(requirement, wheels, scratch), wheels, scratch, progress, most)
    try:
        run.watch()
    finally:
        run.stop()
    run.check()
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        raise PipError(f"pip left {len(found)} wheels where one was asked for")
    return found[0]


def has_pip() -> bool:
    return bool(sys.executable) and importlib.util.find_spec("pip") is not None


def _start(requirement: str, wheels: Path, scratch: Path) -> subprocess.Popen[str]:
    """-P keeps a pip.py in the current folder from running. Index settings stay the user's."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
    ]
    command += ["--retries", str(RETRIES), "--dest", str(wheels), requirement]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and a pinned requirement
        command,
        cwd=wheels,
        env=_environment(os.environ, scratch),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def _environment(given: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Fixed output, no prompts, and temporary files in a folder that is watched."""
    ours = {
        "QUIET": "0",
        "VERBOSE": "0",
        "NO_INPUT": "1",
        "DISABLE_PIP_VERSION_CHECK": "1",
        "REQUIRE_VIRTUALENV": "0",  # nothing is installed
        "REQUIRE_HASHES": "0",  # the caller checks the pinned SHA-256
        "PROGRESS_BAR": "off",
    }
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    return {
        **given,
        **{f"PIP_{name}": value for name, value in ours.items()},
        **temporary,
        "PYTHONUNBUFFERED": "1",
    }


@dataclass
class _Run:
    """A running pip process, its output, and the time limit that ended it, if any."""

    process: subprocess.Popen[str]
    wheels: Path
    scratch: Path
    progress: Progress | None
    most: float
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=200))
    limit: str = ""

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def watch(self) -> None:
        """Wait until pip ends or exceeds a limit."""
        begun = moved = time.monotonic()
        stage, had = "start", 0
        while self.process.poll() is None:
            have, now = _bytes_in(self.scratch) + _bytes_in(self.wheels), time.monotonic()
            seen = self._stage(have)
            if have > had and self.progress is not None:
                self.progress(have)
            if have > self.most:
                self.limit = "size"
                return
            if have > had or seen != stage:
                stage, had, moved = seen, have, now
            if now - moved > getattr(LIMITS, stage) or now - begun > LIMITS.total:
                self.limit = stage
                return
            time.sleep(LIMITS.poll)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def check(self) -> None:
        """Raise the reason if pip failed."""
        if self.limit == "start":
            raise PipError(f"pip does not start within {LIMITS.start:g} s")
        if self.limit == "size":
            raise PipError(f"the package index sends more than {self.most:.0f} bytes")
        if self.limit == "answer":
            raise IndexUnreachableError(
                f"the package index does not answer within {LIMITS.answer:g} s"
            )
        if self.limit:
            raise IndexUnreachableError(
                f"the download stalled for {LIMITS.stall:g} s or took {LIMITS.total:g} s"
            )
        if self.process.returncode:
            raise _reason(list(self.lines))

    def _stage(self, have: int) -> str:
        """pip prints `Collecting` or `Processing` once it has found the package."""
        if have or any(
            line.lstrip().startswith(("Collecting", "Processing", "Downloading"))
            for line in list(self.lines)
        ):
            return "stall"
        return "answer" if self.lines or any(self.scratch.iterdir()) else "start"

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip() for line in self.process.stdout if line.strip())


def _bytes_in(folder: Path) -> int:
    """Total size; files may move while they are counted."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(place, name).stat().st_size
            except OSError:
                continue
    return total


def _reason(lines: list[str]) -> Exception:
    text = "\n".join(lines)
    if re.search(r"Errno (28|122)\b|No space left|quota exceeded", text):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    network = next((words for sign, words in _NETWORK.items() if sign in text), None)
    if network is not None:
        return IndexUnreachableError(f"the package index cannot be reached ({network})")
    warning = next((line[9:209] for line in reversed(lines) if line.startswith("WARNING: ")), "")
    if re.search(r"No matching distribution|from versions:", text):
        reason = "the package index, or the folder that pip uses in its place, does not have it"
        return NotInIndexError(f"{reason} ({warning})" if warning else reason)
    last = next(
        (line for line in reversed(lines) if line.startswith(("ERROR", "error"))),
        lines[-1] if lines else "no message",
    )
    return PipError(f"pip failed: {last.removeprefix('ERROR:').strip()[:200]}")


_NETWORK = {  # what pip prints, most specific first
    "NameResolutionError": "its name cannot be resolved",
    "Name or service not known": "its name cannot be resolved",
    "Temporary failure in name resolution": "its name cannot be resolved",
    "getaddrinfo failed": "its name cannot be resolved",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not accepted",
    "SSLError": "its certificate is not accepted",
    "ProxyError": "the proxy refuses",
    "ConnectTimeoutError": "timeout",
    "ReadTimeoutError": "timeout",
    "NewConnectionError": "connection refused",
    "ProtocolError": "the connection broke",
    "IncompleteRead": "the connection broke",
    "ConnectionResetError": "the connection broke",
    "connection error": "no connection",
}
