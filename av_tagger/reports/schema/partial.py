"""Partial results: the tags of one window, while the rest of a long file is still being tagged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from av_tagger.reports.schema.read import SCHEMA, Document

if TYPE_CHECKING:
    from av_tagger.clip import Clip
    from av_tagger.fusion.windows import WindowResult

PARTIAL = "partial"  # the key by which readers know such a line; it has no "tags" of its own


def partial_line(clip: Clip, window: WindowResult) -> str:
    """One line of JSON without line end: classes at or above their thresholds in the window."""
    part = {
        "start": round(window.start_seconds, 3),
        "end": round(window.end_seconds, 3),
        "tags": _tags(window),
    }
    document: Document = {"schema": SCHEMA, "file": clip.name, PARTIAL: part}
    return json.dumps(document, allow_nan=False)


def _tags(window: WindowResult) -> list[Document]:
    """Most probable first."""
    fused = window.fused.probabilities
    rows = [
        {"label": label, "probability": round(float(p), 6)}
        for label, p, threshold in zip(window.fused.labels, fused, window.thresholds, strict=True)
        if p >= threshold
    ]
    return sorted(rows, key=lambda row: -float(row["probability"]))
