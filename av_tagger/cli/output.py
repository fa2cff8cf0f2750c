"""Text that a terminal does not obey, and a standard output that cannot be written."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

from av_tagger.cli.wrapping import wrapped

CANNOT_WRITE = 3  # exit code: standard output is full or closed
CLOSED_PIPE = 141  # exit code: the reader of a pipe is gone; 128 + SIGPIPE, as shells report it
OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # categories that terminals obey or refuse


def visible(text: str, keep: str = "") -> str:
    """Control characters, such as those of a file name, as escapes: a terminal would obey them.

    Also what turns text around or has no form in UTF-8. Characters in `keep` stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c
        if c in keep or unicodedata.category(c) not in OBEYED
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def print_error(text: str) -> None:
    """Print a sentence to stderr, wrapped on a terminal; needs none of the libraries of colour."""
    message = f"av-tag: {visible(text, keep=chr(10))}"
    width = _terminal_width(sys.stderr)
    lines = [message] if width is None else wrapped(message, width)
    print("\n".join(lines), file=sys.stderr)


def _terminal_width(stream: Any) -> int | None:
    """Columns of a terminal, of COLUMNS if that is set; None for a file or a pipe."""
    if not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() else os.get_terminal_size(stream.fileno()).columns


class OutputError(Exception):
    """Standard output cannot be written; no OSError, some of which rich and Typer swallow."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror or str(cause))
        self.closed_pipe = isinstance(cause, BrokenPipeError)


class _RawOutput(io.RawIOBase):
    """Writes to a file descriptor; an error of stdout is an OutputError, one of stderr nothing."""

    def __init__(self, descriptor: int, *, ignore: bool) -> None:
        self.descriptor, self.ignore = descriptor, ignore

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def write(self, data: Any) -> int:
        try:
            return os.write(self.descriptor, data)
        except OSError as error:
            if self.ignore:
                return len(data)
            raise OutputError(error) from error


@contextlib.contextmanager
def guarded_output() -> Iterator[None]:
    """Within the block, errors of stdout are OutputErrors, and those of stderr are ignored.

    Streams that are no files, such as those of a test or a notebook, and terminals stay as they
    are.
    """
    _occupy_standard_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout = _guarded(sys.stdout, 1, ignore=False)
    sys.stderr = _guarded(sys.stderr, 2, ignore=True)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


def _guarded(stream: Any, descriptor: int, *, ignore: bool) -> Any:
    """The stream on a guarded descriptor; None is what Python has for one that is closed."""
    if stream is None:
        encoding, errors = "utf-8", "backslashreplace"
    elif type(stream) is io.TextIOWrapper and not stream.isatty() and _is(stream, descriptor):
        stream.flush()
        encoding, errors = stream.encoding, stream.errors or "strict"
    else:
        return stream
    raw = _RawOutput(descriptor, ignore=ignore)
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding=encoding, errors=errors, line_buffering=ignore)


def _is(stream: io.TextIOWrapper, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):
        return False


def _occupy_standard_descriptors() -> None:
    """Open closed ones, for reading: else the next file, such as a journal, would get output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest free number
