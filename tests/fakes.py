"""Fakes for all tests: an ear, an eye, decoders, worker factories and media backends.

They need no networks and no media, and are fast and picklable. Decoders and backends misbehave
when the name of a file, or their own name, says so.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.clip import Clip, Frames, Media, MediaInfo, Waveform
from av_tagger.errors import MediaError, MissingExtra, UsageError
from av_tagger.fusion import Thresholds, WeightedFusion
from av_tagger.media import DecoderPool
from av_tagger.media.windows import Allocate
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.worker import Worker
from av_tagger.scores import Activity, BranchInfo, Evidence, KeyFrame, RunInfo, Scores, Status
from av_tagger.tagger import Parts, Tagger
from tests import ROOT

LABELS = ("Siren", "Bicycle", "Train")
RATE = 100  # samples a second


def touch(folder: Path, names: Sequence[str]) -> list[Path]:
    """Create files that only have a name, a size and a time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


def number_of(name: str) -> int:
    """The number in a file name; it decides what the file contains."""
    return int("".join(c for c in Path(name).stem if c.isdigit()) or "0")


def window(clip: Clip, start: float = 0.0, seconds: float = 1.0) -> Media:
    """A window whose loudness and redness follow from the number in the file name."""
    number = number_of(clip.name)
    samples = np.full(round(seconds * RATE), (number % 97) / 97, np.float32)
    images = np.full((3, 4, 4, 3), number % 251, np.uint8)
    frames = Frames(images, start + np.arange(3) / 3)
    return Media(clip, start, start + seconds, Waveform(samples, RATE, start), frames)


class LoudEar:
    """Scores `Siren` by loudness, frame by frame; `hook` is called with every batch."""

    labels = ("Train", "Siren")  # another order than LABELS, and one class fewer
    rate = RATE
    info = BranchInfo(Status.OK, "loud", "none")

    def __init__(self, hook: Callable[[Sequence[Waveform]], None] | None = None) -> None:
        self.hook = hook

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        if self.hook is not None:
            self.hook(waveforms)
        return [self._one(w) for w in waveforms]

    def _one(self, w: Waveform) -> Scores:
        loud = np.abs(w.samples[: len(w.samples) // 10 * 10]).reshape(-1, 10).max(axis=1)
        values = np.stack([np.zeros_like(loud), loud], axis=1).astype(np.float32)
        return Scores(
            self.labels,
            values.max(axis=0).astype(float),
            activity=Activity(values, 10.0, w.start_seconds),
        )


class RedEye:
    """Scores `Bicycle` by the red value of the first picture."""

    labels = LABELS
    short_side = 4
    info = BranchInfo(Status.OK, "red", "none")
    cuts: tuple[float, ...] = ()

    def see(self, clips: Sequence[Frames]) -> list[Scores]:
        return [self._one(c) for c in clips]

    def _one(self, clip: Frames) -> Scores:
        red = float(clip.images[0, 0, 0, 0]) / 255
        why = {"Bicycle": (Evidence(float(clip.times[0]), "bicycle", red, 0.9),)}
        picture = bytes(clip.images[0].tobytes())
        return Scores(
            LABELS,
            np.array([0.0, red, 0.0]),
            evidence=why,
            keyframes=(KeyFrame(float(clip.times[0]), 1.0, picture=picture),),
            cuts=self.cuts,
        )


def fusion() -> WeightedFusion:
    """Equal weights for ear and eye; thresholds that differ by class and by branch."""
    rows = Thresholds(
        np.array([0.3, 0.4, 0.5]), np.array([0.6, 0.6, 0.6]), np.array([0.8, 0.8, 0.8])
    )
    return WeightedFusion(LABELS, rows, weights=np.array([0.5, 0.5, 0.5]))


def tagger(ear: LoudEar | None = None, fingerprint: str = "fake") -> Tagger:
    """A tagger of the two fakes that must not open files itself."""

    def closed(clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        raise AssertionError("the runner decodes with its own decoders")

    run = RunInfo("0", "cpu", fingerprint, 0.0)
    return Tagger(
        Parts(LABELS, ear or LoudEar(), RedEye(), fusion(), closed, DecodeRequest(), run=run)
    )


@dataclass
class Live:
    """Counts how many windows exist at once."""

    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def made(self, media: Media) -> Media:
        assert media.waveform is not None
        weakref.finalize(media.waveform.samples, self._gone)
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        return media

    def _gone(self) -> None:
        with self.lock:
            self.now -= 1


class Decoder:
    """Makes windows from names: `slow` sleeps, `bad` fails, `two` and `long` have more windows,
    `die` ends the process. Names with "-late" wait until the file `gate` is there.
    """

    in_process = False

    def __init__(
        self, live: Live | None = None, delay: float = 0.0, gate: Path | None = None
    ) -> None:
        self.live, self.delay, self.gate = live, delay, gate

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        name = clip.path.name
        if "bad" in name:
            raise MediaError(clip.path, "is broken", "repair it")
        if "die" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        while self.gate is not None and "-late" in name and not self.gate.exists():
            time.sleep(0.01)
        for n in range(20 if "long" in name else 2 if "two" in name else 1):
            time.sleep(0.2 if "slow" in name else self.delay)
            media = window(clip, float(n))
            yield self.live.made(media) if self.live is not None else media
            del media

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class FakeWorkerFactory:
    """A worker with the fake tagger and decoder."""

    delay: float = 0.0
    fingerprint: str = "fake"
    gate: Path | None = None

    def __call__(self) -> Worker:
        decoder = partial(Decoder, delay=self.delay, gate=self.gate)
        return Worker(tagger(fingerprint=self.fingerprint), decoder)


@dataclass(frozen=True)
class PoisonWorkerFactory:
    """Decoding in real processes; the backend hangs or crashes when a file name says so."""

    def __call__(self) -> Worker:
        factory = "tests.fakes:make_poison_backend"
        pool = DecoderPool("poison", keep=0, factory=factory, search=[ROOT])
        return Worker(tagger(), pool.decoder)


@dataclass(frozen=True)
class BrokenWorkerFactory:
    """Ends its process, or raises what `say` says."""

    say: str = ""

    def __call__(self) -> Worker:
        if self.say:
            raise UsageError(self.say)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class FakeBackend:
    """Three windows of known numbers; after each it does what its name says: hang, crash, exit."""

    def __init__(self, name: str, allocate: Allocate) -> None:
        self.name, self.allocate = name, allocate

    def probe(self, path: Path) -> MediaInfo:
        return MediaInfo(path, "fake", 1.0, None, None)

    def windows(self, clip: Clip, request: Any) -> Iterator[Media]:
        for number in range(3):
            yield self.window(clip, number)
            misbehave(self.name, clip)

    def window(self, clip: Clip, number: int) -> Media:
        images = self.allocate((2, 4, 6, 3))
        images[...] = number + 1
        elsewhere = np.full((2, 4, 6, 3), number + 1, np.uint8)
        frames = Frames(elsewhere if self.name == "copied" else images, np.array([0.0, 0.5]))
        return Media(
            clip,
            float(number),
            number + 1.0,
            Waveform(np.full(5, number, np.float32), 5),
            frames,
            (str(os.getpid()),),
        )


class PoisonBackend:
    """One window without pictures; after it, it does what the name of the file says."""

    name = "poison"

    def probe(self, path: Path) -> MediaInfo:
        return MediaInfo(path, "fake", 1.0, None, None)

    def windows(self, clip: Clip, request: Any) -> Iterator[Media]:
        yield Media(clip, 0.0, 1.0, Waveform(np.zeros(100, np.float32), 100), None)
        misbehave(clip.path.stem.rstrip("0123456789"), clip)


def misbehave(how: str, clip: Clip) -> None:
    match how:
        case "hang":
            threading.Event().wait()
        case "hang with lock":
            ctypes.PyDLL(None).sleep(600)  # PyDLL keeps the interpreter's lock
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "killed once" if not clip.path.with_suffix(".once").exists():
            clip.path.with_suffix(".once").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "memory":
            np.zeros(1 << 62, np.uint8)
        case "error":
            raise MediaError(clip.path, "is broken", "repair it")
        case "defect":
            raise ZeroDivisionError("a defect of the decoder")


def make_backend(name: str, allocate: Allocate) -> FakeBackend:
    return FakeBackend(name, allocate)


def make_poison_backend(name: str, allocate: Allocate) -> PoisonBackend:
    return PoisonBackend()


def add(left: int, right: int) -> int:
    return left + right


def is_loaded(module: str) -> bool:
    return module in sys.modules


def make_no_backend(name: str, allocate: Allocate) -> FakeBackend:
    raise MissingExtra("no such library; install it")
