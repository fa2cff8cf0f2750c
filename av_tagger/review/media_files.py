"""Media of units: where the files are, which may be served, and sound that every browser plays."""

from __future__ import annotations

import io
import mimetypes
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from av_tagger.clip import Clip, is_address
from av_tagger.media.suffixes import MEDIA, SOUND
from av_tagger.path_checks import is_file
from av_tagger.protocols import DecodeRequest
from av_tagger.review.units import PlayedPart, ReviewUnit

RATE = 32_000  # Hz of sound that is decoded here
LONGEST_SOUND = 60.0  # seconds


@dataclass
class MediaFiles:
    """Looks each file up once: at its path, beside the results, and in the folders given."""

    folders: Sequence[Path] = ()
    _found: dict[str, Path | None] = field(default_factory=dict)

    def locate(self, unit: ReviewUnit) -> Path | None:
        if unit.file not in self._found:
            self._found[unit.file] = self._look(unit.file)
        return self._found[unit.file]

    def _look(self, name: str) -> Path | None:
        if is_address(name) or "\0" in name:
            return None
        path = Path(name)
        below = (path.name, f"{path.parent.name}/{path.name}")
        beside = [folder / part for folder in self.folders for part in (*below[::-1], name)]
        return next((p for p in (path, *beside) if may_be_served(p)), None)


def may_be_served(path: Path) -> bool:
    """A regular file with a media suffix; a link must lead to such a file, too."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):
        return False
    named = all(p.suffix.casefold() in MEDIA for p in (path, real))
    return named and is_file(real)


def type_of(path: Path) -> str:
    """Of audio or video in any case: a browser never takes the file for a page."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind.startswith(("audio/", "video/")):
        return kind
    return "audio/mpeg" if is_sound(path) else "video/mp4"


def is_sound(path: Path) -> bool:
    return path.suffix.casefold() in SOUND


def sound_of(path: Path, part: PlayedPart) -> bytes:
    """The part as a WAV file; MediaError where it cannot be decoded."""
    from av_tagger.media import open_media

    clip = Clip(path, part.start, min(part.end, part.start + LONGEST_SOUND))
    request = DecodeRequest(audio_rate=RATE, short_side=None)
    windows = [w.waveform.samples for w in open_media(clip, request) if w.waveform is not None]
    samples = np.concatenate(windows) if windows else np.zeros(0, np.float32)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()
