"""Test doubles of the disk and the clock that fail at a chosen step.

The disk's steps are counted below one folder: what Python does (open, write, rename, remove, make
a folder, look) and what SQLite does (open, read, write, sync, cut, remove), which is reached
through a wrapper around its file layer.
"""

from __future__ import annotations

import _sqlite3
import builtins
import ctypes
import errno
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

import pytest

from av_tagger.runner.profiler import Profiler

Undo = tuple[int, bytes, int]  # offset, what was there, size of the file

OK, IOERR_SHORT_READ = 0, 522
# Error codes of SQLite, by step.
CODES = {"open": 14, "remove": 2570, "read": 266, "write": 778, "cut": 1546, "sync": 1034}
FULL = 13


class FaultyDisk:
    """Counts steps; step `at` fails: alone, with all that follow, or as if the power went.

    "once": an error that passes. "gone": the disk stays away, as after a kill. "full": only
    writing fails, from then on. "power": as "gone", and what was not synced is lost.
    """

    def __init__(self, folder: Path, at: int = 0, how: str = "once") -> None:
        self.folder, self.at, self.how = str(folder), at, how
        self.steps: list[str] = []
        self.undo: dict[str, list[Undo]] = {}  # of SQLite's files, since their last sync
        self._lock = threading.Lock()

    def fails(self, step: str) -> bool:
        with self._lock:
            self.steps.append(step)
            number = len(self.steps)
        if self.at == 0 or number < self.at:
            return False
        if self.how == "full":
            return step in ("write", "make", "sync")
        return number == self.at or self.how != "once"

    def covers(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.folder)

    def lose_unsynced(self) -> None:
        """After the power went: SQLite's files as they were at their last sync."""
        for name, undo in self.undo.items():
            if not Path(name).exists():
                continue
            with Path(name).open("r+b") as file:
                for offset, before, size in reversed(undo):
                    file.seek(offset)
                    file.write(before)
                    file.truncate(size)
        for shared in Path(self.folder).rglob("*-shm"):
            shared.unlink()  # it is memory


class _File(io.FileIO):
    """A file of Python on the faulty disk."""

    disk: FaultyDisk

    def write(self, data: Any) -> int:
        if self.disk.fails("write"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def _opener(disk: FaultyDisk) -> Callable[..., Any]:
    """`open` with a step for the call and one for each write."""
    real_open = builtins.open

    def opened(path: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        if not disk.covers(path):
            return real_open(path, mode, buffering, *rest, **named)
        if disk.fails("open"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
        if not set(mode) & set("wa+x"):
            return real_open(path, mode, buffering, *rest, **named)
        raw = _File(path, mode.replace("b", "").replace("t", ""))
        raw.disk = disk
        if buffering == 0:
            return raw
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **named)

    return opened


def _stepped(disk: FaultyDisk, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def stepped(path: Any, *rest: Any, **named: Any) -> Any:
        if disk.covers(path) and disk.fails(name):
            raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
        return real(path, *rest, **named)

    return stepped


FUNCTIONS = {
    "look": ("stat", "listdir", "scandir"),
    "rename": ("rename", "replace"),
    "remove": ("unlink", "remove"),
    "make": ("mkdir",),
    "cut": ("truncate",),
}


def _python_steps(patch: pytest.MonkeyPatch, disk: FaultyDisk) -> None:
    opened = _opener(disk)
    patch.setattr(builtins, "open", opened)
    patch.setattr(io, "open", opened)
    for name, functions in FUNCTIONS.items():
        for function in functions:
            patch.setattr(os, function, _stepped(disk, name, getattr(os, function)))


# SQLite's file layer: struct sqlite3_vfs and struct sqlite3_io_methods, as far as needed here.

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_REMOVE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_TRANSFER = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_CUT = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_SIZE = CFUNCTYPE(c_int, c_void_p, POINTER(c_int64))
_POINTER = ctypes.sizeof(c_void_p)
_METHODS_BYTES = 19 * _POINTER
_VFS_BYTES = 21 * _POINTER
# Offsets: iVersion and szOsFile share the first word; then mxPathname, pNext, zName, pAppData.
_AT_NAME, _AT_OPEN, _AT_REMOVE = 3 * _POINTER, 5 * _POINTER, 6 * _POINTER
_METHODS = {"close": 1, "read": 2, "write": 3, "cut": 4, "sync": 5, "size": 6}  # words
STEPS = ("read", "write", "cut", "sync")


def _library() -> Any:
    """SQLite as Python has loaded it."""
    library = ctypes.CDLL(_sqlite3.__file__)
    if not hasattr(library, "sqlite3_vfs_find") or _POINTER != 8:
        pytest.skip("the SQLite of this Python cannot be wrapped")
    library.sqlite3_vfs_find.restype = c_void_p
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    library.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
    library.sqlite3_vfs_unregister.argtypes = [c_void_p]
    return library


def _word(address: int) -> Any:
    return c_void_p.from_address(address)


class SqliteLayer:
    """A file layer over the real one; `disk` is asked before every step."""

    def __init__(self) -> None:
        self.sqlite, self.disk = _library(), FaultyDisk(Path("/nowhere"))
        self.real = int(self.sqlite.sqlite3_vfs_find(None))
        self.copy = ctypes.create_string_buffer(ctypes.string_at(self.real, _VFS_BYTES))
        self.address = ctypes.addressof(self.copy)
        self.name = ctypes.create_string_buffer(b"faulty")
        _word(self.address + _AT_NAME).value = ctypes.addressof(self.name)
        self.real_open = _OPEN(int(_word(self.real + _AT_OPEN).value or 0))
        self.real_remove = _REMOVE(int(_word(self.real + _AT_REMOVE).value or 0))
        self._kept: list[Any] = [_OPEN(self._open), _REMOVE(self._remove)]
        for place, function in zip((_AT_OPEN, _AT_REMOVE), self._kept, strict=True):
            _word(self.address + place).value = ctypes.cast(function, c_void_p).value
        self.methods: dict[int, WrappedMethods] = {}  # by the address of the real ones
        self.names: dict[int, str] = {}  # of open files, by address

    @contextmanager
    def on(self, disk: FaultyDisk) -> Iterator[None]:
        self.disk = disk
        self.sqlite.sqlite3_vfs_register(self.address, 1)
        try:
            yield
        finally:
            self.sqlite.sqlite3_vfs_unregister(self.address)
            self.sqlite.sqlite3_vfs_register(self.real, 1)

    def _open(self, _: int, name: int, file: int, flags: int, out: int) -> int:
        path = os.fsdecode(ctypes.string_at(name)) if name else ""
        if path and self.disk.fails("open"):
            _word(file).value = None  # no methods: SQLite must not close it
            return CODES["open"]
        code = int(self.real_open(self.real, name, file, flags, out))
        if code == OK and path:
            self.names[file] = path
            real = int(_word(file).value or 0)
            if real not in self.methods:
                self.methods[real] = WrappedMethods(real, self)
            _word(file).value = self.methods[real].address
        return code

    def _remove(self, _: int, name: bytes, sync: int) -> int:
        if self.disk.fails("remove"):
            return CODES["remove"]
        self.disk.undo.pop(os.fsdecode(name), None)
        return int(self.real_remove(self.real, name, sync))


class WrappedMethods:
    """The methods of an open file of SQLite: a copy of the real table whose entries count steps."""

    def __init__(self, real: int, layer: SqliteLayer) -> None:
        self.layer = layer
        self.table = ctypes.create_string_buffer(ctypes.string_at(real, _METHODS_BYTES))
        self.address = ctypes.addressof(self.table)
        kinds = {"read": _TRANSFER, "write": _TRANSFER, "cut": _CUT, "sync": _SYNC, "size": _SIZE}
        self.real: dict[str, Any] = {
            name: kind(int(_word(real + _POINTER * _METHODS[name]).value or 0))
            for name, kind in kinds.items()
        }
        self.ours = {name: kinds[name](getattr(self, name)) for name in STEPS}
        for name, function in self.ours.items():
            place = _word(self.address + _POINTER * _METHODS[name])
            place.value = ctypes.cast(function, c_void_p).value

    def read(self, file: int, data: int, count: int, offset: int) -> int:
        return self._fault("read") or int(self.real["read"](file, data, count, offset))

    def write(self, file: int, data: int, count: int, offset: int) -> int:
        if code := self._fault("write"):
            return code
        self._remember(file, count, offset)
        return int(self.real["write"](file, data, count, offset))

    def cut(self, file: int, size: int) -> int:
        if code := self._fault("cut"):
            return code
        self._remember(file, 1 << 30, size)
        return int(self.real["cut"](file, size))

    def sync(self, file: int, flags: int) -> int:
        if code := self._fault("sync"):
            return code
        self.layer.disk.undo[self.layer.names[file]] = []
        return int(self.real["sync"](file, flags))

    def _fault(self, step: str) -> int:
        disk = self.layer.disk
        if not disk.fails(step):
            return OK
        return FULL if step == "write" and disk.how == "full" else CODES[step]

    def _remember(self, file: int, count: int, offset: int) -> None:
        """What a write or cut will replace."""
        size = c_int64()
        self.real["size"](file, ctypes.byref(size))
        count = max(0, min(count, size.value - offset))
        before = ctypes.create_string_buffer(count or 1)
        if count:
            self.real["read"](file, ctypes.addressof(before), count, offset)
        undo = self.layer.disk.undo.setdefault(self.layer.names[file], [])
        undo.append((offset, before.raw[:count], size.value))


@contextmanager
def faulty(layer: SqliteLayer, disk: FaultyDisk) -> Iterator[FaultyDisk]:
    """Within the block, files below the disk's folder are on that disk."""
    with pytest.MonkeyPatch.context() as patch, layer.on(disk):
        _python_steps(patch, disk)
        yield disk


CLOCKS = ("monotonic", "perf_counter", "time")


class JumpingClock:
    """All clocks of `time`; from reading `at` on they are off by `seconds`."""

    def __init__(self, at: int, seconds: float) -> None:
        self.at, self.seconds, self.readings = at, seconds, 0

    @contextmanager
    def running(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            wrapped = {getattr(time, n): self._wrapped(getattr(time, n)) for n in CLOCKS}
            for real, jumping in wrapped.items():
                patch.setattr(time, real.__name__, jumping)
            defaults = Profiler.__init__.__defaults__ or ()
            patch.setattr(
                Profiler.__init__, "__defaults__", tuple(wrapped.get(d, d) for d in defaults)
            )
            yield

    def _wrapped(self, real: Callable[[], float]) -> Callable[[], float]:
        def now() -> float:
            self.readings += 1
            return real() + (self.seconds if self.readings >= self.at else 0.0)

        return now
