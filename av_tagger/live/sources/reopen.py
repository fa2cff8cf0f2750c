"""Sources that break are opened again, with growing pauses; a thread reads ahead."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from av_tagger.errors import AvTaggerError, MediaError
from av_tagger.live.sources.base import SoundBlock, StreamBroken, StreamItem, StreamSource
from av_tagger.live.sources.container import shown
from av_tagger.protocols import DecodeRequest

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds; doubled after each failure
STALL_SECONDS = 20.0
QUEUE_ITEMS = 200


@dataclass(frozen=True)
class ReopenSettings:
    """When a source counts as broken, and when it is given up."""

    stall_seconds: float = STALL_SECONDS
    first_pause: float = FIRST_PAUSE
    longest_pause: float = LONGEST_PAUSE
    most_failures: int | None = None  # in a row; None: never given up
    sleep: Callable[[float], None] = time.sleep


class ReadAhead:
    """Items of a source, read by a thread of its own, so that a source that hangs hangs nothing."""

    def __init__(self, source: StreamSource, request: DecodeRequest, stall_seconds: float) -> None:
        self.source, self.stall_seconds = source, stall_seconds
        self._items: queue.Queue[StreamItem | BaseException | None] = queue.Queue(QUEUE_ITEMS)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(request,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[StreamItem]:
        try:
            while True:
                item = self._next()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.stop()

    def ready(self) -> Iterator[StreamItem | None]:
        """What is there, without waiting; None: the source has ended."""
        while True:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def stop(self) -> None:
        """Nothing is read any more."""
        self._stopped.set()

    def _next(self) -> StreamItem | BaseException | None:
        limit = self.stall_seconds if self.source.live else None
        try:
            return self._items.get(timeout=limit)
        except queue.Empty:
            name = shown(self.source.name)
            raise MediaError(name, f"has sent nothing for {limit:g} s", "check it") from None

    def _run(self, request: DecodeRequest) -> None:
        try:
            for item in self.source.items(request):
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001  (the reader raises it)
            self._put(error)

    def _put(self, item: StreamItem | BaseException | None) -> bool:
        """False once the reader has left."""
        while not self._stopped.is_set():
            try:
                self._items.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False


def reopened(
    source: StreamSource, request: DecodeRequest, settings: ReopenSettings | None = None
) -> Iterator[StreamItem]:
    """All items of a source. A live one is opened again after it broke or ended.

    An error before the first sound or picture is raised: the name or the access is wrong.
    """
    settings = settings or ReopenSettings()
    worked, failures = False, 0
    while True:
        text = "has ended"
        try:
            for item in ReadAhead(source, request, settings.stall_seconds):
                if isinstance(item, SoundBlock):
                    worked, failures = True, 0
                yield item
            if not source.live:
                return
        except AvTaggerError as error:
            if not source.live or not worked:
                raise
            text = str(error)
        failures += 1
        if settings.most_failures is not None and failures > settings.most_failures:
            return
        yield StreamBroken(text if ":" in text else f"{shown(source.name)}: {text}")
        pause = settings.first_pause * 2 ** min(failures - 1, 10)
        settings.sleep(min(pause, settings.longest_pause))
