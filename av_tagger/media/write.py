"""Writes video files: from pictures and samples, or a copy of a file with its pictures redrawn."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from av_tagger.clip import Images, Samples
from av_tagger.errors import MediaError, StorageError
from av_tagger.media.containers import container_of
from av_tagger.media.opening import (
    BROKEN,
    codec_name,
    describe,
    open_container,
    origin_of,
    pick_tracks,
)
from av_tagger.media.paths import CHECK
from av_tagger.media.picture import SCALING, Painter

VIDEO_CODECS = ("libx264", "libopenh264", "mpeg4")  # the first that this FFmpeg can write
OPTIONS = {"libx264": {"preset": "veryfast", "crf": "20", "bf": "0"}, "mpeg4": {"qscale": "3"}}
AUDIO_CODEC = "aac"
AAC_RATES = (
    8_000,
    11_025,
    12_000,
    16_000,
    22_050,
    24_000,
    32_000,
    44_100,
    48_000,
    64_000,
    88_200,
    96_000,
)  # ISO 14496-3, table 1.18
TICK = Fraction(1, 60_000)  # fine enough for all frame rates, coarse enough for MPEG-4 part 2
Draw = Callable[[Images, float], Images]


def write_video(
    path: Path,
    images: Iterable[Images],
    fps: float,
    samples: Samples | None = None,
    rate: int = 44_100,
) -> Path:
    """Pictures (height, width, 3) uint8 RGB and mono samples as an mp4; written atomically."""
    with (
        written_whole(path) as temporary,
        av.open(str(temporary), "w", format=container_of(path)) as out,
    ):
        pictures: PictureWriter | None = None
        sound = None if samples is None or not len(samples) else _SoundWriter(out, samples, rate)
        for number, image in enumerate(images):
            pictures = pictures or PictureWriter(out, image, fps)
            pictures.write(image, number / fps)
            if sound is not None:
                sound.until((number + 1) / fps)
        if pictures is None:
            raise MediaError(path, "there is no picture to write", "give at least one frame")
        pictures.finish()
        if sound is not None:
            sound.finish()
    return path


def copy_with_pictures(source: Path, target: Path, draw: Draw) -> Path:
    """Copy a file with `draw(image, seconds)` in place of each picture; audio is not re-encoded.

    Pictures are passed upright and at full size. Times are kept, so the copy is as long as the
    original to within a frame.
    """
    if source.resolve() == target.resolve():
        raise StorageError(f"{target}: this is the input file; name another file to write")
    with open_container(source) as container:
        tracks = pick_tracks(container)
        if tracks.video is None:
            raise MediaError(
                source, "has no video track to draw on", "ask for another kind of report"
            )
        with (
            written_whole(target) as temporary,
            av.open(str(temporary), "w", format=container_of(target)) as out,
        ):
            _Copy(container, out, draw, source, target).run()
    return target


class _Copy:
    """One pass over the source: copies audio packets; decodes, redraws and encodes pictures."""

    def __init__(self, container: Any, out: Any, draw: Draw, source: Path, target: Path) -> None:
        self.container, self.out, self.draw, self.source = container, out, draw, source
        self.tracks = pick_tracks(container)
        self.origin = origin_of(container, self.tracks)
        self.painter = Painter(self.tracks.video.codec_context, None)  # type: ignore[union-attr]
        self.pictures: PictureWriter | None = None
        self.sound = (
            None if self.tracks.audio is None else _template(out, self.tracks.audio, target)
        )
        self.waiting: list[Any] = []  # audio packets until the header with all tracks is written

    def run(self) -> None:
        video = self.tracks.video
        streams = [
            s
            for s in (video, self.tracks.audio if self.sound is not None else None)
            if s is not None
        ]
        for packet in packets_of(self.container, streams):
            if packet.stream is video:
                self._show(packet)
            elif packet.dts is not None:
                self.waiting.append(packet)
                self._pass_on()
        if self.pictures is None:
            raise MediaError(self.source, "holds no picture that can be decoded", CHECK)
        self._pass_on()
        self.pictures.finish()

    def _show(self, packet: Any) -> None:
        try:
            frames = packet.decode()
        except BROKEN:
            return
        for frame in frames:
            seconds = frame.time - self.origin if frame.time is not None else None
            if seconds is None or seconds < -1e-6:
                continue
            image = self.draw(np.ascontiguousarray(self.painter.paint(frame)), seconds)
            rate = self.tracks.video.average_rate  # type: ignore[union-attr]
            self.pictures = self.pictures or PictureWriter(self.out, image, float(rate or 25))
            self.pictures.write(image, seconds)

    def _pass_on(self) -> None:
        if self.pictures is None:
            return
        for packet in self.waiting:
            shift = round(self.origin / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts -= shift
            packet.stream = self.sound
            self.out.mux(packet)
        self.waiting.clear()


def packets_of(container: Any, streams: Sequence[Any]) -> Iterator[Any]:
    """Packets up to the end or the first damage; the last ones are empty and flush decoders."""
    packets = container.demux(list(streams))
    while True:
        try:
            packet = next(packets, None)
        except BROKEN:  # leave out the rest of a damaged file, as in tagging
            return
        if packet is None:
            return
        yield packet


def _template(out: Any, stream: Any, target: Path) -> Any:
    """An output track for the same audio."""
    if codec_name(stream) not in out.supported_codecs:
        raise StorageError(
            f"{target}: cannot hold {codec_name(stream)} audio; name a .mkv file instead"
        )
    return out.add_stream_from_template(stream)


class PictureWriter:
    """Encodes pictures; odd sizes are padded by a row or column, as H.264 needs even ones."""

    def __init__(self, out: Any, first: Images, fps: float) -> None:
        height, width = first.shape[:2]
        self.out, self.shape = out, first.shape
        self.pad = ((0, height % 2), (0, width % 2), (0, 0))
        name = _first_encoder()
        self.stream: Any = out.add_stream(
            name, rate=Fraction(fps).limit_denominator(1001), options=dict(OPTIONS.get(name, {}))
        )
        self.stream.width, self.stream.height, self.stream.pix_fmt = (
            width + width % 2,
            height + height % 2,
            "yuv420p",
        )
        self.stream.codec_context.time_base = TICK
        self.last = -1

    def write(self, image: Images, seconds: float) -> None:
        if image.shape != self.shape or image.dtype != np.uint8:
            expected = f"pictures are uint8 of the first one's shape {self.shape}"
            raise ValueError(f"{expected}: {image.shape = }, {image.dtype = }")
        frame = av.VideoFrame.from_ndarray(
            np.pad(image, self.pad, mode="edge"), format="rgb24"
        ).reformat(format="yuv420p", **SCALING)
        self.last = max(self.last + 1, round(seconds / TICK))
        frame.pts, frame.time_base = self.last, TICK
        self.out.mux(self.stream.encode(frame))

    def finish(self) -> None:
        self.out.mux(self.stream.encode(None))


class _SoundWriter:
    """Encodes audio up to the time of the pictures."""

    def __init__(self, out: Any, samples: Samples, rate: int) -> None:
        self.out, self.samples, self.rate, self.at = out, samples, rate, 0
        written = min(
            AAC_RATES, key=lambda known: (known < rate, abs(known - rate))
        )  # the next one up
        self.stream: Any = out.add_stream(AUDIO_CODEC, rate=written, layout="mono")
        self.resampler = None if written == rate else av.AudioResampler("fltp", "mono", written)

    def until(self, seconds: float) -> None:
        while self.at < min(seconds * self.rate, len(self.samples)):
            piece = np.ascontiguousarray(self.samples[None, self.at : self.at + 4096], np.float32)
            frame = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = (
                self.rate,
                self.at,
                Fraction(1, self.rate),
            )
            self.at += piece.shape[1]
            for part in [frame] if self.resampler is None else self.resampler.resample(frame):
                self._encode(part)

    def _encode(self, frame: av.AudioFrame) -> None:
        self.out.mux(self.stream.encode(frame))

    def finish(self) -> None:
        self.until(float("inf"))
        for part in [] if self.resampler is None else self.resampler.resample(None):
            self._encode(part)
        self.out.mux(self.stream.encode(None))


def _first_encoder() -> str:
    for name in VIDEO_CODECS:
        try:
            av.Codec(name, "w")
        except (ValueError, av.error.FFmpegError):
            continue
        return name
    raise StorageError(
        "this FFmpeg can write no video; install PyAV from its wheel (pip install av)"
    )


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary file that replaces the target on success."""
    if path.exists() and not path.is_file():
        raise StorageError(f"{path}: is no file that can be replaced; name another one")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written here ({error.strerror}); choose another folder"
        ) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except (av.error.FFmpegError, OSError) as error:
        raise StorageError(
            f"{path}: writing failed ({describe(error)}); check the free space of the disk"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
