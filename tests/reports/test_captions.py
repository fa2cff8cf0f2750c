"""Captions: times, joined cues, and the names of their numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from av_tagger.reports.writers.captions import cues, srt, vtt
from av_tagger.scores import Event, Tag, Tagged


def with_tags(tagged: Tagged, *tags: Tag) -> Tagged:
    return replace(tagged, tags=tags, activity=None)


def tag(label: str, *spans: tuple[float, float], peak: float = 0.9) -> Tag:
    return Tag(label, 0.6, 0.3, 0.6, None, tuple(Event(a, b, peak) for a, b in spans))


def test_a_tag_without_events_shows_its_probability_over_the_whole_clip(tagged: Tagged) -> None:
    assert cues(with_tags(tagged, tag("Bus"))) == [(0, 10_000, ("Bus (probability 0.60)",))]


def test_pauses_have_no_cue(tagged: Tagged) -> None:
    found = cues(with_tags(tagged, tag("Horn", (1, 2), (4, 5))))
    assert [(start, end) for start, end, _ in found] == [(1000, 2000), (4000, 5000)]


def test_other_peaks_are_other_cues(tagged: Tagged) -> None:
    horn = replace(tag("Horn"), events=(Event(1, 2, 0.9), Event(2, 3, 0.5)))
    lines = [text for _, _, text in cues(with_tags(tagged, horn))]
    assert lines == [("Horn (peak 0.90)",), ("Horn (peak 0.50)",)]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "00:00:00.000"), (61.5, "00:01:01.500"), (3723.25, "01:02:03.250")]
)
def test_time_stamps(seconds: float, text: str, tagged: Tagged) -> None:
    one = with_tags(tagged, tag("Horn", (seconds, seconds + 1)))
    assert f"\n{text} --> " in "".join(vtt([one]))
    assert f"1\n{text.replace('.', ',')} --> " in "".join(srt([one]))


def test_srt_cues_are_numbered_over_all_files(tagged: Tagged) -> None:
    one = with_tags(tagged, tag("Horn", (1, 2), (3, 4)))
    numbers = [line for line in "".join(srt([one, one])).splitlines() if line.isdigit()]
    assert numbers == ["1", "2", "3", "4"]


def test_a_file_without_tags_has_no_cues(tagged: Tagged) -> None:
    assert "".join(vtt([with_tags(tagged)])) == "WEBVTT\n"
    assert "".join(srt([with_tags(tagged)])) == ""
