"""One mutant: read it, and say whether what happened is what a user may see."""

from __future__ import annotations

import re
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from av_tagger.bench.fuzz.kinds import FileKind
from av_tagger.errors import AvTaggerError, TimedOut
from av_tagger.media.decode_process import DecoderDefect, DecoderKilled

READ_SECONDS = 30.0  # for a file of some kilobytes that is read in this process
LONGEST_MESSAGE = 1200
HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent
MOST_TRIES = 120  # to make a finding smaller


class TooSlow(BaseException):
    """A mutant that takes longer than a file of its size may."""


@dataclass(frozen=True)
class Ending:
    """How reading a mutant ended: with a result or an error in few words, or with a bug."""

    words: str
    bug: bool = False
    detail: str = ""  # the traceback


def examine(kind: FileKind, path: Path) -> Ending:
    """Read the file; only a result, or one sentence that names the file, is right."""
    try:
        with _time_limit(READ_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("error")
            return Ending(kind.read(path))
    except (DecoderDefect, DecoderKilled) as error:
        trace = getattr(error, "traceback", "")
        return Ending(f"{type(error).__name__} {_place_in(trace)}", True, f"{error}\n{trace}")
    except TimedOut as error:
        return Ending("TimedOut", True, str(error))
    except AvTaggerError as error:
        return _told(kind, path, error)
    except (Exception, TooSlow) as error:  # noqa: BLE001 - all others are bugs
        place = _place_in("".join(traceback.format_tb(error.__traceback__)))
        return Ending(f"{type(error).__name__} {place}", True, traceback.format_exc())


def smaller(kind: FileKind, path: Path, parent: bytes, found: Ending) -> bytes:
    """The mutant with as few changes of its parent as give the same finding."""
    best = path.read_bytes()
    trial = path.with_name(f"smaller{kind.suffix}")
    tries = 0

    def same(data: bytes) -> bool:
        nonlocal tries
        tries += 1
        trial.write_bytes(data)
        return examine(kind, trial).words == found.words

    for candidate in _reverted(best, parent):
        changed = candidate(best)
        if changed != best and tries < MOST_TRIES and same(changed):
            best = changed
    trial.unlink(missing_ok=True)
    return best


def _reverted(data: bytes, parent: bytes) -> Iterator[Callable[[bytes], bytes]]:
    """Ever smaller parts, put back to the parent's bytes where lengths agree, else left out."""
    size = max(1, len(data) // 2)
    while size >= 1 and size > len(data) // 64:
        for start in range(0, len(data), size):
            if len(data) == len(parent):
                yield _part_of(parent, start, size)
            else:
                yield _without(start, size)
        size //= 2


def _part_of(parent: bytes, start: int, size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:start] + parent[start : start + size] + data[start + size :]


def _without(start: int, size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:start] + data[start + size :]


def _told(kind: FileKind, path: Path, error: AvTaggerError) -> Ending:
    """An error for the user: one line, not too long, with the name of the file."""
    text = str(error)
    template = re.sub(
        r"\d+",
        "0",
        text.replace(str(path), "FILE").replace(path.name, "FILE").replace(str(path.parent), "DIR"),
    )
    words = f"{type(error).__name__}: {template[:60]}"
    if not text.isprintable():
        return Ending(f"not one line, {words}", True, repr(text))
    if len(text) > LONGEST_MESSAGE:
        return Ending(f"{len(text)} characters, {words}", True, text[:LONGEST_MESSAGE])
    if kind.names_file and path.name not in text:
        return Ending(f"no file named, {words}", True, text)
    return Ending(words)


def _place_in(trace: str) -> str:
    """The last line of our own code in a traceback."""
    lines = re.findall(r'File "([^"]+)", line (\d+)', trace)
    ours = [
        f"{Path(name).relative_to(PACKAGE)}:{line}"
        for name, line in lines
        if Path(name).is_relative_to(PACKAGE) and Path(name).name != Path(__file__).name
    ]
    return ours[-1] if ours else "?"


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """TooSlow in the main thread, where the system has timers."""

    def ring(*_: object) -> None:
        raise TooSlow(f"took longer than {seconds:g} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
