"""Events for programs that annotate sound: Audacity labels, Raven selection tables, RTTM; one line an event.

A tag without events (it was seen, not heard) spans its clip. Times are seconds of the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from av_tagger.reports.files import one_line, safe_names
from av_tagger.reports.writers.sheet import Sheet, answers, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av_tagger.protocols import Outcomes
    from av_tagger.scores import Outcome

RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Annotation",
    "Score",
)
_HIGHEST_HZ = 10_000.0  # what the ear hears: half of 20 kHz


def audacity(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for tagged in answers(outcomes):
        for event, tag in timeline(tagged):
            yield f"{event.start:.6f}\t{event.end:.6f}\t{one_line(tag.label)}\n"


def raven(outcomes: Iterable[Outcome]) -> Iterator[str]:
    yield "\t".join(RAVEN_COLUMNS) + "\n"
    number = 0
    for tagged in answers(outcomes):
        for event, tag in timeline(tagged):
            number += 1
            box = f"{event.start:.6f}\t{event.end:.6f}\t0.0\t{_HIGHEST_HZ:.1f}"
            yield f"{number}\tSpectrogram 1\t1\t{box}\t{one_line(tag.label)}\t{event.peak:.4f}\n"


def rttm(outcomes: Outcomes) -> Iterator[str]:
    """SPEAKER lines, the one type that every reader of RTTM takes; fields may hold no white space, so it becomes `_`."""
    names = safe_names(tagged.clip for tagged in answers(outcomes))
    for name, one in zip(names, answers(outcomes), strict=True):
        for event, tag in timeline(one):
            label = re.sub(r"\s+", "_", one_line(tag.label))
            yield f"SPEAKER {name} 1 {event.start:.3f} {event.end - event.start:.3f} <NA> <NA> {label} {event.peak:.4f} <NA>\n"


AUDACITY = Sheet(".labels.txt", audacity, each=True)
RAVEN = Sheet(".selections.txt", raven, each=True)
RTTM = Sheet(".rttm", rttm)
