"""Sound and pictures in memory (numpy arrays, torch tensors) as a clip that can be tagged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip, Images, Media, Samples, Times
from av_tagger.errors import MediaError, UsageError
from av_tagger.media.windows import (
    ContainerHints,
    DecodedSound,
    Event,
    Picture,
    Windows,
    lazy_picture_of,
)
from av_tagger.protocols import DecodeRequest

CHUNK_SECONDS = 0.5  # of sound between pictures
MOST_CHANNELS = 64  # the axis of a two-dimensional array that is no longer than this is channels


@dataclass(frozen=True, eq=False)
class ArrayClip(Clip):
    """A clip without a file: mono samples and their rate, RGB pictures and their times."""

    samples: Samples | None = field(default=None, repr=False)
    rate: int = 0
    images: Images | None = field(default=None, repr=False)
    times: Times | None = field(default=None, repr=False)


def from_arrays(
    samples: Any = None,
    rate: float | None = None,
    *,
    frames: Any = None,
    fps: float | None = None,
    times: Sequence[float] | None = None,
    name: str = "recording",
) -> ArrayClip:
    """Sound and frames in memory as a clip for `Tagger.tag`; either may be left out.

    `samples`: an array or tensor, (n,), (channels, n) or (n, channels), floats within [-1, 1] or
    integers of full scale; `rate` in Hz. `frames`: (n, height, width, 3) or (n, 3, height, width),
    uint8, or floats within [0, 1]; `fps`, or `times` in seconds, one per frame.
    """
    if samples is None and frames is None:
        raise UsageError("give samples with their rate, frames with their fps, or both")
    sound = None if samples is None else _mono(_array(samples))
    if sound is not None and not (rate and rate > 0):
        raise UsageError("samples need their sampling rate in Hz: from_arrays(samples, 44_100)")
    images = None if frames is None else _rgb(_array(frames))
    moments = None if images is None else _times(len(images), fps, times)
    return ArrayClip(Path(name), samples=sound, rate=round(rate or 0), images=images, times=moments)


def windows_of(recording: ArrayClip, request: DecodeRequest) -> Iterator[Media]:
    """The recording cut into windows, as the decoders cut files."""
    heard = recording.samples is not None and request.audio_rate is not None
    seen = recording.images is not None and request.short_side is not None
    if not heard and not seen:
        missing = "samples" if request.audio_rate is not None else "frames"
        raise MediaError(recording.path, f"has no {missing}", "give both, or leave out `only`")
    ends = [_sound_end(recording)] if heard else []
    ends += [_pictures_end(recording)] if seen else []
    out = Windows(recording, request, ContainerHints(heard, seen, max(ends), _fps(recording)))
    sound = _sound(recording, request.audio_rate or 1) if heard else iter(())
    pictures = _pictures(recording, request) if seen else iter(())
    for event in _by_time(sound, pictures):
        yield from out.add(event)
    yield from out.finish()


def _array(values: Any) -> NDArray[Any]:
    """A numpy array; a tensor is copied from its device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _mono(values: NDArray[Any]) -> Samples:
    if values.dtype.kind in "iu":
        full = 2.0 ** (8 * values.dtype.itemsize - 1)
        middle = full if values.dtype.kind == "u" else 0.0
        values = (values.astype(np.float64) - middle) / full
    if values.dtype.kind != "f" or values.ndim not in (1, 2) or not values.size:
        raise UsageError(f"samples are (n,) or (channels, n) numbers, not {_what(values)}")
    if values.ndim == 2:
        shorter = int(values.shape[1] < values.shape[0])
        if values.shape[shorter] > MOST_CHANNELS:
            raise UsageError(f"samples are (n,) or (channels, n), not {_what(values)}")
        values = values.mean(axis=shorter)
    return np.nan_to_num(np.ascontiguousarray(values, np.float32), posinf=1.0, neginf=-1.0)


def _rgb(values: NDArray[Any]) -> Images:
    if values.ndim == 4 and values.shape[1] == 3 != values.shape[3]:
        values = np.moveaxis(values, 1, 3)
    if values.ndim != 4 or values.shape[3] != 3 or not values.size:
        raise UsageError(f"frames are (n, height, width, 3), not {_what(values)}")
    if values.dtype.kind == "f":
        values = np.rint(np.clip(values, 0.0, 1.0) * 255)
    elif values.dtype != np.uint8:
        raise UsageError(f"frames are uint8 or floats within [0, 1], not {_what(values)}")
    return np.ascontiguousarray(values, np.uint8)


def _what(values: NDArray[Any]) -> str:
    return f"{values.dtype} of shape {values.shape}"


def _times(count: int, fps: float | None, times: Sequence[float] | None) -> Times:
    if times is not None:
        given = np.asarray(times, np.float64)
        if given.shape != (count,) or (np.diff(given) <= 0).any() or given[0] < 0:
            raise UsageError(f"times are {count} rising seconds, one per frame")
        return given
    if not (fps and fps > 0):
        raise UsageError("frames need fps or times: from_arrays(frames=frames, fps=25)")
    return np.arange(count) / fps


def _fps(recording: ArrayClip) -> float:
    times = recording.times
    return 25.0 if times is None or len(times) < 2 else float(1 / np.median(np.diff(times)))


def _sound_end(recording: ArrayClip) -> float:
    assert recording.samples is not None
    return len(recording.samples) / recording.rate


def _pictures_end(recording: ArrayClip) -> float:
    assert recording.times is not None
    return float(recording.times[-1]) + 1 / _fps(recording)


def _sound(recording: ArrayClip, rate: int) -> Iterator[tuple[float, Event]]:
    """Resampled samples in short pieces, each with the time at which it ends."""
    from av_tagger.media.sound import Resampler

    assert recording.samples is not None
    resampler, sent = Resampler(recording.rate, rate), 0
    step = max(1, round(CHUNK_SECONDS * recording.rate))
    for start in range(0, len(recording.samples) + step, step):
        part = recording.samples[start : start + step]
        samples = resampler.push(part) if len(part) else resampler.flush()
        if len(samples):
            yield start / recording.rate, DecodedSound(0.0, sent, samples)
        sent += len(samples)


def _pictures(recording: ArrayClip, request: DecodeRequest) -> Iterator[tuple[float, Event]]:
    """Pictures of the requested size and rate, with their times."""
    assert recording.images is not None
    assert recording.times is not None
    slot = -1.0
    for image, seconds in zip(recording.images, recording.times, strict=True):
        if request.frame_rate is not None:
            if np.floor(seconds * request.frame_rate + 1e-3) == slot:
                continue
            slot = float(np.floor(seconds * request.frame_rate + 1e-3))
        shown = lazy_picture_of(_resized(image, request.short_side or 0))
        yield float(seconds), Picture(float(seconds), shown)


def _resized(image: Images, short_side: int) -> Images:
    """The shorter side reduced to `short_side` pixels, sides even; smaller pictures keep theirs."""
    from PIL import Image

    height, width = image.shape[:2]
    share = min(Fraction(1), Fraction(short_side, min(height, width)))
    size = [max(2, round(side * share / 2) * 2) for side in (width, height)]
    if size == [width, height]:
        return image
    picture = Image.fromarray(image).resize((size[0], size[1]), Image.Resampling.BOX)
    return np.asarray(picture)


def _by_time(
    sound: Iterator[tuple[float, Event]], pictures: Iterator[tuple[float, Event]]
) -> Iterator[Event]:
    """Both in order of time."""
    import heapq

    return (event for _, event in heapq.merge(sound, pictures, key=lambda pair: pair[0]))
