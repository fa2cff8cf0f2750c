"""Submissions to DCASE 2017 task 4: tab-separated rows `file start end label`, without a header.

Subtask A (tagging): one row per tag. Start and end are those of the original video if the file is
named like a clip of the data set (id of 11 characters, `_start_end`), else those of the clip.
Subtask B (detection): one row per event, in seconds of the clip. Names have no leading `Y` and end
in `.wav`, as in the official lists. A file without tags, or one that failed, is a bare name, since
clips without a row are not scored. The file of subtask B also comes as `.txt`, which newer versions
of sed_eval read without a heading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from av_tagger.dcase.names import parse_name, public_name
from av_tagger.dcase.submission import in_readable_order
from av_tagger.reports.files import one_line
from av_tagger.reports.writers.base import TextWriter, occurrences, span
from av_tagger.scores import Failed, Outcome, Tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def subtask_a(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        name = _name(outcome)
        if isinstance(outcome, Failed) or not outcome.tags:
            yield f"{name}\n"
            continue
        for tag in outcome.tags:
            yield _row(name, *_span(outcome), tag.label)


def subtask_b(outcomes: Iterable[Outcome]) -> Iterator[str]:
    return in_readable_order(_event_rows(outcomes))


def _event_rows(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        name = _name(outcome)
        if isinstance(outcome, Failed) or not outcome.tags:
            yield f"{name}\n"
            continue
        offset = outcome.clip.start_seconds
        for tag in outcome.tags:
            for event in occurrences(outcome, tag):
                yield _row(name, event.start - offset, event.end - offset, tag.label)


def _row(name: str, start: float, end: float, label: str) -> str:
    return f"{name}\t{start:.3f}\t{end:.3f}\t{one_line(label)}\n"


def _name(outcome: Outcome) -> str:
    return one_line(public_name(outcome.clip.path.name))


def _span(tagged: Tagged) -> tuple[float, float]:
    named = parse_name(tagged.clip.path.name)
    return (named.start, named.end) if named else span(tagged)


SUBTASK_A = TextWriter(".subtask_a.tsv", subtask_a)
SUBTASK_B = TextWriter(".subtask_b.tsv", subtask_b)
SUBTASK_B_TEXT = TextWriter(".subtask_b.txt", subtask_b)
