"""What differs between operating systems: the only module that calls what Windows does not have."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

CAN_SHARE_MEMORY = hasattr(socket, "AF_UNIX") and hasattr(socket, "send_fds")  # not on Windows
KILL: signal.Signals = getattr(signal, "SIGKILL", signal.SIGTERM)  # cannot be ignored
KILLED_FROM_OUTSIDE = frozenset({signal.SIGTERM, KILL})
# Options of mallopt, in malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
USUAL_MEMORY = 8 << 30  # where the system does not say


# Processors and memory.


def available_cores() -> int:
    """Cores that this process may use: affinity and container quota count."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def _quota() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return None


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return USUAL_MEMORY


def container_memory() -> int:
    """Bytes of memory of this container, or of the machine if it has no limit."""
    physical = physical_memory()
    with suppress(OSError, ValueError):  # "max" is no limit
        return min(physical, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return physical


def limit_address_space(most: int) -> bool:
    """Allocations of this process beyond that raise MemoryError; False if that is impossible."""
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (ImportError, AttributeError, OSError, ValueError):
        return False
    return True


def no_core_dumps() -> None:
    """A crash of this process writes no copy of its memory."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def tune_malloc(options: Mapping[int, int]) -> None:
    """Set options of glibc's allocator; with another C library nothing happens."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: None names no library on Windows
        return
    for option, value in options.items():
        mallopt(option, value)


def keep_freed_memory() -> None:
    """Reuse freed picture buffers instead of returning them to the kernel per frame."""
    tune_malloc({M_MMAP_THRESHOLD: 1 << 26, M_TRIM_THRESHOLD: 1 << 26})


# Processes and signals.


def set_alarm(seconds: float) -> None:
    """End this process after that time, whatever it does; 0 takes the alarm back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def signal_when_closed(reader: int, pid: int) -> None:
    """Let the kernel send SIGIO to a process when the write end of this pipe closes."""
    with suppress(ImportError, OSError, AttributeError):
        import fcntl

        fcntl.fcntl(reader, fcntl.F_SETOWN, pid)
        flags = fcntl.fcntl(reader, fcntl.F_GETFL)
        fcntl.fcntl(reader, fcntl.F_SETFL, flags | os.O_ASYNC)


def lower_priority(by: int) -> None:
    """Let other programs go first."""
    with suppress(AttributeError, OSError):
        os.nice(by)


@contextlib.contextmanager
def usual_priority() -> Iterator[None]:
    """Restore the scheduling policy: as root, SVT-AV1 leaves the process in real time."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, given = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, given)


# Files.


def anonymous_file() -> int:
    """A file descriptor of memory without a name: freed when the processes end."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("av_tagger")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def send_with_files(channel: socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    """Send bytes and open files to another process."""
    sent = socket.send_fds(channel, [data], descriptors) if descriptors else 0
    if sent < len(data):
        channel.sendall(memoryview(data)[sent:])


def receive_with_files(channel: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """Up to `size` bytes, and at most one open file."""
    data, descriptors, _, _ = socket.recv_fds(channel, size, 1)
    return data, descriptors


def lock_now(file: IO[bytes]) -> bool:
    """Lock a file for this process until it is closed; False if another process has the lock."""
    try:
        _lock(file, wait=False)
    except (BlockingIOError, PermissionError):
        return False
    return True


def lock_when_free(file: IO[bytes]) -> None:
    """Wait for the lock of a file; it is held until the file is closed or the process ends."""
    _lock(file, wait=True)


try:
    import fcntl

    def _lock(file: IO[bytes], *, wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

except ImportError:  # Windows
    import msvcrt

    def _lock(file: IO[bytes], *, wait: bool) -> None:
        while True:
            file.seek(0)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            except OSError:
                if not wait:
                    raise
                time.sleep(0.1)
            else:
                return
