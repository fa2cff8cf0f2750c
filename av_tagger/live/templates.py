"""The codecs of a container's tracks, copied, so that their packets can be written again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import av

from av_tagger.media.opening import BROKEN, codec_name

RAW = ("rawvideo", "wrapped_avframe")  # of cameras: too much to remember
IN_MP4 = {"h264", "hevc", "av1", "mpeg4", "aac", "mp3", "opus", "ac3", "eac3"}
SOUND_SUFFIXES = {"aac": ".m4a", "mp3": ".mp3"}


class TrackTemplates:
    """The codecs of tracks, copied: they can be used after their source is closed."""

    def __init__(self, streams: Sequence[Any]) -> None:
        self._holder = av.open(io.BytesIO(), "w", format="nut")  # of nearly all codecs
        self.templates: list[Any] = []
        self.kinds: list[str] = []
        self.codecs: list[str] = []
        self.places: dict[int, int] = {}  # by index of the stream in the source
        for stream in streams:
            self._add(stream)

    def _add(self, stream: Any) -> None:
        """Raw pictures, and codecs that cannot be copied, are left out."""
        if codec_name(stream) in RAW:
            return
        try:
            self.templates.append(self._holder.add_stream_from_template(stream, opaque=True))
        except BROKEN:
            return
        self.places[stream.index] = len(self.kinds)
        self.kinds.append(stream.type)
        self.codecs.append(codec_name(stream))

    @property
    def has_pictures(self) -> bool:
        return "video" in self.kinds

    def suffix(self) -> str:
        """The usual container of these codecs."""
        if self.has_pictures:
            return ".mp4" if set(self.codecs) <= IN_MP4 else ".mkv"
        codec = self.codecs[0] if len(self.codecs) == 1 else ""
        return ".wav" if codec.startswith("pcm_") else SOUND_SUFFIXES.get(codec, ".mka")
