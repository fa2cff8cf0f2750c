"""The table of decoding libraries, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from av_tagger.clip import MediaInfo
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.media.windows import Allocate
from av_tagger.protocols import MediaBackend

DEFAULT = "pyav"


def make_backend(name: str, allocate: Allocate | None = None) -> MediaBackend:
    """A decoder that runs in this process: no time limit, and a crash ends the program."""
    check_name(name)
    return BACKENDS[name](allocate)


def probe_file(name: str, path: Path) -> MediaInfo:
    """What the container says about the file; runs in decoding processes."""
    return make_backend(name).probe(path)


def check_backend(name: str) -> None:
    """Refuse an unknown decoder, and one whose library is missing; PyAV is a dependency."""
    check_name(name)
    if name != DEFAULT:
        make_backend(name)


def check_name(name: str) -> None:
    if name not in BACKENDS:
        raise UsageError(f"there is no decoder {name!r}; {did_you_mean(name, BACKENDS)}")


def _pyav(allocate: Allocate | None) -> MediaBackend:
    from av_tagger.media.backends.pyav import PyAV

    return PyAV(allocate)


def _decord(allocate: Allocate | None) -> MediaBackend:
    from av_tagger.media.backends.decord import Decord

    return Decord(allocate)


BACKENDS: dict[str, Callable[[Allocate | None], MediaBackend]] = {"pyav": _pyav, "decord": _decord}
