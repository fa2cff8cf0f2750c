"""Decoders on the engines of a card (NVDEC): pictures there, sound and times by the cores."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from av_tagger.clip import Clip, Frames, Media
from av_tagger.errors import AvTaggerError, MediaError, MissingExtra, UsageError, missing_library
from av_tagger.media import Decoder
from av_tagger.protocols import DecodeRequest
from av_tagger.runner import profiler
from av_tagger.stages import stage

if TYPE_CHECKING:
    from torch import Tensor

MODES = ("auto", "cores", "nvdec")
ENGINES = 7  # decoders per card; more are slower, as measured on an H200
CHUNK = 32  # frames that are read and halved at once: 100 MB of 1080p
LARGEST = (4096, 2304)  # width and height that a kept decoder is made for
LIBRARY = "PyNvVideoCodec"
SEEK_SECONDS = 0.5  # a clip that starts later is not read from the start of its file


class EngineError(AvTaggerError):
    """An engine cannot decode a file; the cores do it instead."""

    kind = "engine"


class CardFilm(Protocol):
    """One file on an engine, read from its start."""

    def read(self, count: int) -> Tensor:
        """The next frames, NV12 on the card; fewer than `count` at the end of the file."""
        ...


class CardEngine(Protocol):
    """One decoder of a card, kept and used for one file after another."""

    def open(self, path: Path) -> CardFilm: ...


class EngineDecoder:
    """A `Decoder` whose pictures come from an engine; what it cannot open, the cores decode.

    The cores read sound and time stamps in the same pass as for themselves, so windows and times
    are the same. Windows that were given are not given again after a failure.
    """

    in_process = False

    def __init__(self, engine: CardEngine, cores: Decoder) -> None:
        self.engine, self.cores = engine, cores
        self.opened = self.left_to_cores = 0  # files
        self._interrupted = False

    def windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        self._interrupted, given = False, 0
        if suits(clip, request):
            try:
                for media in self._windows(clip, request, limit_seconds):
                    given += 1
                    yield media
                    del media
            except (MediaError, EngineError, RuntimeError):  # of torch: RuntimeError
                if self._interrupted:
                    raise
            else:
                self.opened += 1
                return
        self.left_to_cores += 1
        yield from itertools.islice(self.cores.windows(clip, request, limit_seconds), given, None)

    def interrupt(self) -> None:
        self._interrupted = True
        self.cores.interrupt()

    def close(self) -> None:
        self.cores.close()

    def _windows(self, clip: Clip, request: DecodeRequest, limit_seconds: float) -> Iterator[Media]:
        pictures: NumberedPictures | None = None
        numbered = replace(request, numbered=True)
        for media in self.cores.windows(clip, numbered, limit_seconds):
            if media.frames is None:
                yield media
                continue
            if pictures is None:
                with stage(profiler.ENGINES):
                    film = self.engine.open(clip.path)
                pictures = NumberedPictures(film, request.short_side or 0)
            with stage(profiler.ENGINES):
                frames = pictures.of(media.frames)
            yield replace(media, frames=frames)
            del frames
            del media


def suits(clip: Clip, request: DecodeRequest) -> bool:
    """Whether the whole file is read from its start, and every frame of it counts."""
    early = clip.start_seconds <= SEEK_SECONDS
    return early and request.short_side is not None and not request.skip_nonref


class NumberedPictures:
    """The pictures of a film by their numbers, which rise from window to window.

    Overlapping windows share pictures: those of the last window are kept until the next.
    """

    def __init__(self, film: CardFilm, short_side: int) -> None:
        self.film, self.short_side = film, short_side
        self._next = 0  # the number of the next frame that the film gives
        self._kept: dict[int, Tensor] = {}  # pictures of the last window

    def of(self, frames: Frames) -> Frames:
        """The same frames with their pictures on the card."""
        import torch

        from av_tagger.media.numbered import numbers_of
        from av_tagger.video.card_frames import card_frames

        numbers = numbers_of(frames.images).tolist()
        found = {n: self._kept[n] for n in numbers if n in self._kept}
        missing = [n for n in numbers if n not in found]
        if missing and missing[0] < self._next:
            raise EngineError("frames are asked for in another order than that of the film")
        while missing and self._next <= missing[-1]:
            found |= self._read(missing)
        self._kept = {n: found[n] for n in numbers}
        return card_frames(torch.stack([found[n] for n in numbers]), frames)

    def _read(self, wanted: list[int]) -> dict[int, Tensor]:
        """The next chunk, not beyond the window: its wanted pictures, halved as by the cores."""
        from av_tagger.media.planes import halvings
        from av_tagger.video.card_frames import planes_of_nv12

        chunk = self.film.read(min(CHUNK, wanted[-1] + 1 - self._next))
        first, self._next = self._next, self._next + len(chunk)
        if not len(chunk):
            raise EngineError(f"the film ends at frame {first}, before frame {wanted[-1]}")
        numbers = [n for n in wanted if first <= n < self._next]
        if not numbers:
            return {}
        count = halvings(min(chunk.shape[1] * 2 // 3, chunk.shape[2]), self.short_side)
        if count is None:
            raise EngineError("its pictures need the scaler")
        pictures = planes_of_nv12(chunk[[n - first for n in numbers]], count)
        return dict(zip(numbers, pictures, strict=True))


class NvdecEngine:
    """A decoder of PyNvVideoCodec: one per codec, reconfigured from file to file.

    A decoder opened for every file would take longer than the decoding.
    """

    def __init__(self, device: str) -> None:
        self.codec: Any = _library()
        self.gpu = int(device.partition(":")[2] or 0)
        self._decoder: Any = None

    def open(self, path: Path) -> CardFilm:
        if self._decoder is not None:
            try:
                self._decoder.reconfigure_decoder(str(path))
            except Exception:  # noqa: BLE001 - another codec, or larger: a new decoder
                self._decoder = None
        with _library_errors():
            if self._decoder is None:
                width, height = LARGEST
                self._decoder = self.codec.SimpleDecoder(
                    str(path),
                    gpu_id=self.gpu,
                    use_device_memory=True,
                    max_width=width,
                    max_height=height,
                )
            return _NvdecFilm(self._decoder)


class _NvdecFilm:
    def __init__(self, decoder: Any) -> None:
        self.decoder, self.at, self.count = decoder, 0, len(decoder)

    def read(self, count: int) -> Tensor:
        """A copy: the decoder uses its own memory again."""
        torch: Any = importlib.import_module("torch")
        end = min(self.at + count, self.count)
        with _library_errors():
            frames = [torch.from_dlpack(self.decoder[i]).clone() for i in range(self.at, end)]
        self.at = end
        empty = torch.empty((0, 3, 2), dtype=torch.uint8)
        pictures: Tensor = torch.stack(frames) if frames else empty
        return pictures


@contextmanager
def _library_errors() -> Iterator[None]:
    """The library raises plain `Exception` for files that it does not read."""
    try:
        yield
    except Exception as error:
        raise EngineError(f"{LIBRARY}: {error}") from error


def _library() -> Any:
    try:
        return importlib.import_module(LIBRARY)
    except ImportError as error:
        raise missing_library("--decode nvdec needs", LIBRARY, error, "nvdec") from error


def engines_of(mode: str, device: str) -> list[Callable[[], CardEngine]]:
    """What makes the engines of a run; none where the cores decode alone."""
    if mode not in MODES:
        raise UsageError(f"--decode {mode}: expected one of {', '.join(MODES)}")
    if mode == "cores" or not device.startswith("cuda"):
        if mode == "nvdec":
            raise UsageError(f"--decode nvdec needs a CUDA device, not {device}")
        return []
    try:
        _library()
    except MissingExtra:
        if mode == "nvdec":
            raise
        return []
    return [lambda: NvdecEngine(device)] * ENGINES


def decoding(mode: str, device: str) -> str:
    """One line for --verbose."""
    if device == "auto":
        return "each process chooses what decodes pictures for its device"
    count = len(engines_of(mode, device))
    engines = f"{count} engines of {device}, large files first, and by " if count else ""
    return f"pictures are decoded by {engines}the cores"
