"""The ensemble ear: several ears heard on the same sound, their logits weighted and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.calibration import HEAD, Calibration, Floats, column_of
from av_tagger.audio.waveforms import check_waveforms, resampled
from av_tagger.clip import Waveform
from av_tagger.errors import WeightsError
from av_tagger.protocols import AudioBranch
from av_tagger.scores import Activity, BranchInfo, Scores, Status


class CombinedEar:
    """One or more ears behind a calibration, as one `AudioBranch`.

    Sound is decoded once, at the highest rate of the parts, and resampled for the others. The
    timeline has the finest frame rate of the parts; frames are combined as clips are.
    """

    def __init__(self, parts: Sequence[AudioBranch], calibration: Calibration) -> None:
        if len(parts) != len(calibration.parts):
            raise ValueError(f"{len(parts)} ears for a calibration of {calibration.parts}")
        self.parts = tuple(parts)
        self.calibration = calibration
        self._columns = [
            _columns(self.parts[s.part], calibration, i) for i, s in enumerate(calibration.sources)
        ]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.calibration.labels

    @property
    def rate(self) -> int:
        return max(part.rate for part in self.parts)

    @property
    def thresholds(self) -> dict[str, Floats]:
        """(labels,) by operating point: `f1`, `precision`."""
        return dict(self.calibration.thresholds)

    @property
    def info(self) -> BranchInfo:
        files = "+".join(str(part.info.weights) for part in self.parts)
        return BranchInfo(Status.OK, self.calibration.name, files)

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        check_waveforms(waveforms, self.rate)
        heard = [part.hear([resampled(w, part.rate) for w in waveforms]) for part in self.parts]
        return [self._combined(scores) for scores in zip(*heard, strict=True)]

    def _combined(self, scores: Sequence[Scores]) -> Scores:
        """Of one waveform: the scores of every part."""
        silent = next((s for s in scores if not s.has_opinion), None)
        if silent is not None:
            return Scores.silent(self.labels, silent.status)
        clip = self.calibration.combine(self._by_source([s.probabilities for s in scores]))
        status = next((s.status for s in scores if s.status is not Status.OK), Status.OK)
        return Scores(self.labels, clip, status, self._timeline([s.activity for s in scores]))

    def _timeline(self, activities: Sequence[Activity | None]) -> Activity | None:
        known = [a for a in activities if a is not None]
        if len(known) < len(activities):
            return None
        finest = max(known, key=lambda a: a.rate)
        frames = [_at_rate(a, finest) for a in known]
        values = self.calibration.combine(self._by_source(frames))
        return replace(finest, values=values.astype(np.float32))

    def _by_source(self, values: Sequence[NDArray[np.floating]]) -> list[NDArray[np.floating]]:
        """(..., labels) for each source of the calibration; NaN for a class it does not know."""
        return [
            np.where(columns >= 0, values[s.part][..., columns], np.nan)
            for s, columns in zip(self.calibration.sources, self._columns, strict=True)
        ]


def _columns(part: AudioBranch, calibration: Calibration, source: int) -> NDArray[np.int64]:
    """Where each class stands among the part's scores; every class with a weight must be there."""
    prefix = HEAD if calibration.sources[source].head else ""
    columns = column_of([prefix + label for label in calibration.labels], part.labels)
    missing = (columns < 0) & (calibration.weights[source] != 0)
    if missing.any():
        label = calibration.labels[int(np.argmax(missing))]
        raise WeightsError(
            f"{part.info.weights or part.info.model}: does not know {label!r}, which the "
            f"calibration of {calibration.name} expects; these weights are of another version"
        )
    return columns


def _at_rate(activity: Activity, finest: Activity) -> NDArray[np.float32]:
    """The frames that cover the middle of each of the finest timeline's frames."""
    middles = (np.arange(len(finest.values)) + 0.5) / finest.rate
    rows = np.minimum((middles * activity.rate).astype(np.int64), len(activity.values) - 1)
    return activity.values[rows]
