"""Crews that need no networks and no media: quick, picklable, and as badly behaved as their files' names ask."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from av_tagger.clip import Clip, Frames, Media, Waveform
from av_tagger.errors import MediaError, UsageError
from av_tagger.fusion import Thresholds, WeightedFusion
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.worker import Guarded, Worker
from av_tagger.scores import Activity, BranchInfo, Evidence, KeyFrame, RunInfo, Scores, Status
from av_tagger.tagger import Parts, Tagger

LABELS = ("Siren", "Bicycle", "Train")
RATE = 100
HERE = Path(__file__).parent


def number_of(name: str) -> int:
    """Files are called by numbers, which decide what is in them."""
    return int("".join(c for c in Path(name).stem if c.isdigit()) or "0")


def window(clip: Clip, start: float = 0.0, seconds: float = 1.0) -> Media:
    number = number_of(clip.name)
    samples = np.full(round(seconds * RATE), (number % 97) / 97, np.float32)
    images = np.full((3, 4, 4, 3), number % 251, np.uint8)
    frames = Frames(images, start + np.arange(3) / 3)
    return Media(clip, start, start + seconds, Waveform(samples, RATE, start), frames)


class Ear:
    """Hears `Siren` as loud as the waveform is. `judge_hook` is called with every batch."""

    labels = ("Train", "Siren")
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


class Eye:
    labels = LABELS
    short_side = 4
    info = BranchInfo(Status.OK, "red", "none")

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
        )


def tagger(ear: Ear | None = None, fingerprint: str = "fake") -> Tagger:
    rows = Thresholds(
        np.array([0.3, 0.4, 0.5]), np.array([0.6, 0.6, 0.6]), np.array([0.8, 0.8, 0.8])
    )
    fusion = WeightedFusion(LABELS, rows, weights=np.array([0.5, 0.5, 0.5]))

    def closed(clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        raise AssertionError("the runner decodes by its own decoders")

    run = RunInfo("0", "cpu", fingerprint, 0.0)
    return Tagger(Parts(LABELS, ear or Ear(), Eye(), fusion, closed, DecodeRequest(), run=run))


@dataclass
class Live:
    """How many windows exist at once: counted when they are made and when they are let go."""

    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def made(self, media: Media) -> Media:
        import weakref

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
    """Makes windows out of names: `slow` takes its time, `bad` is broken, `long` has many windows, `die` ends the process."""

    def __init__(self, live: Live | None = None, delay: float = 0.0) -> None:
        self.live, self.delay = live, delay

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        name = clip.path.name
        if "bad" in name:
            raise MediaError(clip.path, "is haunted", "call a priest")
        if "die" in name:
            os.kill(os.getpid(), signal.SIGKILL)
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
    """A picklable recipe."""

    delay: float = 0.0
    fingerprint: str = "fake"

    def __call__(self) -> Worker:
        return Worker(tagger(fingerprint=self.fingerprint), lambda: Decoder(delay=self.delay))


@dataclass(frozen=True)
class PoisonWorkerFactory:
    """Decoding behind the real guard, by a backend that hangs and crashes when a file's name says so."""

    def __call__(self) -> Worker:
        from av_tagger.media import GuardedWorker

        return Worker(
            tagger(),
            lambda: Guarded(GuardedWorker("poison", factory="poison_backend:make", search=[HERE])),
        )


@dataclass(frozen=True)
class Stillborn:
    """A recipe that ends its process, or says why it cannot be followed."""

    say: str = ""

    def __call__(self) -> Worker:
        if self.say:
            raise UsageError(self.say)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def touch(folder: Path, names: Sequence[str]) -> list[Path]:
    """Files that only have a name, a size and a time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]
