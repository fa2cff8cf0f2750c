"""Copies a film with chapters: packets are copied, nothing is decoded or encoded."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av

from av_tagger.errors import MediaError, MissingExtra, StorageError
from av_tagger.media.containers import container_of
from av_tagger.media.opening import codec_name, open_container
from av_tagger.media.paths import CHECK
from av_tagger.media.write import packets_of, written_whole

KINDS = ("video", "audio", "subtitle")
MILLISECOND = Fraction(1, 1000)


class TimedTitle(Protocol):
    """A chapter: milliseconds from the start of the film, and a title."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def title(self) -> str: ...


def copy_with_chapters(source: Path, target: Path, chapters: Sequence[TimedTitle]) -> Path:
    """Copy the tracks and metadata of a film, with these chapters in place of its own.

    Tracks that the target's format cannot hold are an error, but for subtitles, which are left out.
    """
    if source.resolve() == target.resolve():
        raise StorageError(f"{target}: this is the input file; name another file to write")
    if not hasattr(av.container.OutputContainer, "set_chapters"):
        raise MissingExtra("chapters need a newer PyAV; run: pip install -U av")
    with (
        open_container(source) as container,
        written_whole(target) as temporary,
        av.open(str(temporary), "w", format=container_of(target)) as out,
    ):
        tracks = _tracks(container, out, target)
        if not tracks:
            raise MediaError(source, "has no track to copy", CHECK)
        out.metadata.update(container.metadata)
        out.set_chapters([_chapter(n, c) for n, c in enumerate(chapters)])
        _copy_packets(container, out, tracks)
    return target


def _tracks(container: Any, out: Any, target: Path) -> dict[int, Any]:
    """The output track of each input track by its index."""
    tracks: dict[int, Any] = {}
    for stream in container.streams:
        if stream.type not in KINDS:
            continue
        name = codec_name(stream)
        if name in out.supported_codecs:
            tracks[stream.index] = out.add_stream_from_template(stream)
        elif stream.type != "subtitle":
            raise StorageError(
                f"{target}: cannot hold {name} {stream.type}; name a .mkv file instead"
            )
    return tracks


def _chapter(number: int, chapter: TimedTitle) -> dict[str, Any]:
    title = chapter.title.encode("utf-8", "replace").decode("utf-8")
    return {
        "id": number + 1,
        "start": chapter.start,
        "end": chapter.end,
        "time_base": MILLISECOND,
        "metadata": {"title": title},
    }


def _copy_packets(container: Any, out: Any, tracks: dict[int, Any]) -> None:
    streams = [s for s in container.streams if s.index in tracks]
    for packet in packets_of(container, streams):
        if packet.dts is not None:
            packet.stream = tracks[packet.stream.index]
            out.mux(packet)
