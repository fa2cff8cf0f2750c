"""Results as DCASE 2017 task 4 wants them handed in: tab-separated rows `file start end label`, no header.

Subtask A (tagging): one row a tag, start and end as in the original video when the file is named like those of the data set
(an id of 11 characters, `_start_end`), else those of the clip. Subtask B (detection): one row an event, in seconds of the clip.
File names lose the `Y` that files on disk carry and are called `.wav`, as in the official lists. A file without tags, or one that
failed, is a bare file name: it was asked, and it counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from av_tagger.dcase.names import parse_name, public_name
from av_tagger.reports.files import one_line
from av_tagger.reports.writers.sheet import Sheet, occurrences, span
from av_tagger.scores import Failed, Outcome, Tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def subtask_a(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        name = _name(outcome)
        if isinstance(outcome, Failed) or not outcome.tags:
            yield f"{name}\n"
            continue
        start, end = _span(outcome)
        for tag in outcome.tags:
            yield f"{name}\t{start:.3f}\t{end:.3f}\t{one_line(tag.label)}\n"


def subtask_b(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        name = _name(outcome)
        if isinstance(outcome, Failed) or not outcome.tags:
            yield f"{name}\n"
            continue
        offset = outcome.clip.start_seconds
        for tag in outcome.tags:
            for event in occurrences(outcome, tag):
                yield f"{name}\t{event.start - offset:.3f}\t{event.end - offset:.3f}\t{one_line(tag.label)}\n"


def _name(outcome: Outcome) -> str:
    return one_line(public_name(outcome.clip.path.name))


def _span(tagged: Tagged) -> tuple[float, float]:
    named = parse_name(tagged.clip.path.name)
    return (named.start, named.end) if named else span(tagged)


SUBTASK_A = Sheet(".subtask_a.tsv", subtask_a)
SUBTASK_B = Sheet(".subtask_b.tsv", subtask_b)
