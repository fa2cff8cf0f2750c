"""Captions: cues that can be read, exact cues with their numbers, times and escapes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.reports.writers.captions import (
    LEAST_MS,
    MOST_LINES,
    exact_cues,
    readable_cues,
    srt,
    vtt,
)
from av_tagger.scores import Event, Tag, Tagged
from tests.reports.conftest import street


def with_tags(tagged: Tagged, *tags: Tag) -> Tagged:
    return replace(tagged, tags=tags, activity=None)


def tag(label: str, *spans: tuple[float, float], peak: float = 0.9) -> Tag:
    return Tag(label, 0.6, 0.3, 0.6, None, tuple(Event(a, b, peak) for a, b in spans))


class TestExact:
    def test_a_tag_without_events_shows_its_probability_over_the_clip(self, tagged: Tagged) -> None:
        found = exact_cues(with_tags(tagged, tag("Bus")))
        assert found == [(0, 10_000, ("Bus (probability 0.60)",))]

    def test_pauses_have_no_cue(self, tagged: Tagged) -> None:
        found = exact_cues(with_tags(tagged, tag("Horn", (1, 2), (4, 5))))
        assert [(start, end) for start, end, _ in found] == [(1000, 2000), (4000, 5000)]

    def test_other_peaks_are_other_cues(self, tagged: Tagged) -> None:
        horn = replace(tag("Horn"), events=(Event(1, 2, 0.9), Event(2, 3, 0.5)))
        lines = [text for _, _, text in exact_cues(with_tags(tagged, horn))]
        assert lines == [("Horn (peak 0.90)",), ("Horn (peak 0.50)",)]


class TestReadable:
    def test_labels_come_alone(self, tagged: Tagged) -> None:
        found = readable_cues(with_tags(tagged, tag("Horn", (1, 4))))
        assert found == [(1000, 4000, ("Horn",))]

    def test_a_short_sound_is_shown_long_enough(self, tagged: Tagged) -> None:
        found = readable_cues(with_tags(tagged, tag("Horn", (1, 1.2), (9.9, 10))))
        assert found == [(1000, 2500, ("Horn",)), (8500, 10_000, ("Horn",))]

    def test_short_pauses_are_bridged(self, tagged: Tagged) -> None:
        horn = tag("Horn", (1, 2), (2.4, 3), (3.9, 5), (8, 9.5))
        found = readable_cues(with_tags(tagged, horn))
        assert found == [(1000, 5000, ("Horn",)), (8000, 9500, ("Horn",))]

    def test_parents_are_folded_where_their_kind_is_heard(self, tagged: Tagged) -> None:
        found = readable_cues(with_tags(tagged, tag("Dog", (0, 4)), tag("Animal", (0, 8))))
        assert found == [(0, 4000, ("Dog",)), (4000, 8000, ("Animal",))]

    def test_at_most_three_lines_the_most_probable_first(self, tagged: Tagged) -> None:
        sounds = [replace(tag(f"Sound {k}", (0, 5)), probability=k / 10) for k in range(1, 6)]
        ((_, _, lines),) = readable_cues(with_tags(tagged, *sounds))
        assert lines == ("Sound 5", "Sound 4", "Sound 3")

    def test_a_pause_before_a_sound_is_not_captioned(self, tagged: Tagged) -> None:
        found = readable_cues(with_tags(tagged, tag("Horn", (0, 2)), tag("Bus", (3.5, 6))))
        assert found == [(0, 2000, ("Horn",)), (3500, 6000, ("Bus",))]

    times = st.tuples(st.integers(0, 98), st.integers(1, 40)).map(
        lambda pair: (pair[0] / 10, min(10.0, (pair[0] + pair[1]) / 10))
    )
    sounds = st.lists(st.tuples(st.sampled_from("ABCDEF"), st.lists(times, max_size=5)), max_size=6)

    @settings(max_examples=150, deadline=None)
    @given(sounds)
    def test_every_cue_can_be_read_and_every_sound_is_named(
        self, sounds: list[tuple[str, list[tuple[float, float]]]]
    ) -> None:
        tags = [tag(label, *spans) for label, spans in dict(sounds).items() if spans]
        found = readable_cues(with_tags(street(), *tags))
        assert all(
            end - start >= LEAST_MS and 1 <= len(lines) <= MOST_LINES for start, end, lines in found
        )
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))
        assert all(start >= 0 and end <= 10_000 for start, end, _ in found)
        if len(tags) <= MOST_LINES:
            named = {label for _, _, lines in found for label in lines}
            assert named == {one.label for one in tags}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "00:00:00.000"), (61.5, "00:01:01.500"), (3723.25, "01:02:03.250")]
)
def test_time_stamps(seconds: float, text: str, tagged: Tagged) -> None:
    one = with_tags(tagged, tag("Horn", (seconds, seconds + 2)))
    assert f"\n{text} --> " in "".join(vtt([one], exact_cues))
    assert f"1\n{text.replace('.', ',')} --> " in "".join(srt([one], exact_cues))


def test_srt_cues_are_numbered_over_all_files(tagged: Tagged) -> None:
    one = with_tags(tagged, tag("Horn", (1, 3), (6, 8)))
    numbers = [line for line in "".join(srt([one, one])).splitlines() if line.isdigit()]
    assert numbers == ["1", "2", "3", "4"]


def test_a_file_without_tags_has_no_cues(tagged: Tagged) -> None:
    assert "".join(vtt([with_tags(tagged)])) == "WEBVTT\n"
    assert "".join(srt([with_tags(tagged)])) == ""
