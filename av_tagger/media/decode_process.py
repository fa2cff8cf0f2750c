"""Decoding in a child process that can be killed: a hang or a crash costs one file."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from av_tagger import errors
from av_tagger.clip import Clip, Media, MediaInfo
from av_tagger.errors import AvTaggerError, MediaError, TimedOut
from av_tagger.media.backend import DEFAULT
from av_tagger.media.lifeline import Lifeline
from av_tagger.media.paths import CHECK
from av_tagger.media.picture_channel import PictureChannel
from av_tagger.media.transport import MappedBlocks, PageLock, receive, send
from av_tagger.protocols import DecodeRequest
from av_tagger.systems import KILL, KILLED_FROM_OUTSIDE

LIMIT_SECONDS = 120.0
RECYCLE_AFTER = 500  # files; bounds what a decoder leaks
SERVER = "av_tagger.media.decode_server"
DEATH_SECONDS = 10.0  # until a process that has closed its socket has ended, on a busy machine
FACTORY = "av_tagger.media.backend:make_backend"


class DecoderKilled(MediaError):
    """The decoding process was killed from outside, such as for lack of memory."""

    kind = "crash"


class DecoderDefect(MediaError):
    """A bug of this program in the decoding process, with its traceback there."""

    kind = "defect"
    traceback = ""


class DecodeProcess:
    """The client of one `DecodeServer`, for one thread at a time.

    The process starts at first use and is replaced after a hang, a crash or `RECYCLE_AFTER` files.
    `factory` names the function that makes the backend inside it, as `package.module:function`;
    `search` lists more folders to import from.
    """

    in_process = False

    def __init__(
        self,
        backend: str = DEFAULT,
        *,
        factory: str = FACTORY,
        search: Sequence[Path] = (),
        page_lock: PageLock | None = None,
    ) -> None:
        self.backend, self.factory = backend, factory
        self.search = [str(folder) for folder in search]
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: socket.socket | None = None
        self.page_lock = page_lock  # of the memory that windows come in
        self.mapped = MappedBlocks(page_lock)
        self.pictures: PictureChannel | None = None
        self.files = 0
        self._interrupted = False
        self._lifeline: Lifeline | None = None

    @property
    def running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        """Start the process in the background; returns at once."""
        if self._interrupted:
            self.close()
        if self.process is not None:
            return
        self.channel, theirs = socket.socketpair()
        pictures, their_pictures = socket.socketpair()
        self.pictures = PictureChannel(pictures)
        # Block names are only valid for one process.
        self.mapped = MappedBlocks(self.page_lock, self.pictures.ask)
        line = self._lifeline = Lifeline()
        with theirs, their_pictures:
            number = str(their_pictures.fileno())
            command = [sys.executable, "-m", SERVER, number, *self.search]
            output = None if os.environ.get("AV_TAGGER_WORKER_STDERR") else subprocess.DEVNULL
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                env=_environment(),
                pass_fds=[line.reader, their_pictures.fileno()],
            )
        line.tie(self.process.pid)

    def close(self) -> None:
        """Kill the process: it holds nothing that is worth saving."""
        process, channel = self.process, self.channel
        self.process = self.channel = None
        self.files, self._interrupted = 0, False
        if self.pictures is not None:
            self.pictures.close()
            self.pictures = None
        if channel is not None:
            channel.close()
        if process is not None:
            process.kill()
            process.wait()
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None

    def interrupt(self) -> None:
        """End the current decoding with an error in its thread; called from another thread."""
        self._interrupted = True
        process = self.process
        if process is not None:
            process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def windows(
        self, clip: Clip, request: DecodeRequest, limit_seconds: float = LIMIT_SECONDS
    ) -> Iterator[Media]:
        """The clip's windows; each is decoded when it is asked for, within the limit."""
        if self.files >= RECYCLE_AFTER:
            self.close()
        self.files += 1
        answer = self._ask(
            clip, limit_seconds, "open", self.factory, self.backend, clip, _pickled(request)
        )
        while isinstance(answer, Media):
            ended = answer.is_last
            yield answer
            del answer  # its memory can be reused while the next window is decoded
            if ended:
                return
            answer = self._ask(clip, limit_seconds, "next")

    def probe(self, path: Path, limit_seconds: float = LIMIT_SECONDS) -> MediaInfo:
        """What the container says about the file."""
        target = "av_tagger.media.backend:probe_file"
        info: MediaInfo = self.call(
            target, self.backend, path, path=path, limit_seconds=limit_seconds
        )
        return info

    def call(
        self, target: str, *arguments: Any, path: Path, limit_seconds: float = LIMIT_SECONDS
    ) -> Any:
        """Run `package.module:function` in the process; `path` is the file that errors name."""
        return self._ask(Clip(path), limit_seconds, "call", target, arguments)[1]

    def _ask(self, clip: Clip, limit_seconds: float, verb: str, *rest: Any) -> Any:
        path = clip.path
        self.start()
        assert self.channel is not None
        try:
            if self.channel.gettimeout() != limit_seconds:
                self.channel.settimeout(limit_seconds)
            released = [self.mapped.released.popleft() for _ in range(len(self.mapped.released))]
            send(self.channel, (verb, limit_seconds, released, *rest))
            answer = receive(self.channel, self.mapped, clip)
        except TimeoutError as error:
            self.close()
            reason = f"took longer than {limit_seconds:g} s to decode and was given up"
            raise TimedOut(path, reason, "raise the time limit if the file is sound") from error
        except (EOFError, OSError) as error:
            raise self._death(path) from error
        except BaseException:
            # KeyboardInterrupt: the late answer would be taken for that of the next request.
            self.close()
            raise
        return _checked(path, answer)

    def _death(self, path: Path) -> MediaError:
        """Wait for the dead process; the error says how it ended."""
        process, interrupted = self.process, self._interrupted
        assert process is not None
        try:
            status = process.wait(DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            status = -KILL
        self.close()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        if -status in KILLED_FROM_OUTSIDE and not interrupted:
            reason = f"its decoder was killed from outside ({how}), perhaps for lack of memory"
            return DecoderKilled(path, reason, "free memory and run the same command again")
        return MediaError(path, f"its decoder crashed ({how})", CHECK)


@lru_cache(maxsize=8)
def _pickled(request: DecodeRequest) -> bytes:
    """Most files are opened with the same request."""
    return pickle.dumps(request)


def _environment() -> dict[str, str]:
    """Ours, with this package importable and one thread per library."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    ours = {
        "PYTHONPATH": os.pathsep.join(paths),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    return {**os.environ, **ours}


def _checked(path: Path, answer: Any) -> Any:
    """Raise an error that was sent by the server, with the same type and text."""
    match answer:
        case ("failed", "MemoryError", *_):
            raise MediaError(
                path, "needs more memory than there is to be decoded", "ask for smaller pictures"
            )
        case ("failed", name, where, reason, remedy):
            kind: type[MediaError] = getattr(errors, name, MediaError)
            raise kind(where, reason, remedy)
        case ("defect", text, trace):
            defect = DecoderDefect(path, text, "this is a bug: please report it")
            defect.traceback = trace
            raise defect
        case ("refused", name, text):
            refusal: type[AvTaggerError] = getattr(errors, name, AvTaggerError)
            raise refusal(text)
    return answer
