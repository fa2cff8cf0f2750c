"""When the numba search may be used: it loads from a disk cache that another process fills, without
waiting.

A numba import and a load cost more than a few clips in plain numpy, so a process switches only once
plain numpy has cost it as much.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

from av_tagger.cache import folder as cache_folder
from av_tagger.video.sparse_coding import bounds
from av_tagger.video.sparse_coding.plain import Prices
from av_tagger.video.sparse_coding.problem import Matrix, Rows

Search = Callable[[Matrix, int, int, float], tuple[Rows, Prices]]
Gains = Callable[[Matrix, Prices], Prices]
PATIENCE_SECONDS = (
    0.5  # of plain numpy in this process before the compiled form is worth its import
)
STALE_SECONDS = 300.0  # a warming process that is older has died
_NAME = "av_tagger.video.sparse_coding.kernel"


class Compiled:
    """The compiled search, once it is there; `search` is None until then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._search: Search | None = None
        self.gains: Gains = bounds.gains  # the compiled form once it is loaded
        self._spent = 0.0
        self._off = False

    def spent(self, seconds: float) -> None:
        """Plain numpy has worked so long for want of the compiled form."""
        self._spent += seconds

    def search(self) -> Search | None:
        """The compiled form when it costs nothing to have it; otherwise see to it that it will be
        there.
        """
        if self._search or self._off or self._spent < PATIENCE_SECONDS:
            return self._search
        with self._lock:
            if ready():
                return self.load()
            self._off = not warm_in_background()
            return None

    def load(self) -> Search | None:
        """Import the kernel now; None when numba is missing or does not work."""
        if self._search is None:
            kernel = _import()
            self._search = kernel.search if kernel else None
            self.gains = kernel.gains if kernel else bounds.gains
            self._off = kernel is None
        return self._search


def ready() -> bool:
    """Whether this very kernel, for this numba and this processor, lies compiled in the cache."""
    return (folder() / _marker()).exists()


def warm() -> bool:
    """Compile into the cache and wait: for installers, container images and benchmarks."""
    if _import() is None:
        return False
    with contextlib.suppress(OSError):
        (folder() / _marker()).touch()
    return True


@cache
def folder() -> Path:
    """Where compiled code is kept: the user's cache, or a private folder for this process when that
    cannot be written.
    """
    place = cache_folder("compiled")
    try:
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except OSError:
        return _private_folder()
    return place


def warm_in_background() -> bool:
    """Start a process that fills the cache unless one is running; False if impossible."""
    note = folder() / (_marker() + ".warming")
    home = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-m", __name__.rpartition(".")[0] + ".warm", str(note)]
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "AV_TAGGER_CACHE": str(folder().parent), "PYTHONPATH": path}
    quiet = subprocess.DEVNULL
    try:
        if not _claimed(note):
            return True
        child = subprocess.Popen(  # noqa: S603
            command,
            env=environment,
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
        threading.Thread(target=child.wait, daemon=True).start()  # no zombie stays behind
    except OSError:
        return False
    return True


def _claimed(note: Path) -> bool:
    """Whether the warming is ours to do: many workers start at once, and one compiles."""
    if note.exists() and time.time() - note.stat().st_mtime > STALE_SECONDS:
        note.unlink(missing_ok=True)
    try:
        note.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _private_folder() -> Path:
    try:
        place = tempfile.TemporaryDirectory(prefix="av_tagger_", ignore_cleanup_errors=True)
    except OSError:
        return Path(
            os.devnull
        )  # nowhere to write: nothing is ever ready, and the numpy form serves
    atexit.register(place.cleanup)
    inside = Path(place.name) / "compiled"
    inside.mkdir()
    return inside


@cache
def _marker() -> str:
    """A key of what compiled code depends on: sources, numba, Python and CPU."""
    parts = [sys.version, _version("numba"), _version("llvmlite"), _processor()]
    source = Path(__file__).with_name("kernel.py")
    with contextlib.suppress(OSError):
        parts += [source.read_text(encoding="utf-8"), str(source), str(source.stat().st_mtime_ns)]
    return "kernel-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "missing"


def _processor() -> str:
    try:
        binding = import_module("llvmlite.binding")
        return f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    except Exception:  # noqa: BLE001 # a broken llvmlite: the import of numba will say so
        return "unknown"


def _import() -> ModuleType | None:
    """The kernel with numba's cache pointed at our folder for the time of the import only: the
    setting is the whole process's.
    """
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    try:
        import numba

        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(folder())
        try:
            from av_tagger.video.sparse_coding import kernel
        finally:
            numba.config.CACHE_DIR = before
    except Exception:  # noqa: BLE001 # a broken numba or LLVM costs speed, nothing else
        return None
    return kernel


compiled = Compiled()
