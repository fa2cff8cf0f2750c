"""The pool of decoders: lends them, reuses idle processes, or decodes in this process instead."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from av_tagger.clip import Clip, Media, MediaInfo
from av_tagger.errors import MediaError, TimedOut
from av_tagger.media.backend import DEFAULT, check_name
from av_tagger.media.blocks import Blocks
from av_tagger.media.decode_process import (
    FACTORY,
    LIMIT_SECONDS,
    DecodeProcess,
    DecoderKilled,
)
from av_tagger.media.decode_server import import_target
from av_tagger.media.paths import check_path
from av_tagger.media.recording import ArrayClip, windows_of
from av_tagger.media.transport import PageLock
from av_tagger.protocols import DecodeRequest, MediaBackend
from av_tagger.systems import CAN_SHARE_MEMORY

CAN_ISOLATE = CAN_SHARE_MEMORY  # not on Windows
MOST_IDLE = 4
LOOK, LOOK_SECONDS = "av_tagger.media.sniff:holds_media", 20.0
CLIP_LIMIT_SECONDS = 3600.0


class Decoder(Protocol):
    """Decodes one clip after another, for one thread; `interrupt` may be called from any thread."""

    @property
    def in_process(self) -> bool:
        """Whether decoding costs this process's own CPU time, and cannot be interrupted."""
        ...

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        """The clip's windows, one at a time; the limit is for each of them."""
        ...

    def interrupt(self) -> None:
        """End the current decoding: its thread gets a MediaError."""
        ...

    def close(self) -> None:
        """Return the decoder to where it came from."""
        ...


class DecoderPool:
    """Decoders of one backend; itself a `MediaBackend` that decodes with any idle one.

    Each decoder is a process of its own, so that a file that hangs or crashes it costs only that
    file. Where processes cannot share memory (Windows), or with `isolated=False`, files are decoded
    in this process, without a time limit. At most `keep` idle processes wait for the next user.
    """

    def __init__(
        self,
        backend: str = DEFAULT,
        *,
        limit_seconds: float = LIMIT_SECONDS,
        clip_limit: float = CLIP_LIMIT_SECONDS,
        keep: int = MOST_IDLE,
        isolated: bool = CAN_ISOLATE,
        factory: str = FACTORY,
        search: Sequence[Path] = (),
    ) -> None:
        if factory == FACTORY:
            check_name(backend)
        self.name, self.limit_seconds, self.keep = backend, limit_seconds, keep
        self.clip_limit = clip_limit  # seconds of decoding in all, of `windows`
        self.isolated, self.factory, self.search = isolated, factory, search
        self.page_lock: PageLock | None = None  # of the memory that windows come in, for a GPU
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._processes: list[DecodeProcess] = []  # all that live, lent or idle
        self._idle: list[DecodeProcess] = []

    def decoder(self) -> Decoder:
        """A decoder for one thread, until its `close`."""
        return _LentDecoder(self, self._borrow())

    def windows(
        self, clip: Clip, request: DecodeRequest, limit_seconds: float | None = None
    ) -> Iterator[Media]:
        """The clip's windows, one at a time; the limit is the longest wait for one of them."""
        check_path(clip.path)
        return self._windows(clip, request, limit_seconds or self.limit_seconds)

    def probe(self, path: Path, limit_seconds: float | None = None) -> MediaInfo:
        """What the container says about the file."""
        check_path(path)
        decoder = self._borrow()
        try:
            return decoder.probe(path, limit_seconds or self.limit_seconds)
        finally:
            self._give_back(decoder)

    def holds_media(self, path: Path) -> bool:
        """Whether sound or a picture can be decoded, whatever the file's name says."""
        decoder = self._borrow()
        try:
            found: bool = decoder.call(LOOK, path, path=path, limit_seconds=LOOK_SECONDS)
        except MediaError:
            return False
        else:
            return found
        finally:
            self._give_back(decoder)

    def warm_up(self) -> None:
        """Start a process in the background, so that the first file does not wait for it."""
        decoder = self._borrow()
        if isinstance(decoder, DecodeProcess):
            decoder.start()
        self._give_back(decoder)

    def pids(self) -> list[int]:
        """Process ids of all decoders, lent or idle."""
        with self._lock:
            running = [decoder.process for decoder in self._processes]
        return [process.pid for process in running if process is not None]

    def close(self) -> None:
        """End the idle processes; new ones start when they are needed."""
        with self._lock:
            if self._owner == os.getpid():
                for decoder in self._idle:
                    self._end(decoder)
                self._idle.clear()

    def _windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        """A killed decoder gets a second try; windows that the caller has are not given again."""
        given = 0
        try:
            for media in self._try(clip, request, limit_seconds):
                given += 1
                yield media
                del media
        except DecoderKilled:
            yield from itertools.islice(self._try(clip, request, limit_seconds), given, None)

    def _try(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        decoder, left = self._borrow(), self.clip_limit
        try:
            windows = decoder.windows(clip, request, min(limit_seconds, left))
            began = time.monotonic()
            for media in windows:
                left -= time.monotonic() - began
                if left < 0:
                    decoder.interrupt()
                    reason = f"took longer than {self.clip_limit:g} s to decode and was given up"
                    raise TimedOut(clip.path, reason, "tag a shorter part of it")
                yield media
                del media
                began = time.monotonic()
        finally:
            self._give_back(decoder)

    def _borrow(self) -> DecodeProcess | _InProcessDecoder:
        if not self.isolated:
            return _InProcessDecoder(self.factory, self.name)
        with self._lock:
            if self._owner != os.getpid():  # a fork: the sockets belong to the parent
                self._owner, self._processes, self._idle = os.getpid(), [], []
            if self._idle:
                return self._idle.pop()
            made = DecodeProcess(
                self.name, factory=self.factory, search=self.search, page_lock=self.page_lock
            )
            self._processes.append(made)
            return made

    def _give_back(self, decoder: DecodeProcess | _InProcessDecoder) -> None:
        if isinstance(decoder, _InProcessDecoder):
            return
        with self._lock:
            ours = self._owner == os.getpid() and decoder in self._processes
            if ours and decoder.process is not None and len(self._idle) < self.keep:
                self._idle.append(decoder)
            else:
                self._end(decoder)

    def _end(self, decoder: DecodeProcess) -> None:
        decoder.close()
        if decoder in self._processes:
            self._processes.remove(decoder)


class _LentDecoder:
    """A decoder of a pool until `close`; after that it can no longer disturb the next user."""

    def __init__(self, pool: DecoderPool, decoder: DecodeProcess | _InProcessDecoder) -> None:
        self.in_process = decoder.in_process
        self._pool, self._decoder = pool, decoder
        self._lock, self._closed = threading.Lock(), False

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        if not self._decoder.running:  # else the process checks it
            check_path(clip.path)
        return self._decoder.windows(clip, request, limit_seconds)

    def interrupt(self) -> None:
        with self._lock:
            if not self._closed:
                self._decoder.interrupt()

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._pool._give_back(self._decoder)  # noqa: SLF001 - the pool's own handle


class _InProcessDecoder:
    """Decodes in this process: no time limit, no interrupt, and a crash ends the program."""

    in_process, running = True, False  # no process

    def __init__(self, factory: str, name: str) -> None:
        self.backend: MediaBackend = import_target(factory)(name, Blocks().allocate)

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:  # noqa: ARG002 - no limit here
        return self.backend.windows(clip, request)

    def probe(self, path: Path, limit_seconds: float) -> MediaInfo:  # noqa: ARG002 - no limit here
        return self.backend.probe(path)

    def call(self, target: str, *arguments: Any, path: Path, limit_seconds: float) -> Any:  # noqa: ARG002 - as in other processes
        return import_target(target)(*arguments)

    def interrupt(self) -> None:
        pass


_POOLS: dict[str, DecoderPool] = {}
_POOLS_LOCK = threading.Lock()


def decoder_pool(backend: str = DEFAULT) -> DecoderPool:
    """This process's own pool of that backend, closed at exit."""
    with _POOLS_LOCK:
        if not _POOLS:
            atexit.register(close_decoders)
        if backend not in _POOLS:
            _POOLS[backend] = DecoderPool(backend)
        return _POOLS[backend]


def close_decoders() -> None:
    """End the idle decoding processes of this process's own pools."""
    for pool in _POOLS.values():
        pool.close()


def warm_up(backend: str = DEFAULT) -> None:
    """Start a decoding process in the background, while the caller loads its networks."""
    if CAN_ISOLATE:
        decoder_pool(backend).warm_up()


def open_media(
    clip: Clip,
    request: DecodeRequest,
    *,
    backend: str = DEFAULT,
    limit_seconds: float = LIMIT_SECONDS,
) -> Iterator[Media]:
    """The windows of a clip, one at a time; no file can hang or crash the caller.

    A recording in memory is cut into windows in this process.

    The limit is the longest wait for one window: a long file may take longer in all.
    """
    if isinstance(clip, ArrayClip):
        return windows_of(clip, request)
    return decoder_pool(backend).windows(clip, request, limit_seconds)


def probe(path: Path, *, backend: str = DEFAULT, limit_seconds: float = LIMIT_SECONDS) -> MediaInfo:
    """Container, tracks and duration as the file declares them."""
    return decoder_pool(backend).probe(path, limit_seconds)
