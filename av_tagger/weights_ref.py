"""A weights file as plain data: its path, its checksum, how to find it on other machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from av_tagger import weights
from av_tagger.checksums import sha256_of
from av_tagger.errors import WeightsError, sentence
from av_tagger.path_checks import is_file


@dataclass(frozen=True)
class WeightsRef:
    """Names a weights file without opening it; travels to other processes and machines."""

    filename: str
    path: Path | None = None  # None: not on this machine yet
    sha256: str = ""  # empty: unknown until it is downloaded, or too large to read
    entry: str = ""  # its name in the catalogue; empty: a file of the user's own
    size: int | None = None  # bytes, of a file that is too large for a checksum

    @property
    def identity(self) -> str:
        """Differs where the content differs; part of a run's fingerprint."""
        return self.sha256 or f"{self.filename}, {self.size} bytes"

    def here(self, fetch: Callable[[], Path] | None = None) -> Path:
        """The same file on this machine: at its path, among the other weights, or from `fetch`."""
        known = weights.locate(self.entry) if self.entry else weights.find(self.filename)
        candidates = [self.path, known]
        found = [path for path in candidates if path is not None and path.is_file()]
        same = next((path for path in found if self._is_same(path)), None)
        if same is not None:
            return same
        if found:
            raise WeightsError(
                sentence(
                    found[0], "is not the file of this run", "give every machine the same file"
                )
            )
        if fetch is None:
            raise WeightsError(no_such_file(self.path or Path(self.filename)))
        return fetch()

    def _is_same(self, path: Path) -> bool:
        if self.size is not None:
            return path.stat().st_size == self.size
        return not self.sha256 or sha256_of(path) == self.sha256


def of_file(path: Path, entry: str = "") -> WeightsRef:
    """A file that must be there."""
    if not is_file(path):
        raise WeightsError(no_such_file(path))
    filename = weights.entry(entry).filename if entry else path.name
    return WeightsRef(filename, path, sha256_of(path), entry)


def by_size(path: Path) -> WeightsRef:
    """A file of gigabytes, told from others by its name and size."""
    return WeightsRef(path.name, path, size=path.stat().st_size)


def of_entry(name: str) -> WeightsRef:
    """A file of the catalogue, on this machine or not; a damaged one is an error.

    An incomplete download counts as missing, because the next download replaces it.
    """
    file, path = weights.entry(name), weights.locate(name)
    whole = path is not None and weights.is_plausible(file, path)
    replaceable = path is not None and path.parent == weights.cache_folder() and file.urls
    if path is None or (not whole and replaceable):
        return WeightsRef(file.filename, None, file.sha256, name)
    found = of_file(path, name)
    if not whole or file.sha256 not in ("", found.sha256):
        raise WeightsError(weights.damaged(name, path))
    return found


def no_such_file(path: Path) -> str:
    return sentence(path, "there is no such weights file", "check it, or see `av-tag weights list`")
