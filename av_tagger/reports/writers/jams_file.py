"""Results as JAMS documents: tags of the clip, and events, in the namespace `tag_open`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from av_tagger.reports.writers.base import TextWriter, only_tagged, span, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av_tagger.scores import Outcome, Tagged

JAMS_VERSION = "0.3.4"  # of the format


def jams(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for tagged in only_tagged(outcomes):
        yield json.dumps(_document(tagged), indent=1, allow_nan=False) + "\n"


def _document(tagged: Tagged) -> dict[str, Any]:
    start, end = span(tagged)
    tags = [_row(start, end, tag.label, tag.probability) for tag in tagged.tags]
    events = [
        _row(event.start, event.end, tag.label, event.peak if tag.events else None)
        for event, tag in timeline(tagged)
    ]
    identifiers = {"file": tagged.clip.name}
    return {
        "annotations": [
            _annotation(tagged, tags, "tags of the clip; confidence: their probability"),
            _annotation(tagged, events, "events; confidence: their peak activity"),
        ],
        "file_metadata": {
            "title": tagged.clip.path.name,
            "artist": "",
            "release": "",
            "duration": round(end, 3),  # at least: the end of the tagged part
            "identifiers": identifiers,
            "jams_version": JAMS_VERSION,
        },
        "sandbox": {"run": {"version": tagged.run.version, "fingerprint": tagged.run.fingerprint}},
    }


def _annotation(tagged: Tagged, data: list[dict[str, Any]], what: str) -> dict[str, Any]:
    start, _ = span(tagged)
    return {
        "namespace": "tag_open",
        "data": data,
        "time": round(start, 3),
        "duration": round(tagged.duration_seconds, 3),
        "annotation_metadata": {
            "annotation_tools": f"av-tag {tagged.run.version}",
            "annotation_rules": what,
            "data_source": "program",
            "version": tagged.run.version,
            "corpus": "",
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "validation": "",
        },
        "sandbox": {},
    }


def _row(start: float, end: float, label: str, confidence: float | None) -> dict[str, Any]:
    return {
        "time": round(start, 3),
        "duration": round(end - start, 3),
        "value": label,
        "confidence": None if confidence is None else round(confidence, 6),
    }


JAMS = TextWriter(".jams", jams, each=True)
