"""Parts of a film as a new film: packets copied from key frames, or frames encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from av_tagger.errors import MediaError, StorageError
from av_tagger.media.cut_chapters import moved_chapters
from av_tagger.media.cut_encode import encode_parts, left_out
from av_tagger.media.cut_plan import Part, Segment, copy_plan, exact_plan
from av_tagger.media.opening import (
    Tracks,
    codec_name,
    duration_of,
    open_container,
    origin_of,
    pick_tracks,
)
from av_tagger.media.paths import CHECK
from av_tagger.media.spans import Span
from av_tagger.media.write import packets_of, written_whole

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".wav": "wav",
    ".flac": "flac",
    ".mp3": "mp3",
    ".m4a": "ipod",
    ".ogg": "ogg",
    ".opus": "opus",
}
ANY_CODEC = ".mkv"  # holds whatever can be decoded
OF_THE_CONTAINER = {"major_brand", "minor_version", "compatible_brands", "encoder"}


@dataclass(frozen=True)
class CutFilm:
    """A film that was written, and which part of the source each of its parts is."""

    path: Path
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CutOptions:
    """How a film is cut."""

    exact: bool = False  # encode again, and so cut at any frame
    inward: bool = False  # copying: rather lose than add what was not asked for


def suffix_for(source: Path, *, exact: bool = False) -> str:
    """The suffix of cut films: that of the source where it can be written."""
    suffix = source.suffix.lower()
    if suffix not in FORMATS or (exact and suffix == ".webm"):
        return ANY_CODEC
    return suffix


def seconds_of_film(source: Path) -> float:
    """The length that the container declares; an error if it declares none."""
    with open_container(source) as container:
        length = duration_of(container)
        if length is None:
            raise MediaError(source, "does not say how long it is", CHECK)
        return length


def cut_film(
    source: Path, target: Path, spans: Sequence[Span], options: CutOptions | None = None
) -> CutFilm:
    """Write the parts of a film, one after the other; whole, or not at all."""
    options = options or CutOptions()
    if target.exists() and target.samefile(source):
        raise StorageError(f"{target}: this is the input file; choose another folder")
    with open_container(source) as container:
        tracks = pick_tracks(container)
        if tracks.video is None and tracks.audio is None:
            raise MediaError(source, "has neither an audio nor a video track", CHECK)
        origin = Fraction(origin_of(container, tracks)).limit_denominator(1_000_000)
        lead = tracks.video if tracks.video is not None else tracks.audio
        parts = (
            exact_plan(spans, origin)
            if options.exact
            else copy_plan(container, lead, spans, origin, inward=options.inward)
        )
        segments = list(dict.fromkeys(p.segment for p in parts if p.segment is not None))
        if not segments:
            why = "no key frame lies in what is to be kept"
            raise MediaError(source, why, "use --exact, which encodes the film again")
        with (
            written_whole(target) as temporary,
            _opened(temporary, target, tracks, exact=options.exact) as out,
        ):
            out.metadata.update(_texts(container.metadata))
            out.set_chapters(moved_chapters(container.chapters(), segments))
            container.seek(0)
            if options.exact:
                notes = encode_parts(container, tracks, out, segments, target)
            else:
                notes = _copy(container, tracks, out, segments, target)
    return CutFilm(target, tuple(parts), tuple(notes))


def _opened(temporary: Path, target: Path, tracks: Tracks, *, exact: bool) -> Any:
    """The new film; FFmpeg has a muxer of its own for Opus in Ogg."""
    name = FORMATS[target.suffix.lower()]
    if name == "ogg" and (exact or codec_name(tracks.audio) == "opus"):
        name = "opus"
    return av.open(str(temporary), "w", format=name)


def _texts(metadata: dict[str, str]) -> dict[str, str]:
    """The title, artist, date and the like; not what describes the container itself."""
    return {k: v for k, v in metadata.items() if k not in OF_THE_CONTAINER}


def _copy(
    container: Any, tracks: Tracks, out: Any, segments: Sequence[Segment], target: Path
) -> list[str]:
    """Packets of the film and of all its sound tracks, unchanged but for their times."""
    chosen = [s for s in container.streams.audio if s.codec_context is not None]
    streams = ([] if tracks.video is None else [tracks.video]) + chosen
    for stream in streams:
        if codec_name(stream) not in out.supported_codecs:
            raise StorageError(
                f"{target}: cannot hold {codec_name(stream)}; use --exact, which encodes it again"
            )
    copies = {}
    for stream in streams:
        copies[stream.index] = _track_like(out, stream)
        copies[stream.index].metadata.update(_texts(stream.metadata))
    lead = tracks.video if tracks.video is not None else tracks.audio
    mover = _Mover(lead.index, segments)  # type: ignore[union-attr]
    for packet in packets_of(container, streams):
        if not packet.size:  # the last packets only flush decoders
            continue
        if mover.move(packet):
            packet.stream = copies[packet.stream_index]
            out.mux(packet)
    return left_out(container, copied=True)


def _track_like(out: Any, stream: Any) -> Any:
    """An output track for the same packets; where the decoder is no encoder, without a codec."""
    try:
        return out.add_stream_from_template(stream)
    except ValueError:  # such as UnknownCodecError of AV1's decoder
        return out.add_stream_from_template(stream, opaque=True)


class _Mover:
    """Decides which packets stay and moves them to their place in the new film."""

    def __init__(self, lead: int, segments: Sequence[Segment]) -> None:
        self.lead, self.segments = lead, segments
        self.number = 0  # of the next packet of the leading track
        self.last: dict[int, int] = {}

    def move(self, packet: Any) -> bool:
        """Whether the packet stays; its times are then those of the new film."""
        segment = self._segment_of(packet)
        if segment is None:
            return False
        shift = round((segment.place - segment.start) / packet.time_base)
        packet.pts += shift
        dts = packet.pts if packet.dts is None else packet.dts + shift
        # Decoding times must rise, also where two parts meet.
        packet.dts = max(dts, self.last.get(packet.stream_index, dts - 1) + 1)
        packet.pts = max(packet.pts, packet.dts)
        self.last[packet.stream_index] = packet.dts
        return True

    def _segment_of(self, packet: Any) -> Segment | None:
        leads = packet.stream_index == self.lead
        number = self.number
        self.number += leads
        if packet.pts is None:
            return None
        time = packet.pts * packet.time_base
        for segment in self.segments:
            if leads and segment.first <= number < segment.stop and time >= segment.start:
                return segment
            if not leads and segment.start <= time < segment.end:
                return segment
        return None
