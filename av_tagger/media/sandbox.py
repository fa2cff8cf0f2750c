"""Fewer rights for a decoding process (Linux): it writes no file, opens no socket, runs no program.

A crafted file may take over the library that decodes it. It can then still read what the user can
read, but what it reads has no way out except as the pictures and sound of that file.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from av_tagger.systems import no_core_dumps

SWITCH = "AV_TAGGER_SANDBOX"  # "off" keeps all rights
EACCES = 13

# prctl(2), landlock(7), seccomp(2): the numbers of Linux's headers.
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # on every architecture
WRITE_FILE, IOCTL_DEV = 1 << 1, 1 << 15
# By version of Landlock: execute, write, remove, make (1), refer (2), truncate (3), ioctl (5).
FILE_RIGHTS = {1: 0x1FF3, 2: 0x3FF3, 3: 0x7FF3, 5: 0xFFF3}
BIND_AND_CONNECT = 3  # TCP, version 4
SOCKETS_AND_SIGNALS = 3  # abstract sockets and signals to other processes, version 6
RULE_PATH_BENEATH, VERSION_FLAG = 1, 1
FILTER_MODE, SPEC_ALLOW = 1, 1 << 2  # SPEC_ALLOW: no slower branch prediction
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF instructions
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | EACCES
X32 = 0x40000000  # calls of x86-64's second interface, with other numbers


@dataclass(frozen=True)
class Architecture:
    """Numbers of system calls on one processor family, and how seccomp names it."""

    audit: int
    seccomp: int
    refused: tuple[int, ...]


# In this order: socket, connect, accept, bind, listen, accept4 (network); execve, execveat
# (programs); ptrace, process_vm_readv, process_vm_writev, pidfd_getfd (other processes); mount,
# umount2, unshare, setns (name spaces); add_key, request_key, keyctl, bpf, perf_event_open,
# userfaultfd, open_by_handle_at, io_uring_setup (parts of the kernel with a history of holes).
ARCHITECTURES = {
    "x86_64": Architecture(
        0xC000003E,
        317,
        (
            *(41, 42, 43, 49, 50, 288),
            *(59, 322),
            *(101, 310, 311, 438),
            *(165, 166, 272, 308),
            *(248, 249, 250, 321, 298, 323, 304, 425),
        ),
    ),
    "aarch64": Architecture(
        0xC00000B7,
        277,
        (
            *(198, 203, 202, 200, 201, 242),
            *(221, 281),
            *(117, 270, 271, 438),
            *(40, 39, 97, 268),
            *(217, 218, 219, 280, 241, 282, 265, 425),
        ),
    ),
}


@dataclass(frozen=True)
class Sandbox:
    """What a process has given up. All of it holds until the process ends, for its children too."""

    landlock: int = 0  # version; 0: it may write files
    seccomp: bool = False  # else it may open sockets and run programs

    def __str__(self) -> str:
        files = f"writes no files (Landlock {self.landlock})" if self.landlock else ""
        calls = "no network and no programs (seccomp)" if self.seccomp else ""
        return ", ".join(filter(None, (files, calls))) or "the rights of the user"


_entered = Sandbox()


def entered() -> Sandbox:
    """What this process has given up so far."""
    return _entered


def enter() -> Sandbox:
    """Give up what decoding does not need; silently less where the kernel does not support it."""
    global _entered  # noqa: PLW0603 - a process can do this once
    if sys.platform != "linux" or os.environ.get(SWITCH) == "off":
        return _entered
    no_core_dumps()
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        _call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _entered = Sandbox(_restrict_files(libc.syscall), _filter_calls(libc))
    return _entered


def _call(function: Any, *arguments: Any) -> int:
    """Call a C function; OSError if it returns -1."""
    found = function(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(found)


def _restrict_files(syscall: Any) -> int:
    """No writing below any folder, but to /dev/null; returns Landlock's version, 0 without it."""
    with suppress(OSError):
        version = _call(syscall, LANDLOCK_CREATE, None, 0, VERSION_FLAG)
        files = FILE_RIGHTS[max(v for v in FILE_RIGHTS if v <= version)]
        network = BIND_AND_CONNECT if version >= 4 else 0
        scope = SOCKETS_AND_SIGNALS if version >= 6 else 0
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        rules = struct.pack("<QQQ", files, network, scope)[:size]
        ruleset = _call(syscall, LANDLOCK_CREATE, rules, size, 0)
        try:
            _allow_null(syscall, ruleset, files)
            _call(syscall, LANDLOCK_RESTRICT, ruleset, 0)
        finally:
            os.close(ruleset)
        return version
    return 0


def _allow_null(syscall: Any, ruleset: int, files: int) -> None:
    """Some libraries open /dev/null for writing."""
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        rule = struct.pack("<Qi", files & (WRITE_FILE | IOCTL_DEV), null)
        _call(syscall, LANDLOCK_ADD, ruleset, RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(null)


class _Instructions(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("count", ctypes.c_ushort), ("first", ctypes.c_char_p))


def _filter_calls(libc: Any) -> bool:
    """System calls for networks, programs and other processes fail with "permission denied"."""
    known = ARCHITECTURES.get(platform.machine())
    if known is None or struct.calcsize("P") != 8:
        return False
    code = _filter(known)
    program = ctypes.byref(_Instructions(len(code) // 8, code))
    try:
        _call(libc.syscall, known.seccomp, FILTER_MODE, SPEC_ALLOW, program)
    except OSError:
        try:  # before Linux 4.17
            _call(libc.prctl, PR_SET_SECCOMP, FILTER_MODE + 1, program, 0, 0)
        except OSError:
            return False
    return True


def _filter(known: Architecture) -> bytes:
    """BPF: other architectures and the listed calls are refused, everything else is allowed."""
    refused = known.refused
    last = len(refused) + 1  # distance from the first comparison to the last instruction, REFUSE
    steps = [
        (LOAD, 0, 0, 4),  # seccomp_data.arch
        (JUMP_IF_EQUAL, 0, last + 2, known.audit),
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (JUMP_IF_AT_LEAST, last, 0, X32),
        *((JUMP_IF_EQUAL, last - 1 - i, 0, number) for i, number in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
