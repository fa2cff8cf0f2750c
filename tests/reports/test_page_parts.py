"""The parts of a page: cards, key frames, table, player and timeline, one by one."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.reports.html.cards import EVENTS_SHOWN, tag_cards
from av_tagger.reports.html.keyframes import FRAMES_SHOWN, keyframe_cards
from av_tagger.reports.html.markup import Html, h, join
from av_tagger.reports.html.parts import (
    clock,
    is_known,
    match,
    meter,
    named,
    seek_button,
    seen_object,
    two_digits,
)
from av_tagger.reports.html.player import PageOptions, player
from av_tagger.reports.html.table import class_table
from av_tagger.reports.html.timeline import COLOURS, Scale, lanes_of, scale_of, timeline
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    KeyFrame,
    Status,
    Tag,
    Tagged,
)


def text_of(html: str) -> str:
    """The text of some HTML, without tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def cards(tagged: Tagged) -> Html:
    return tag_cards(tagged, lanes_of(tagged, scale_of(tagged)))


def frames(tagged: Tagged) -> Html:
    return keyframe_cards(tagged, lanes_of(tagged, scale_of(tagged)))


def lanes_html(tagged: Tagged, spectrogram: bytes | None = None) -> Html:
    scale = scale_of(tagged)
    return timeline(tagged, scale, lanes_of(tagged, scale), spectrogram)


class TestMarkup:
    @pytest.mark.parametrize(
        ("children", "html"),
        [
            (None, ""),
            ("a < b & c", "a &lt; b &amp; c"),
            (Html("<b>x</b>"), "<b>x</b>"),
            (["a", None, [Html("<i>")], "&"], "a<i>&amp;"),
        ],
    )
    def test_join(self, children: object, html: str) -> None:
        assert join(children) == html  # type: ignore[arg-type]

    def test_attributes(self) -> None:
        assert h("a", {"x": 1, "hidden": True, "y": None, "z": False}) == '<a x="1" hidden></a>'
        assert h("a", {"title": "\"'<&>"}) == '<a title="&quot;&#x27;&lt;&amp;&gt;"></a>'

    def test_void_elements_have_no_end(self) -> None:
        assert h("img", {"src": "x"}) == '<img src="x">'
        assert h("rect", {"width": "1"}) == '<rect width="1"></rect>'


class TestParts:
    @pytest.mark.parametrize(
        ("value", "text"), [(0.126, "0.13"), (1, "1.00"), (None, "–"), (math.nan, "–")]
    )
    def test_numbers(self, value: float | None, text: str) -> None:
        assert two_digits(value) == text
        assert named(value, "peak") == f'<small title="peak">{text}</small>'
        assert is_known(value) is (text != "–")

    @pytest.mark.parametrize(
        ("seconds", "digits", "text"),
        [
            (0.04, 1, "0:00.0"),
            (59.96, 1, "1:00.0"),
            (59.4, 0, "0:59"),
            (3600, 0, "1:00:00"),
            (7.125, 2, "0:07.12"),
            (math.inf, 1, "?"),
        ],
    )
    def test_clock(self, seconds: float, digits: int, text: str) -> None:
        assert clock(seconds, digits) == text

    def test_a_seek_button_holds_its_time(self) -> None:
        button = seek_button(3.25, "<now>")
        assert button == '<button type="button" data-seek="3.250">&lt;now&gt;</button>'

    def test_a_meter_has_a_tick_only_for_a_threshold_that_can_be_reached(self) -> None:
        assert 'width="50.0%"' in meter(0.5)
        assert "<line" not in meter(0.5)
        assert "<line" not in meter(0.5, math.inf)
        assert 'x1="30.0%"' in meter(0.5, 0.3)

    def test_a_chain_names_its_numbers(self) -> None:
        evidence = Evidence(3.0, "bus <1>", 0.4, 0.7)
        chain = join([seen_object(evidence), match(evidence)])
        assert text_of(chain) == "bus &lt;1&gt; 0.40 match 0.70"
        assert 'title="probability of the object in the key frame">0.40' in chain
        assert "by its name or definition" in chain


class TestCards:
    def test_a_card_names_probability_and_peaks(self, tagged: Tagged) -> None:
        text = text_of(cards(tagged))
        assert "Train horn probability 0.81 heard 0.90 seen 0.42" in text
        assert "0:01.0 – 0:02.5 peak 0.95" in text
        assert "0:06.0 – 0:07.2 peak 0.60" in text
        assert "No single event: seen rather than heard." in text

    def test_an_object_of_no_probability_is_no_reason(self, tagged: Tagged) -> None:
        horn, bus = tagged.tags
        faint = replace(bus.evidence[0], object="stopwatch", probability=0.004)
        html = cards(replace(tagged, tags=(horn, replace(bus, evidence=(*bus.evidence, faint)))))
        assert "minibus 0.34" in text_of(html)
        assert "stopwatch" not in html

    def test_colours_follow_the_lanes(self, tagged: Tagged) -> None:
        tags = tuple(replace(tagged.tags[0], label=f"class {k}") for k in range(COLOURS + 1))
        scores = {tag.label: ClassScore(0.5, 0.5, None, 0.3) for tag in tags}
        html = cards(replace(tagged, tags=tags, scores=scores, activity=None))
        found = [int(k) for k in re.findall(r'class="card c(\d)"', html)]
        assert found == [*range(COLOURS), 0]

    def test_many_events_are_counted(self, tagged: Tagged) -> None:
        events = tuple(Event(float(n), n + 0.5, 0.9) for n in range(EVENTS_SHOWN + 3))
        html = cards(replace(tagged, tags=(replace(tagged.tags[0], events=events),)))
        assert html.partition("<details")[0].count("peak") == EVENTS_SHOWN
        assert html.count("data-seek") == EVENTS_SHOWN + 3 + len(tagged.tags[0].evidence)
        assert "and 3 more" in text_of(html), "the summary that opens the rest"

    def test_without_tags_the_nearest_class_is_named(self, tagged: Tagged) -> None:
        scores = {
            "Bus": ClassScore(0.30, 0.3, None, 0.35),
            "Car": ClassScore(0.40, 0.4, None, 0.90),
            "Dog": ClassScore(0.99, None, None, math.inf),
        }
        text = text_of(cards(replace(tagged, tags=(), scores=scores, activity=None)))
        assert "The nearest is Bus: probability 0.30, threshold 0.35." in text

    def test_without_scores_no_class_is_named(self, tagged: Tagged) -> None:
        text = text_of(cards(replace(tagged, tags=(), scores={}, activity=None)))
        assert text == "Tags No class reaches its threshold."

    def test_a_branch_without_an_opinion_has_no_meter(self, tagged: Tagged) -> None:
        tag = replace(tagged.tags[0], seen=None)
        html = cards(replace(tagged, tags=(tag,)))
        assert html.count("<svg") == 1
        assert "seen –" in text_of(html)

    def test_heard_and_seen_are_left_out_where_there_is_one_of_them(self, tagged: Tagged) -> None:
        """The one score is the probability itself."""
        tags = tuple(replace(tag, seen=None) for tag in tagged.tags)
        scores = {label: replace(score, seen=None) for label, score in tagged.scores.items()}
        deaf = replace(tagged, tags=tags, scores=scores)
        assert "heard-seen" not in cards(deaf)
        heads = re.findall(r'<th scope="col".*?</th>', class_table(deaf))
        assert [text_of(head) for head in heads] == ["Class", "Probability", "Threshold"]


class TestKeyFrames:
    def test_each_frame_has_time_weight_evidence_and_objects(self, tagged: Tagged) -> None:
        html = frames(tagged)
        first, second = re.findall(r"<li><button.*?</li></ul></li>", html)
        assert text_of(first).startswith("0:03.2 stands for 60 % of the clip electric locomotive")
        assert "trolleybus 0.30 Bus match 0.71" in text_of(first)
        assert "minibus 0.34 Bus match 0.83" in text_of(second)
        assert text_of(second).endswith("street sign 0.20"), "objects without evidence come last"

    def test_an_object_is_named_once_for_all_its_classes(self, tagged: Tagged) -> None:
        horn, bus = tagged.tags
        train = replace(horn.evidence[0], object="trolleybus", probability=0.3, similarity=0.5)
        tags = (replace(horn, evidence=(*horn.evidence, train)), bus)
        first = text_of(frames(replace(tagged, tags=tags))).split(" 0:08.1 ")[0]
        assert first.endswith("trolleybus 0.30 Train horn match 0.50 Bus match 0.71")
        assert first.count("trolleybus") == 1

    def test_the_alternative_text_names_the_objects(self, tagged: Tagged) -> None:
        assert 'alt="key frame: electric locomotive, trolleybus"' in frames(tagged)
        nothing = replace(tagged.keyframes[0], objects=())
        assert "nothing recognised" in frames(replace(tagged, keyframes=(nothing,), tags=()))

    def test_frames_with_evidence_are_shown_first_of_many(self, tagged: Tagged) -> None:
        many = tuple(KeyFrame(float(n), 1 - n / 1000) for n in range(100))
        tag = replace(tagged.tags[0], evidence=(Evidence(99.0, "bus", 0.5, 0.5),))
        html = frames(replace(tagged, keyframes=many, tags=(tag,)))
        shown = [float(t) for t in re.findall(r'class="shot" data-seek="([\d.]+)"', html)]
        assert html.count("data-seek") == 100, "the others are behind a line that opens"
        assert len(shown) == FRAMES_SHOWN
        assert shown == [*map(float, range(FRAMES_SHOWN - 1)), 99.0]
        assert "and 52 more" in text_of(html)

    def test_the_arrow_is_explained_only_if_there_is_one(self, tagged: Tagged) -> None:
        assert "match: how strongly" in frames(tagged)
        assert "match: how strongly" not in frames(replace(tagged, tags=()))

    def test_a_frame_without_a_picture(self, tagged: Tagged) -> None:
        html = frames(replace(tagged, keyframes=(KeyFrame(1.0, math.nan),), tags=()))
        assert "no picture stored" in html
        assert "stands for" not in html


class TestTable:
    def test_columns_and_order(self, tagged: Tagged) -> None:
        html = class_table(tagged)
        heads = re.findall(r'<th scope="col".*?</th>', html)
        names = ["Class", "Heard", "Seen", "Probability", "Threshold"]
        assert [text_of(head) for head in heads] == names
        assert 'aria-sort="descending"' in heads[3]
        rows = [text_of(row) for row in re.findall(r"<tr[^>]*>.*?</tr>", html)[1:]]
        assert rows[0] == "Train horn tag 0.90 0.42 0.81 0.35"
        assert rows[1] == "Bus tag 0.20 0.64 0.55 0.40"
        assert len(rows) == 17

    def test_missing_numbers_are_dashes_and_sort_last(self, tagged: Tagged) -> None:
        scores = {
            "Bus": ClassScore(math.nan, None, math.nan, math.inf),
            "Car": ClassScore(0.1, None, 0.1, 0.5),
            "Train": ClassScore(0.2, 0.2, 0.3, 0.5),
        }
        html = class_table(replace(tagged, scores=scores, tags=()))
        rows = [text_of(row) for row in re.findall(r"<tr[^>]*>.*?</tr>", html)[1:]]
        assert rows == ["Train 0.20 0.30 0.20 0.50", "Car – 0.10 0.10 0.50", "Bus – – – –"]
        assert html.count('data-value="-1"') == 5

    def test_a_class_over_its_threshold_that_is_no_tag_says_why(self, tagged: Tagged) -> None:
        """Vehicle, beside Bus: the same sound, which is tagged already."""
        high = ClassScore(0.9, 0.9, 0.9, 0.4)
        scores = {"Bus": high, "Vehicle": high, "Dog": high, "Cat": replace(high, fused=0.3)}
        html = class_table(replace(tagged, scores=scores))
        rows = [text_of(row) for row in re.findall(r"<tr[^>]*>.*?</tr>", html)[1:]]
        assert [row.partition(" 0.90 ")[0] for row in rows] == [
            "Bus tag",
            "Vehicle see Bus",
            "Dog left out",
            "Cat",
        ]
        assert "a tag names the same sound more exactly: Bus" in html
        assert html.count('class="tagged"') == 1


class TestPlayer:
    def of(self, tagged: Tagged, path: Path, target: Path, **options: object) -> str:
        one = replace(tagged, clip=Clip(path))
        return player(one, target, PageOptions(**options))  # type: ignore[arg-type]

    def test_a_video_has_the_heaviest_key_frame_as_poster(
        self, tagged: Tagged, tmp_path: Path
    ) -> None:
        html = self.of(tagged, tmp_path / "a b.mp4", tmp_path / "page.html")
        assert 'src="a%20b.mp4"' in html
        assert html.startswith('<div class="player"><video')
        assert 'poster="data:image/jpeg;base64,' in html

    def test_a_sound_file_has_no_poster(self, tagged: Tagged, tmp_path: Path) -> None:
        html = self.of(tagged, tmp_path / "a.wav", tmp_path / "page.html")
        assert "<audio" in html
        assert "poster" not in html

    def test_a_video_without_pictures_is_played_as_sound(
        self, tagged: Tagged, tmp_path: Path
    ) -> None:
        blind = replace(tagged, eye=BranchInfo(Status.NO_TRACK, "sparse"))
        assert "<audio" in self.of(blind, tmp_path / "a.mp4", tmp_path / "page.html")

    @pytest.mark.parametrize(("limit", "embedded"), [(4, True), (3, False)])
    def test_files_above_the_limit_are_linked(
        self, limit: int, embedded: bool, tagged: Tagged, tmp_path: Path
    ) -> None:
        (tmp_path / "a.mp4").write_bytes(b"film")
        options = {"embed": True, "embed_limit": limit}
        html = self.of(tagged, tmp_path / "a.mp4", tmp_path / "page.html", **options)
        assert ("data:video/mp4;base64,ZmlsbQ==" in html) is embedded

    def test_the_link_leads_out_of_the_folder_of_pages(
        self, tagged: Tagged, tmp_path: Path
    ) -> None:
        html = self.of(tagged, tmp_path / "in" / "a.mp4", tmp_path / "out" / "pages" / "p.html")
        assert 'src="../../in/a.mp4"' in html


class TestTimeline:
    def test_events_are_bars_at_their_times(self, tagged: Tagged) -> None:
        bars = re.findall(r'class="event" x="([\d.]+)%" width="([\d.]+)%"', lanes_html(tagged))
        assert bars == [("10.0", "15.0"), ("60.0", "12.5")]

    def test_a_tag_without_events_is_framed(self, tagged: Tagged) -> None:
        assert lanes_html(tagged).count('class="whole"') == 1

    def test_other_classes_are_folded_if_there_are_tags(self, tagged: Tagged) -> None:
        assert '<details class="others"><summary>15 other classes' in lanes_html(tagged)
        without = lanes_html(replace(tagged, tags=()))
        assert '<details class="others" open><summary>17 classes' in without

    def test_activity_now_is_named(self, tagged: Tagged) -> None:
        assert lanes_html(tagged).count('title="activity now"') == 17
        assert "activity now" not in lanes_html(replace(tagged, activity=None))

    def test_key_frames_and_spectrogram_have_rows_if_there_are_any(self, tagged: Tagged) -> None:
        html = lanes_html(tagged, b"\x89PNG")
        assert html.count("<circle") == 2
        assert "mel spectrogram" in html
        bare = lanes_html(replace(tagged, keyframes=()))
        assert "<circle" not in bare
        assert "mel spectrogram" not in bare

    @pytest.mark.parametrize(
        ("seconds", "ticks"),
        [(0.5, ["0:00.0", "0:00.1"]), (10, ["0:00", "0:01"]), (3600, ["0:00", "10:00"])],
    )
    def test_the_axis_has_at_most_eleven_ticks(
        self, seconds: float, ticks: list[str], tagged: Tagged
    ) -> None:
        bare = replace(tagged, duration_seconds=seconds, tags=(), activity=None, keyframes=())
        found = re.findall(r"<text[^>]*>([\d:.]+)</text>", lanes_html(bare))
        assert found[:2] == ticks
        assert len(found) <= 11

    def test_the_scale_covers_events_beyond_the_end(self, tagged: Tagged) -> None:
        late = replace(tagged.tags[0], events=(Event(9.0, 12.0, 0.5),))
        assert scale_of(replace(tagged, tags=(late,))) == Scale(0.0, 12.0)

    def test_gaps_split_the_curve(self, tagged: Tagged) -> None:
        values = np.full((100, 17), 0.2, np.float32)
        values[40:60] = np.nan
        gap = replace(tagged, activity=Activity(values, 10.0), tags=tagged.tags[:1])
        lane = re.findall(r"<svg viewBox.*?</svg>", lanes_html(gap))[0]
        assert lane.count('class="area"') == 2
        assert lane.count('class="line"') == 2

    def test_classes_that_were_not_heard_have_no_lane(self, tagged: Tagged) -> None:
        values = np.full((100, 17), np.nan, np.float32)
        values[:, 3] = 0.4
        one = replace(tagged, activity=Activity(values, 10.0), tags=())
        assert [lane.label for lane in lanes_of(one, scale_of(one))] == [tuple(tagged.scores)[3]]


def test_a_tag_of_an_unknown_class_has_a_lane_without_a_curve(tagged: Tagged) -> None:
    """A tag need not have a row in `scores` if the result comes from another program."""
    foreign = replace(tagged, tags=(Tag("Foreign", 0.5, 0.3, None, None),))
    lane = lanes_of(foreign, scale_of(foreign))[0]
    assert (lane.label, lane.activity) == ("Foreign", None)
    assert "Foreign" in lanes_html(foreign)
