"""Shots from the cuts of windows, and tags per shot."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_tagger.clip import Clip
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    RunInfo,
    Shot,
    Status,
    Tag,
    Tagged,
)
from av_tagger.shots import by_shot, shots_between

OK = BranchInfo(Status.OK, "m", "w")


def tagged(*tags: Tag) -> Tagged:
    """10 s; the activity of class 0 rises from 0 to 1, that of class 1 is 0.2."""
    scores = {label: ClassScore(0.9, 0.9, None, 0.5) for label in ("Train", "Bus")}
    rise = np.linspace(0, 1, 100, dtype=np.float32)
    values = np.stack([rise, np.full(100, 0.2, np.float32)], axis=1)
    run = RunInfo("1", "cpu", "f", 1.0)
    clip = Clip(Path("a.mp4"))
    return Tagged(clip, 10.0, tags, scores, (), OK, OK, run, Activity(values, 10.0))


def test_without_cuts_a_clip_is_one_shot() -> None:
    assert shots_between([()], [(0.0, 10.0)]) == [(0.0, 10.0)]


def test_cuts_of_overlapping_windows_count_once() -> None:
    cuts = [(3.0, 9.2, 9.8), (9.2, 9.8, 15.0)]
    spans = shots_between(cuts, [(0.0, 10.0), (9.0, 19.0)])
    assert spans == [(0.0, 3.0), (3.0, 9.2), (9.2, 9.8), (9.8, 15.0), (15.0, 19.0)]


def test_cuts_at_the_ends_make_no_empty_shots() -> None:
    assert shots_between([(2.0, 5.0, 8.0)], [(2.0, 8.0)]) == [(2.0, 5.0), (5.0, 8.0)]


def test_a_tag_is_in_the_shots_in_which_it_was_heard() -> None:
    train = Tag("Train", 0.9, 0.5, 0.9, None, (Event(2.0, 4.5, 0.6),))
    result = by_shot(tagged(train), [(0.0, 1.0), (1.0, 4.0), (4.0, 10.0)])
    (tag,) = result.tags
    assert [(e.start, e.end) for e in tag.events] == [(1.0, 4.0), (4.0, 10.0)]
    assert tag.events[1].peak == 1.0
    assert [shot.tags for shot in result.shots] == [
        (),
        (("Train", tag.events[0].peak),),
        (("Train", 1.0),),
    ]


def test_the_end_of_an_event_does_not_spill_over_a_cut() -> None:
    train = Tag("Train", 0.9, 0.5, 0.9, None, (Event(2.0, 4.05, 0.6),))
    (tag,) = by_shot(tagged(train), [(0.0, 4.0), (4.0, 10.0)]).tags
    assert [(e.start, e.end) for e in tag.events] == [(0.0, 4.0)]


def test_a_tag_that_was_only_seen_is_where_it_was_seen() -> None:
    seen = (Evidence(5.0, "school bus", 0.7, 0.9), Evidence(5.5, "minibus", 0.2, 0.9))
    bus = Tag("Bus", 0.7, 0.5, None, 0.7, (), seen)
    result = by_shot(tagged(bus), [(0.0, 4.0), (4.0, 10.0)])
    assert result.shots == (Shot(0.0, 4.0), Shot(4.0, 10.0, (("Bus", 0.7),)))
