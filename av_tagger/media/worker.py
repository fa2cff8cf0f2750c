"""The process that decodes: it obeys its owner's socket (its standard input) and may die at any time."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

from av_tagger.errors import AvTaggerError, MediaError, sentence
from av_tagger.media.transport import SharedMemory, receive, send

SPARE_SECONDS = (
    5.0  # how long after its owner's patience a worker ends itself, should its owner be gone
)


def find(target: str) -> Callable[..., Any]:
    """`package.module:name`, as named by code of ours (never by a user's file)."""
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


class Worker:
    """Answers `open`, `next` and `call`, one at a time: it decodes only what was asked for."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.memory = SharedMemory()
        self.windows: Iterator[Any] = iter(())

    def serve(self) -> None:
        while True:
            try:
                verb, limit, released, *rest = receive(self.channel)
            except (EOFError, ConnectionError):
                return
            # The system's own alarm ends a decoder that hangs with the interpreter's lock held, even when nobody is left to kill it.
            signal.setitimer(signal.ITIMER_REAL, limit + SPARE_SECONDS)
            self.memory.take_back(released)
            try:
                answer = self.answer(verb, rest)
            except MemoryError:
                answer = ("failed", "MemoryError", "", "", "")
            except MediaError as error:
                answer = (
                    "failed",
                    type(error).__name__,
                    str(error.path),
                    error.reason,
                    remedy_of(error),
                )
            except AvTaggerError as error:
                answer = ("refused", type(error).__name__, str(error))
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(self.channel, answer, self.memory)
            del answer  # its block is used again as soon as its owner lets it go, too

    def answer(self, verb: str, rest: list[Any]) -> Any:
        if verb == "call":
            target, arguments = rest
            return ("value", find(target)(*arguments))
        if verb == "open":
            target, name, clip, request = rest
            self.windows = find(target)(name, self.memory.allocate).windows(clip, request)
        media = next(self.windows, None)
        return ("end",) if media is None else media


def remedy_of(error: MediaError) -> str:
    return str(error).removeprefix(sentence(error.path, error.reason)).removeprefix("; ")


def limit_memory() -> None:
    """A file that asks for more than the machine has gets a MemoryError, not the machine."""
    try:
        import resource

        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        resource.setrlimit(
            resource.RLIMIT_AS, (physical, resource.getrlimit(resource.RLIMIT_AS)[1])
        )
    except (ImportError, OSError, ValueError):
        return


def keep_freed_memory() -> None:
    """A picture's memory goes back to the allocator, not to the system and back for every frame (glibc only)."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 26)  # M_MMAP_THRESHOLD: 64 MiB
        libc.mallopt(-1, 1 << 26)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        return


def main() -> None:
    keep_freed_memory()
    sys.path[:0] = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to handle
    limit_memory()
    with socket.socket(fileno=os.dup(0)) as channel:
        Worker(channel).serve()


if __name__ == "__main__":
    main()
