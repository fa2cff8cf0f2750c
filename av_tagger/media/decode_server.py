"""The decoding process: answers requests from a socket (its standard input) until it is killed.

Its first argument is the number of a second socket, for small JPEGs of the windows it has sent; the
others are folders to import from.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from av_tagger.clip import Media
from av_tagger.errors import AvTaggerError, MediaError
from av_tagger.media import sandbox
from av_tagger.media.picture_channel import serve_pictures
from av_tagger.media.transport import SharedBlocks, receive, send
from av_tagger.systems import (
    container_memory,
    keep_freed_memory,
    limit_address_space,
    set_alarm,
)

GRACE_SECONDS = 5.0  # this long after the client's time limit the server ends itself
LEAST_MEMORY = 2 << 30  # of address space; libraries and 4K pictures fit


def import_target(target: str) -> Callable[..., Any]:
    """The function `package.module:name`; only our own code names targets, no user's file."""
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


class DecodeServer:
    """Answers `open`, `next` and `call`, one at a time; decodes only the requested window."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.memory = SharedBlocks()
        self.windows: Iterator[Any] = iter(())

    def serve(self) -> None:
        while True:
            try:
                verb, limit_seconds, released, *rest = receive(self.channel)
            except (EOFError, ConnectionError):
                return
            # The kernel's timer also ends a decoder that hangs with the GIL held and has no client.
            set_alarm(limit_seconds + GRACE_SECONDS)
            self.memory.take_back(released)
            answer = self.answer_or_error(verb, rest)
            set_alarm(0)
            send(self.channel, answer, self.memory)
            if isinstance(answer, Media) and answer.is_last:
                self.windows = iter(())  # closes the file: the client does not ask again
            del answer  # frees its block as soon as the client releases it, too

    def answer_or_error(self, verb: str, rest: list[Any]) -> Any:
        """The answer, or a tuple that the client turns back into the same error."""
        try:
            return self.answer(verb, rest)
        except MemoryError:
            return ("failed", "MemoryError", "", "", "")
        except MediaError as error:
            return ("failed", type(error).__name__, str(error.path), error.reason, error.remedy)
        except AvTaggerError as error:
            return ("refused", type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - a bug of ours: reported with its traceback
            self.windows = iter(())
            return ("defect", f"{type(error).__name__}: {error}", traceback.format_exc())

    def answer(self, verb: str, rest: list[Any]) -> Any:
        if verb == "call":
            target, arguments = rest
            return ("value", import_target(target)(*arguments))
        if verb == "open":
            target, name, clip, request = rest
            backend = import_target(target)(name, self.memory.allocate)
            self.windows = backend.windows(clip, pickle.loads(request))  # noqa: S301 - our own
        media = next(self.windows, None)
        return ("end",) if media is None else media


def memory_share() -> int:
    """Bytes for one decoder: a run has about one per core, and all of them share the machine."""
    return max(LEAST_MEMORY, container_memory() // (os.cpu_count() or 1))


def main() -> None:
    keep_freed_memory()
    sys.path[:0] = sys.argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client handles Ctrl-C
    limit_address_space(memory_share())
    sandbox.enter()
    with socket.socket(fileno=os.dup(0)) as channel:
        server = DecodeServer(channel)
        pictures = socket.socket(fileno=int(sys.argv[1]))
        arguments = (pictures, server.memory)
        threading.Thread(target=serve_pictures, args=arguments, daemon=True).start()
        server.serve()


if __name__ == "__main__":
    main()
