"""Pictures of a unit, where the run stored them: the spectrogram, and key frames as evidence."""

from __future__ import annotations

import json
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from av_tagger.errors import AvTaggerError
from av_tagger.reports.schema import from_json, spectrogram_of
from av_tagger.review.units import ReviewUnit, line_offsets
from av_tagger.scores import KeyFrame, Tagged

MOST_KEPT = 32  # results whose pictures stay in memory
MOST_SHOWN = 4


@dataclass(frozen=True)
class StoredPictures:
    """Pictures as JPEG or PNG; `keyframes` are those that speak for the class, best first."""

    spectrogram: bytes | None = None
    keyframes: tuple[KeyFrame, ...] = ()
    span: tuple[float, float] = (0.0, 0.0)  # seconds of the file that the spectrogram shows


NONE = StoredPictures()


@dataclass
class PictureReader:
    """Reads the lines of results again, one at a time."""

    paths: Sequence[Path]
    _offsets: dict[int, array[int]] = field(default_factory=dict)
    _kept: OrderedDict[str, StoredPictures] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, unit: ReviewUnit) -> StoredPictures:
        """None of a result that cannot be read any more."""
        if unit.live or unit.line[0] < 0:
            return NONE
        with self._lock:
            if unit.key not in self._kept:
                self._kept[unit.key] = self._read(unit)
            self._kept.move_to_end(unit.key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[unit.key]

    def _read(self, unit: ReviewUnit) -> StoredPictures:
        source, number = unit.line
        try:
            if source not in self._offsets:
                self._offsets[source] = line_offsets(self.paths[source])
            with self.paths[source].open("rb") as file:
                file.seek(self._offsets[source][number - 1])
                document = json.loads(file.readline())
            outcome = from_json(document)
            spectrogram = spectrogram_of(document)
        except (OSError, ValueError, IndexError, RecursionError, AvTaggerError):
            return NONE
        if not isinstance(outcome, Tagged) or outcome.clip.name != unit.file:
            return NONE
        start = outcome.clip.start_seconds
        span = (start, start + outcome.duration_seconds)
        return StoredPictures(spectrogram, tuple(_keyframes(outcome, unit)), span)


def _keyframes(tagged: Tagged, unit: ReviewUnit) -> list[KeyFrame]:
    """Those nearest to the evidence of the class, then those nearest to the played parts."""
    shown = [k for k in tagged.keyframes if k.picture]
    times = [e.seconds for e in unit.evidence] + [(p.start + p.end) / 2 for p in unit.parts]
    nearest = [min(shown, key=lambda k: abs(k.seconds - t)) for t in times if shown]
    return list({k.seconds: k for k in nearest}.values())[:MOST_SHOWN]
