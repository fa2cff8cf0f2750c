"""Which decoders there are, and which of them are allowed where."""

from __future__ import annotations

from collections.abc import Callable

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.media.windows import Allocate
from av_tagger.protocols import MediaBackend

DEFAULT = "pyav"


def make_backend(name: str, allocate: Allocate | None = None) -> MediaBackend:
    """A decoder in this very process: for workers, benchmarks and files that are trusted."""
    if name not in BACKENDS:
        raise UsageError(f"there is no decoder {name!r}; {did_you_mean(name, BACKENDS)}")
    return BACKENDS[name](allocate)


def _pyav(allocate: Allocate | None) -> MediaBackend:
    from av_tagger.media.backends.pyav import PyAV

    return PyAV(allocate)


def _decord(allocate: Allocate | None) -> MediaBackend:
    from av_tagger.media.backends.decord import Decord

    return Decord(allocate)


BACKENDS: dict[str, Callable[[Allocate | None], MediaBackend]] = {"pyav": _pyav, "decord": _decord}
