"""Events for annotation programs, one line per event: Audacity, Raven, RTTM.

A tag without events (seen, not heard) spans its clip, and has no peak. Times are seconds of the
file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from av_tagger.reports.files import one_line, safe_names
from av_tagger.reports.writers.base import TextWriter, only_tagged, timeline

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
    "Peak",
    "Probability",
)
_HIGHEST_HZ = 10_000.0  # half of the ear's sampling rate


def audacity(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for tagged in only_tagged(outcomes):
        for event, tag in timeline(tagged):
            yield f"{event.start:.6f}\t{event.end:.6f}\t{one_line(tag.label)}\n"


def raven(outcomes: Iterable[Outcome]) -> Iterator[str]:
    yield "\t".join(RAVEN_COLUMNS) + "\n"
    number = 0
    for tagged in only_tagged(outcomes):
        for event, tag in timeline(tagged):
            number += 1
            box = f"{event.start:.6f}\t{event.end:.6f}\t0.0\t{_HIGHEST_HZ:.1f}"
            peak = f"{event.peak:.4f}" if tag.events else ""
            numbers = f"{peak}\t{tag.probability:.4f}"
            yield f"{number}\tSpectrogram 1\t1\t{box}\t{one_line(tag.label)}\t{numbers}\n"


def rttm(outcomes: Outcomes) -> Iterator[str]:
    """SPEAKER lines, the type that all readers of RTTM know; spaces in labels become `_`.

    The confidence is the event's peak.
    """
    names = safe_names(tagged.clip for tagged in only_tagged(outcomes))
    for name, one in zip(names, only_tagged(outcomes), strict=True):
        for event, tag in timeline(one):
            label = re.sub(r"\s+", "_", one_line(tag.label))
            time = f"{event.start:.3f} {event.end - event.start:.3f}"
            peak = f"{event.peak:.4f}" if tag.events else "<NA>"
            yield f"SPEAKER {name} 1 {time} <NA> <NA> {label} {peak} <NA>\n"


AUDACITY = TextWriter(".labels.txt", audacity, each=True)
RAVEN = TextWriter(".selections.txt", raven, each=True)
RTTM = TextWriter(".rttm", rttm)
