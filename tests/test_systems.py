"""What differs between systems is in one module, and the rest also runs where it is missing."""

from __future__ import annotations

import ast
import mmap
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from av_tagger import systems
from tests import ROOT
from tests.test_house import PACKAGE, python_files, tree

# Modules and attributes that Python's documentation gives as "Availability: Unix" or "Linux".
UNIX_ONLY = """
modules: crypt fcntl grp nis posix pty pwd resource syslog termios tty
os: O_ASYNC O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC WIFSIGNALED chown chroot ctermid
    eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid
    getgid getgroups getloadavg getpgid getpgrp getpriority getrandom getresuid getsid getuid
    getxattr killpg lchown listxattr lockf major makedev memfd_create minor mkfifo mknod nice
    openpty pathconf pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn pread preadv
    pwrite pwritev readv register_at_fork removexattr sched_getaffinity sched_getparam
    sched_getscheduler sched_param sched_setaffinity sched_setparam sched_setscheduler
    sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority setsid setuid
    setxattr splice statvfs sync sysconf tcgetpgrp ttyname uname unshare wait wait3 wait4 waitid
    writev
signal: ITIMER_REAL SIGALRM SIGCHLD SIGHUP SIGIO SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2
    SIGXFSZ alarm getitimer pause pidfd_send_signal pthread_kill pthread_sigmask setitimer
    siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
socket: AF_UNIX CMSG_LEN SCM_RIGHTS recv_fds send_fds sethostname
mmap: MADV_DONTNEED MAP_ANONYMOUS MAP_PRIVATE MAP_SHARED PROT_READ PROT_WRITE
time: clock_getres clock_gettime pthread_getcpuclockid tzset
"""
ATTRIBUTES = {
    module: set(names.split())
    for module, names in re.findall(r"(\w+): ([^:]+)(?=\n\w|$)", UNIX_ONLY)
}
MODULES = ATTRIBUTES.pop("modules")
ALLOWED = {"systems.py"}
DEVICES = {"devices.py"}  # lists the cameras and microphones that Linux has as files
MEASURING = {"bench"}  # tools that read /proc and bind cores: for Linux, as their docs say


def posix_only(path: Path) -> Iterator[str]:
    """Uses of what only POSIX systems have, with their lines."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=names):
                used = [name.name for name in names if name.name.split(".")[0] in MODULES]
            case ast.ImportFrom(module=str(module), names=names):
                known = ATTRIBUTES.get(module, set())
                used = [f"{module}.{n.name}" for n in names if module in MODULES or n.name in known]
            case ast.Attribute(value=ast.Name(id=str(module)), attr=name):
                used = [f"{module}.{name}"] if name in ATTRIBUTES.get(module, ()) else []
            case ast.keyword(arg="preexec_fn" | "process_group"):
                used = [str(node.arg)]
            case _:
                used = []
        yield from (f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} {u}" for u in used)


def test_posix_only_calls_are_in_one_module() -> None:
    others = [path for path in package_files() if path.name not in ALLOWED]
    assert [use for path in others for use in posix_only(path)] == []


def test_a_posix_only_call_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "x.py"
    path.write_text("import os, fcntl\nfrom signal import SIGKILL\nos.fork()\nos.open('x', 0)\n")
    assert list(posix_only(path)) == ["x.py:1 fcntl", "x.py:2 signal.SIGKILL", "x.py:3 os.fork"]


def package_files() -> list[Path]:
    """All modules but the tools that measure."""
    return [p for p in python_files(PACKAGE) if p.relative_to(PACKAGE).parts[0] not in MEASURING]


def test_processes_are_started_by_spawn() -> None:
    """The only way of all systems; a fork would also share CUDA and locks."""
    started = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in package_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("multiprocessing", "mp")
        and node.attr in ("Pool", "Process", "Queue", "Manager", "set_start_method", "Value")
    ]
    assert started == []
    contexts = [
        ast.unparse(node)
        for path in package_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get_context"
    ]
    assert set(contexts) == {"multiprocessing.get_context('spawn')"}


def test_no_path_is_that_of_one_system() -> None:
    """Folders come from platformdirs, tempfile and the user."""
    rooted = re.compile(r"(/(tmp|dev|proc|sys|etc|home|usr|var|opt|bin)(/|$)|~/|[A-Z]:\\)")
    found = [
        f"{path.relative_to(PACKAGE)} {node.value}"
        for path in package_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and rooted.match(node.value)
        and path.name not in ALLOWED | DEVICES
    ]
    assert found == ["video/precision.py /proc/cpuinfo"], "read only where it exists"


AS_ON_WINDOWS = """
import os, signal, socket, sys
import _posixsubprocess, subprocess, multiprocessing.util  # Python's own modules are already there
from tests.test_systems import ATTRIBUTES, MODULES
import av, cv2, cvxpy, gensim, matplotlib.pyplot, numba, PIL.Image, pyarrow
import platformdirs, scipy.signal, timm, torch
for name in [name for name in sys.modules if name.split(".")[0] in ("av_tagger", "tests")]:
    del sys.modules[name]  # to be imported again, without what follows
for name in MODULES - {"posix"}:
    sys.modules[name] = None  # an import of it fails
used = {"os": {"fork", "register_at_fork", "uname", "sendfile"}}
for module in (os, signal, socket):
    for name in ATTRIBUTES[module.__name__] - used.get(module.__name__, set()):
        if hasattr(module, name):
            delattr(module, name)
"""
# What stays is used by Python's own subprocess and shutil here, which differ on Windows.

IMPORT_ALL = """
import importlib, pkgutil
import av_tagger
wanted = [m.name for m in pkgutil.walk_packages(av_tagger.__path__, "av_tagger.")]
wanted = [name for name in wanted if not name.startswith(("av_tagger.bench", "av_tagger.studies"))]
for name in wanted:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(wanted))
"""

RUN = """
import sys
from pathlib import Path
from av_tagger import systems
from av_tagger.clip import Clip
from av_tagger.errors import UsageError
from av_tagger.media import DecoderPool
from av_tagger.media.decoder_pool import CAN_ISOLATE
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, run
from tests.fakes import FakeWorkerFactory, touch
folder = Path(sys.argv[1])
assert not CAN_ISOLATE
windows = list(DecoderPool().windows(Clip(folder / "a.wav"), DecodeRequest()))
assert windows[0].waveform is not None
paths = touch(folder / "in", ["1.mp4", "2-bad.mp4", "3.mp4"])
engine = InProcessEngine(FakeWorkerFactory()(), Concurrency())
refused = []
def second(_):
    try:
        run(RunRequest(folder / "run", [Item(Clip(p)) for p in paths], "fake"), engine)
    except UsageError as error:
        refused.append(error)
summary = run(RunRequest(folder / "run", [Item(Clip(p)) for p in paths], "fake"), engine, second)
assert refused, "the lock works"
print(summary.counts.done, summary.counts.failed)
"""

# Python's module for Windows; only what the lock of a file needs.
MSVCRT = """
import types
held = set()
msvcrt = types.ModuleType("msvcrt")
msvcrt.LK_NBLCK = 2
def locking(descriptor, mode, size):
    held_now = {key: fd for key, fd in held if _is_open(fd, key)}
    key = os.fstat(descriptor).st_ino
    if key in held_now:
        raise PermissionError(13, "Permission denied")
    held.add((key, descriptor))
def _is_open(descriptor, key):
    try:
        return os.fstat(descriptor).st_ino == key
    except OSError:
        return False
msvcrt.locking = locking
sys.modules["msvcrt"] = msvcrt
"""


def as_on_windows(code: str, *words: object) -> str:
    """Output of a process in which what Windows lacks is missing; `systems` is loaded after."""
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS + MSVCRT + code, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},  # nothing is compiled into the package
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_can_be_imported_without_posix() -> None:
    assert int(as_on_windows(IMPORT_ALL)) > 150


def test_a_run_without_posix_decodes_in_its_own_process(tmp_path: Path) -> None:
    from tests.assets import make_audio

    make_audio(tmp_path / "a.wav")
    assert as_on_windows(RUN, tmp_path).split() == ["2", "1"]


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8)],
)
def test_the_quota_of_a_container_counts(
    quota: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda self: quota)
    assert systems.available_cores() == cores


def test_systems_without_these_calls_have_fallbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert systems.available_cores() == 6
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert systems.physical_memory() == 8 << 30


def test_this_machine_has_cores_and_memory() -> None:
    assert systems.available_cores() >= 1
    assert systems.physical_memory() > 1 << 28


@pytest.mark.parametrize("memfd", [True, False])
def test_memory_without_a_name_can_be_mapped(memfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if memfd and not hasattr(os, "memfd_create"):
        pytest.skip("this system has no memfd_create")
    if not memfd:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = systems.anonymous_file()
    os.ftruncate(descriptor, 8)
    with mmap.mmap(descriptor, 8) as one, mmap.mmap(descriptor, 8) as other:
        one[:3] = b"abc"
        assert other[:3] == b"abc"
    os.close(descriptor)


def test_a_lock_is_held_by_one_and_ends_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("ab") as first, path.open("ab") as second:
        assert systems.lock_now(first)
        assert not systems.lock_now(second)
    with path.open("ab") as third:
        systems.lock_when_free(third)


def test_the_address_space_can_be_limited() -> None:
    code = (
        "import numpy as np; from av_tagger import systems\n"
        "print(systems.limit_address_space(4 << 30))\n"
        "try: np.zeros(8 << 30, np.uint8)\nexcept MemoryError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "refused"]
