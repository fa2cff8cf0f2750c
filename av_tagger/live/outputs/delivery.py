"""Events for other programs: delivered by a thread, tried again, never blocking the stream."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from av_tagger.live.lines import LineKind, LiveLine, as_document
from av_tagger.live.run import PlainOutput

ALARMS = (LineKind.OPEN, LineKind.CLOSE)
QUEUE_LINES = 10_000
COMMAND_SECONDS, POST_SECONDS, CLOSE_SECONDS = 30.0, 10.0, 15.0
LONGEST_PAUSE = 60.0

Deliver = Callable[[bytes], None]
Complain = Callable[[str], None]


class Delivery(PlainOutput):
    """Each event as JSON to `deliver`. What fails is tried again, in order, with growing pauses.

    `tries`: after so many an event is given up; None: never, until the stream has ended.
    """

    def __init__(
        self, name: str, deliver: Deliver, complain: Complain, tries: int | None = None
    ) -> None:
        self.name, self.deliver, self.complain, self.tries = name, deliver, complain, tries
        self.first_pause = 1.0
        self.lost = 0
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_LINES)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self, line: LiveLine) -> None:
        if line.kind not in ALARMS:
            return
        try:
            self._queue.put_nowait(json.dumps(as_document(line), allow_nan=False).encode())
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Wait a little for what is still to be delivered."""
        self._queue.put(None)
        self._thread.join(CLOSE_SECONDS)
        self._closing.set()
        left = self.lost + max(0, self._queue.qsize() - 1) + self._thread.is_alive()
        if left:
            self.complain(f"{self.name}: {left} events were not delivered")

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            if not self._delivered(data):
                self.lost += 1

    def _delivered(self, data: bytes) -> bool:
        tried = 0
        while not self._closing.is_set():
            try:
                self.deliver(data)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                tried += 1
                if tried == 1:
                    self.complain(f"{self.name}: {_words(error)}")
                if self.tries is not None and tried >= self.tries:
                    return False
                self._closing.wait(min(self.first_pause * 2 ** (tried - 1), LONGEST_PAUSE))
                continue
            return True
        return False


def command_output(words: Sequence[str], complain: Complain) -> Delivery:
    """A program per event, which gets it on standard input; no shell is involved."""

    def deliver(data: bytes) -> None:
        subprocess.run(  # noqa: S603
            list(words),
            input=data + b"\n",
            timeout=COMMAND_SECONDS,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    return Delivery(words[0], deliver, complain, tries=1)


def webhook_output(url: str, complain: Complain) -> Delivery:
    """A POST request per event."""

    def deliver(data: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "av-tag"}
        request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=POST_SECONDS) as answer:  # noqa: S310
            answer.read()

    return Delivery(url, deliver, complain)


def _words(error: BaseException) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"ended with exit code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"took longer than {error.timeout:g} s and was ended"
    if isinstance(error, urllib.error.HTTPError):
        return f"was answered with {error.code} {error.reason}; trying again"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return f"cannot be reached ({reason})"
