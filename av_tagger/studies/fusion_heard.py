"""What the day-one ears say of the labelled videos, held out by source: input of `fusion_fit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.studies.dayone_combine import Fitted
from av_tagger.studies.dayone_sounds import LabelledClip


def save_heard(path: Path, videos: Sequence[LabelledClip], fits: Sequence[Fitted]) -> None:
    """(videos, 17) probabilities per ear; the videos are the last of the clips fitted to."""
    arrays: dict[str, Any] = {"files": [clip.path.name for clip in videos]}
    for fitted in fits:
        name = fitted.calibration.name
        arrays[f"heard.{name}"] = fitted.held.probabilities[-len(videos) :]
        arrays[f"threshold.{name}"] = fitted.calibration.thresholds["f1"][0]
    np.savez(path, **arrays)
