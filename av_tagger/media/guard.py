"""Decoding in a process that can be killed: a hang or a crash costs one file, and the worker is replaced."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from av_tagger import errors
from av_tagger.clip import Clip, Media, MediaInfo
from av_tagger.errors import AvTaggerError, MediaError, TimedOut
from av_tagger.media.backend import BACKENDS, DEFAULT, make_backend
from av_tagger.media.opening import CHECK, check_path
from av_tagger.media.transport import Arrivals, receive, send
from av_tagger.protocols import DecodeRequest

LIMIT_SECONDS = 120.0
RECYCLE_AFTER = 500  # files: what a decoder leaks is bounded by its worker's life
MOST_IDLE = 4
FACTORY = "av_tagger.media.backend:make_backend"
POSSIBLE = hasattr(socket, "AF_UNIX") and hasattr(socket, "send_fds")


class GuardedWorker:
    """One decoding process, for one user at a time; it is started at first use and again after a death.

    `factory` names what makes the backend inside the worker, as `package.module:function`, and `search` more folders
    to import it from: tests put backends there that hang and crash.
    """

    def __init__(
        self, backend: str = DEFAULT, *, factory: str = FACTORY, search: Sequence[Path] = ()
    ) -> None:
        self.backend, self.factory = backend, factory
        self.search = [str(folder) for folder in search]
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: socket.socket | None = None
        self.arrivals = Arrivals()
        self.files = 0

    def start(self) -> None:
        """Returns at once; the process gets ready while the caller does something else."""
        if self.process is not None:
            return
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        ours = {
            "PYTHONPATH": os.pathsep.join(paths),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.channel, theirs = socket.socketpair()
        self.arrivals = Arrivals()  # a new worker knows nothing of the blocks of the old one
        with theirs:
            command = [sys.executable, "-m", "av_tagger.media.worker", *self.search]
            voice = None if os.environ.get("AV_TAGGER_WORKER_STDERR") else subprocess.DEVNULL
            environment = {**os.environ, **ours}
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=theirs.fileno(), stdout=voice, stderr=voice, env=environment
            )

    def close(self) -> None:
        """Kills without asking: a worker holds nothing that is worth saving."""
        process, channel = self.process, self.channel
        self.process = self.channel = None
        self.files = 0
        if channel is not None:
            channel.close()
        if process is not None:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def windows(
        self, clip: Clip, request: DecodeRequest, limit_seconds: float = LIMIT_SECONDS
    ) -> Iterator[Media]:
        """The clip's windows, each decoded when it is asked for and within the limit."""
        if self.files >= RECYCLE_AFTER:
            self.close()
        self.files += 1
        answer = self._ask(
            clip.path, limit_seconds, "open", self.factory, self.backend, clip, request
        )
        while isinstance(answer, Media):
            yield answer
            del answer  # its pictures may be let go while the next window is decoded
            answer = self._ask(clip.path, limit_seconds, "next")

    def call(
        self, target: str, *arguments: Any, path: Path, limit_seconds: float = LIMIT_SECONDS
    ) -> Any:
        """`package.module:function` run in the worker on behalf of a file; arguments and result are pickled."""
        return self._ask(path, limit_seconds, "call", target, arguments)[1]

    def _ask(self, path: Path, limit_seconds: float, verb: str, *rest: Any) -> Any:
        self.start()
        assert self.channel is not None
        try:
            self.channel.settimeout(limit_seconds)
            released = [
                self.arrivals.released.popleft() for _ in range(len(self.arrivals.released))
            ]
            send(self.channel, (verb, limit_seconds, released, *rest))
            answer = receive(self.channel, self.arrivals)
        except TimeoutError as error:
            self.close()
            reason = f"took longer than {limit_seconds:g} s to decode and was given up"
            raise TimedOut(path, reason, "raise the time limit if the file is sound") from error
        except (EOFError, OSError) as error:
            raise MediaError(path, self._how_it_died(), CHECK) from error
        except (
            BaseException
        ):  # an interrupt between question and answer: the worker would answer the wrong question
            self.close()
            raise
        return _checked(path, answer)

    def _how_it_died(self) -> str:
        process = self.process
        assert process is not None
        try:
            status = process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self.close()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return f"its decoder crashed ({how})"


def _checked(path: Path, answer: Any) -> Any:
    """Failures inside the worker become errors here, in the same words."""
    match answer:
        case ("failed", "MemoryError", *_):
            raise MediaError(
                path, "needs more memory than there is to be decoded", "ask for smaller pictures"
            )
        case ("failed", name, where, reason, remedy):
            kind: type[MediaError] = getattr(errors, name, MediaError)
            raise kind(where, reason, remedy)
        case ("refused", name, text):
            refusal: type[AvTaggerError] = getattr(errors, name, AvTaggerError)
            raise refusal(text)
    return answer


@dataclass
class _Pool:
    """Idle workers of this process; each window iterator borrows one."""

    owner: int = 0
    idle: list[GuardedWorker] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def borrow(self, backend: str) -> GuardedWorker:
        with self.lock:
            if self.owner != os.getpid():  # a forked child may not speak on its parent's sockets
                self.owner, self.idle = os.getpid(), []
                atexit.register(self.close)
            for position, worker in enumerate(self.idle):
                if worker.backend == backend:
                    return self.idle.pop(position)
        return GuardedWorker(backend)

    def give_back(self, worker: GuardedWorker) -> None:
        with self.lock:
            if (
                self.owner == os.getpid()
                and len(self.idle) < MOST_IDLE
                and worker.process is not None
            ):
                self.idle.append(worker)
                return
        worker.close()

    def close(self) -> None:
        with self.lock:
            if self.owner == os.getpid():
                while self.idle:
                    self.idle.pop().close()


_POOL = _Pool()


def close_workers() -> None:
    """Ends the idle workers of this process; new ones start when they are needed."""
    _POOL.close()


def warm_up(backend: str = DEFAULT) -> None:
    """Starts a worker in the background, so that it is ready when the networks are loaded."""
    if POSSIBLE:
        worker = _POOL.borrow(backend)
        worker.start()
        _POOL.give_back(worker)


def open_media(
    clip: Clip,
    request: DecodeRequest,
    *,
    backend: str = DEFAULT,
    limit_seconds: float = LIMIT_SECONDS,
    guarded: bool = True,
) -> Iterator[Media]:
    """The windows of a clip, one at a time; no file can hang or crash the caller.

    The limit is the longest wait for one window, so an hour may take longer than a minute. Where processes cannot
    share memory by descriptor (Windows), or with `guarded=False`, decoding happens in this process, without a limit.
    """
    make_backend(backend) if backend not in BACKENDS else check_path(clip.path)
    if guarded and POSSIBLE:
        return _guarded(clip, request, backend, limit_seconds)
    return make_backend(backend).windows(clip, request)


def _guarded(
    clip: Clip, request: DecodeRequest, backend: str, limit_seconds: float
) -> Iterator[Media]:
    worker = _POOL.borrow(backend)
    try:
        yield from worker.windows(clip, request, limit_seconds)
    finally:
        _POOL.give_back(worker)


def probe(path: Path, *, backend: str = DEFAULT, limit_seconds: float = LIMIT_SECONDS) -> MediaInfo:
    """What the container says of a file, asked in a worker."""
    check_path(path)
    if not POSSIBLE:
        return make_backend(backend).probe(path)
    worker = _POOL.borrow(backend)
    try:
        info: MediaInfo = worker.call(
            "av_tagger.media.guard:probe_here",
            backend,
            path,
            path=path,
            limit_seconds=limit_seconds,
        )
    finally:
        _POOL.give_back(worker)
    return info


def probe_here(backend: str, path: Path) -> MediaInfo:
    return make_backend(backend).probe(path)


class GuardedBackend:
    """A MediaBackend whose decoding happens in worker processes."""

    def __init__(self, name: str, limit_seconds: float = LIMIT_SECONDS) -> None:
        self.name = name
        self.limit_seconds = limit_seconds

    def probe(self, path: Path) -> MediaInfo:
        return probe(path, backend=self.name, limit_seconds=self.limit_seconds)

    def windows(self, clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        return open_media(clip, request, backend=self.name, limit_seconds=self.limit_seconds)


def open_backend(name: str = DEFAULT, *, limit_seconds: float = LIMIT_SECONDS) -> GuardedBackend:
    """A decoder by name, behind its guard."""
    if name not in BACKENDS:
        make_backend(name)  # says what is known
    return GuardedBackend(name, limit_seconds)
