"""decord for pictures, PyAV for audio and for files that decord cannot read (with a remark)."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip, Media, MediaInfo, TrackInfo
from av_tagger.errors import MissingExtra
from av_tagger.media.backends.pyav import PyAV
from av_tagger.media.blocks import Blocks
from av_tagger.media.opening import BROKEN, open_container, origin_of, pick_tracks
from av_tagger.media.picture import target_size
from av_tagger.media.windows import (
    Allocate,
    ContainerHints,
    DecodedSound,
    Event,
    Note,
    Picture,
    Windows,
    lazy_picture_of,
)
from av_tagger.protocols import DecodeRequest

BATCH = 16  # frames per call: bounds memory, keeps calls few


class Decord:
    """Only for decoding processes: decord can crash, and hang while it holds the GIL."""

    name = "decord"

    def __init__(self, allocate: Allocate | None = None) -> None:
        self.allocate = allocate or Blocks().allocate
        self.pyav = PyAV(self.allocate)

    def probe(self, path: Path) -> MediaInfo:
        return self.pyav.probe(path)

    def windows(self, clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        info = self.pyav.probe(clip.path)
        if request.short_side is None or info.video is None:
            yield from self.pyav.windows(clip, request)
            return
        try:
            pictures = _Pictures(clip, request, info.video)
        except decord_errors() as error:
            reason = f"decord cannot read its {info.video.codec} pictures ({short_message(error)})"
            yield from _remarked(self.pyav.windows(clip, request), f"{reason}; PyAV was used")
            return
        yield from self._merged(clip, request, info, pictures)

    def _merged(
        self, clip: Clip, request: DecodeRequest, info: MediaInfo, pictures: _Pictures
    ) -> Iterator[Media]:
        listens = info.audio is not None and request.audio_rate is not None
        ends = pictures.ends
        expected = ContainerHints(
            listens, True, info.duration_seconds, pictures.rate, math.inf, ends
        )
        out = Windows(clip, request, expected, self.allocate)
        sounds = self._sounds(clip, request) if listens else iter(())
        for _, event in heapq.merge(sounds, pictures.events(), key=lambda timed: timed[0]):
            yield from out.add(event)
            if out.complete:
                break
        yield from out.finish()

    def _sounds(self, clip: Clip, request: DecodeRequest) -> Iterator[tuple[float, Event]]:
        """PyAV's audio without overlap, each piece with its start time."""
        origin: float | None = None
        for media in self.pyav.windows(
            clip, replace(request, short_side=None, overlap_seconds=0.0)
        ):
            for note in media.notes:
                yield media.start_seconds, Note(note)
            if media.waveform is None:
                continue
            begin = media.waveform.start_seconds
            origin = begin if origin is None else origin
            index = round((begin - origin) * media.waveform.rate)
            step = media.waveform.rate  # one second, so that audio and pictures stay close
            for first in range(0, len(media.waveform.samples), step):
                piece = media.waveform.samples[first : first + step]
                yield (
                    begin + first / media.waveform.rate,
                    DecodedSound(origin, index + first, piece),
                )


class _Pictures:
    """decord's frames in order of presentation, in small batches."""

    def __init__(self, clip: Clip, request: DecodeRequest, track: TrackInfo) -> None:
        decord = load_decord()
        if track.rotation:
            raise ValueError("it distorts pictures that are scaled and rotated")
        width, height = target_size(
            track.width, track.height, request.short_side or max(track.width, track.height)
        )
        self.reader: Any = decord.VideoReader(
            str(clip.path.absolute()), width=width, height=height, num_threads=1
        )
        if self.reader[0].shape != (height, width, 3):
            raise ValueError(f"it returns shape {self.reader[0].shape} for {(height, width, 3)}")
        self.clip, self.wanted_rate = clip, request.frame_rate
        stamps, shown = picture_stamps(clip.path)
        if len(stamps) != len(self.reader):
            raise ValueError(f"it finds {len(self.reader)} of {len(stamps)} frames")
        self.chosen = np.flatnonzero(shown & (np.diff(stamps, prepend=-math.inf) > 0))
        self.times = stamps[self.chosen]
        self.rate = float(self.reader.get_avg_fps()) or 25.0
        self.ends = float(self.times[-1]) if len(self.times) else 0.0
        self._select()

    def _select(self) -> None:
        end = math.inf if self.clip.end_seconds is None else self.clip.end_seconds
        inside = (self.times >= self.clip.start_seconds - 1e-6) & (self.times < end)
        if self.wanted_rate is not None:
            slots = np.floor(self.times * self.wanted_rate + 1e-3)
            first = np.ones(len(slots), bool)
            kept = slots[inside]
            first[inside] = np.diff(kept, prepend=-math.inf) > 0
            inside &= first
        self.chosen, self.times = self.chosen[inside], self.times[inside]

    def events(self) -> Iterator[tuple[float, Event]]:
        for first in range(0, len(self.chosen), BATCH):
            rows = self.chosen[first : first + BATCH]
            try:
                images = self.reader.get_batch(rows).asnumpy()
            except decord_errors() as error:
                at = self.times[first]
                yield at, Note(f"decord failed from {at:.1f} s on ({short_message(error)})")
                return
            for seconds, image in zip(self.times[first : first + BATCH], images, strict=True):
                yield float(seconds), Picture(float(seconds), lazy_picture_of(image))


def picture_stamps(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Presentation time of each frame, and whether it is shown, from the packets alone.

    An edit list may hide frames. decord counts these, and its own times always start at 0.
    """
    with open_container(path) as container:
        tracks = pick_tracks(container)
        assert tracks.video is not None  # known from `probe`
        origin, base = origin_of(container, tracks), float(tracks.video.time_base)
        packets = [(p.pts, p.is_discard) for p in container.demux(tracks.video) if p.size]
    if any(pts is None for pts, _ in packets):
        raise ValueError("its frames have no time stamps")
    packets.sort()
    stamps = np.array([pts * base - origin for pts, _ in packets], np.float64)
    shown = np.array([not hidden for _, hidden in packets], bool) & (stamps >= -1e-6)
    return np.maximum(stamps, 0.0), shown


def short_message(error: BaseException) -> str:
    """decord's error text without time, source location and stack trace."""
    first = str(error).split("Stack trace")[0].strip().splitlines()
    return re.sub(
        r"\[[\d:]+\]\s+\S+:\d+:\s*", "", first[0] if first else type(error).__name__
    ).strip()[:120]


def _remarked(windows: Iterator[Media], remark: str) -> Iterator[Media]:
    for number, media in enumerate(windows):
        yield replace(media, remarks=(remark, *media.remarks)) if number == 0 else media


def load_decord() -> Any:
    try:
        import decord
    except (ImportError, OSError) as error:
        raise MissingExtra(
            f"decord cannot be loaded ({error}); install it, or use --backend pyav"
        ) from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def decord_errors() -> tuple[type[BaseException], ...]:
    """decord's own error class, which is no RuntimeError in some builds, and what PyAV raises."""
    decord = load_decord()
    return (decord.DECORDError, *BROKEN)
