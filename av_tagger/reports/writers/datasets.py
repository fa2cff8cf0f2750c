"""Results for labelling and training programs: Label Studio, COCO-style, YOLO-like, LosslessCut.

Label Studio: one task per file, whose predictions can be corrected. COCO-style: `audios`,
`annotations` (a sound's start, end and score) and `categories`. YOLO-like: per key frame and sound
that is heard then, a line `picture class 0.5 0.5 1 1`; a sound has no box, so it is the frame.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from av_tagger.reports.files import no_formula, one_line, safe_names, utf8
from av_tagger.reports.writers.base import TextWriter, only_tagged, span, timeline
from av_tagger.scores import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av_tagger.protocols import Outcomes
    from av_tagger.scores import Outcome, Tagged

FROM_NAME, TO_NAME = "label", "audio"  # names in the labelling configuration
WHOLE_FRAME = "0.5 0.5 1 1"  # centre, width and height, relative to the picture


def losslesscut(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Rows `start,end,label` in seconds, without a heading."""
    for tagged in only_tagged(outcomes):
        for event, tag in timeline(tagged):
            line = io.StringIO()
            label = no_formula(one_line(tag.label))
            times = (f"{event.start:.3f}", f"{max(event.end, event.start + 0.001):.3f}")
            csv.writer(line, lineterminator="\n").writerow([*times, label])
            yield line.getvalue()


def label_studio(outcomes: Iterable[Outcome]) -> Iterator[str]:
    return _json_list(_task(tagged) for tagged in only_tagged(outcomes))


def _task(tagged: Tagged) -> dict[str, Any]:
    regions = [
        {
            "id": f"event-{number}",
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "type": "labels",
            "original_length": span(tagged)[1],
            "score": round(event.peak, 4),
            "value": {
                "start": event.start,
                "end": event.end,
                "channel": 0,
                "labels": [utf8(tag.label)],
            },
        }
        for number, (event, tag) in enumerate(timeline(tagged), 1)
    ]
    name = utf8(tagged.clip.name)
    prediction: dict[str, Any] = {"model_version": utf8(tagged.ear.name), "result": regions}
    if tagged.tags:
        prediction["score"] = round(max(tag.probability for tag in tagged.tags), 4)
    kind = "video" if tagged.eye.status is not Status.NO_TRACK else TO_NAME
    data = {TO_NAME: name} | ({kind: name} if kind != TO_NAME else {})
    return {"data": data, "predictions": [prediction]}


def coco(outcomes: Outcomes) -> Iterator[str]:
    """The outcomes are read several times, so that one is in memory at a time."""
    labels = _labels(outcomes)
    numbers = {label: n for n, label in enumerate(labels, 1)}
    yield '{"info": {"description": "sound events found by av-tag"},\n"audios": '
    yield from _json_list(_audios(outcomes))
    yield ',\n"annotations": '
    yield from _json_list(_annotations(outcomes, numbers))
    yield ',\n"categories": '
    yield from _json_list({"id": n, "name": utf8(label)} for label, n in numbers.items())
    yield "}\n"


def _audios(outcomes: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    for number, tagged in enumerate(only_tagged(outcomes), 1):
        start, end = span(tagged)
        yield {"id": number, "file_name": utf8(tagged.clip.name), "start": start, "end": end}


def _annotations(outcomes: Iterable[Outcome], numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    count = 0
    for number, tagged in enumerate(only_tagged(outcomes), 1):
        for event, tag in timeline(tagged):
            count += 1
            yield {
                "id": count,
                "audio_id": number,
                "category_id": numbers[tag.label],
                "start": event.start,
                "end": event.end,
                "duration": round(event.end - event.start, 6),
                "score": round(event.peak, 4),
            }


def yolo(outcomes: Outcomes) -> Iterator[str]:
    """Names of pictures are `FILE_MILLISECONDS.jpg`; numbers of classes are rows of `.names`."""
    numbers = {label: n for n, label in enumerate(_labels(outcomes))}
    names = safe_names(tagged.clip for tagged in only_tagged(outcomes))
    for name, tagged in zip(names, only_tagged(outcomes), strict=True):
        for frame in sorted(tagged.keyframes, key=lambda k: k.seconds):
            heard = [t for e, t in timeline(tagged) if e.start <= frame.seconds <= e.end]
            for label in dict.fromkeys(tag.label for tag in heard):
                picture = f"{name}_{round(1000 * frame.seconds):09d}.jpg"
                yield f"{picture} {numbers[label]} {WHOLE_FRAME}\n"


def yolo_names(outcomes: Outcomes) -> Iterator[str]:
    return (f"{one_line(label) or '-'}\n" for label in _labels(outcomes))


def _labels(outcomes: Iterable[Outcome]) -> list[str]:
    """All classes of the results: those that were scored, and those of tags without scores."""
    found: dict[str, None] = {}
    for tagged in only_tagged(outcomes):
        found.update(dict.fromkeys([*tagged.scores, *(tag.label for tag in tagged.tags)]))
    return list(found)


def _json_list(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, item in enumerate(items):
        yield ("\n" if number == 0 else ",\n") + json.dumps(item, allow_nan=False)
    yield "\n]"


LOSSLESSCUT = TextWriter(".losslesscut.csv", losslesscut, each=True)
LABEL_STUDIO = TextWriter(".label-studio.json", label_studio)
COCO = TextWriter(".coco.json", coco)
YOLO = TextWriter(".frames.yolo.txt", yolo)
YOLO_NAMES = TextWriter(".yolo.names", yolo_names)
