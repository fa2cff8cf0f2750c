"""The scores of a window of a clip, and those of a clip from its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion.logit import LOOKED
from av_tagger.fusion.marks import ear_limits
from av_tagger.scores import ClassScore, KeyFrame, Scores
from av_tagger.stitching import best_windows, of_windows


@dataclass(frozen=True)
class WindowResult:
    """Scores of ear and eye for one window of a clip, and the fused scores."""

    start_seconds: float
    end_seconds: float
    heard: Scores
    seen: Scores
    fused: Scores
    thresholds: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()  # one per class; see `fusion.marks`


def class_scores(
    windows: Sequence[WindowResult], ear_thresholds: NDArray[np.float64] | None
) -> tuple[list[int], list[ClassScore]]:
    """For each class the window with the largest margin, and the scores there."""
    fused = np.array([w.fused.probabilities for w in windows])
    thresholds = np.array([w.thresholds for w in windows])
    best = best_windows(fused, thresholds)
    heard, seen = (
        of_windows(best, np.array([scores.probabilities for scores in side]))
        for side in zip(*((w.heard, w.seen) for w in windows), strict=True)
    )
    deciding = thresholds[best, np.arange(len(best))].tolist()
    looked = [w.seen.status in LOOKED for w in windows]
    decided = zip(heard, deciding, [looked[i] for i in best], strict=True)
    columns = (
        [score or 0.0 for score in of_windows(best, fused)],
        heard,
        seen,
        deciding,
        [windows[i].marks[k] for k, i in enumerate(best)],
        ear_limits(ear_thresholds, decided),
    )
    return best, list(map(ClassScore, *columns))


def all_keyframes(windows: Sequence[WindowResult]) -> tuple[KeyFrame, ...]:
    """Key frames of all windows in order of time; their weights sum to one."""
    many = sum(bool(t.seen.keyframes) for t in windows)
    frames = [frame for t in windows for frame in t.seen.keyframes]
    if many > 1:
        frames = [replace(frame, weight=frame.weight / many) for frame in frames]
    return tuple(sorted(frames, key=lambda frame: frame.seconds))
