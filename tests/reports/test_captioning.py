"""Sound captions: words, what ear, eye and loudness say, and the merge into dialogue."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip, Waveform
from av_tagger.errors import TableError, UsageError
from av_tagger.labels import audioset, dcase2017
from av_tagger.reports.captioning import (
    CaptionSettings,
    SoundCaption,
    SoundLevels,
    Subtitle,
    SubtitleFile,
    caption_words,
    languages,
    measure_levels,
    merge_captions,
    read_subtitles,
    sound_captions,
    write_subtitles,
)
from av_tagger.reports.captioning import words as words_module
from av_tagger.reports.captioning.loudness import frame_powers
from av_tagger.reports.captioning.merge import wrap
from av_tagger.reports.captioning.sounds import speech_labels
from av_tagger.reports.captioning.subtitles import as_format, parse_subtitles
from av_tagger.scores import BranchInfo, Event, Evidence, KeyFrame, Status, Tag, Tagged
from tests.assets import make_audio

SETTINGS = CaptionSettings()
HOSTILE = [
    "a\nb\r\n\r\nc",
    "00:00:01.000 --> 00:00:02.000",
    "]]>",
    "=1+1",
    "\x00\x07\x1b[31m",
    "\u202eRTL\u2066",
    "lone \udce9\ud800",
    "z" * 10_000,
    "<b>&amp;</b>",
    "\u2028line\u2029",
]


def result(*tags: Tag, keyframes: tuple[KeyFrame, ...] = (), seconds: float = 120.0) -> Tagged:
    from tests.reports.conftest import street

    return replace(
        street(), tags=tags, keyframes=keyframes, duration_seconds=seconds, clip=Clip(Path("a.mp4"))
    )


def tag(label: str, *spans: tuple[float, float], seen: float | None = None) -> Tag:
    events = tuple(Event(start, end, 0.9) for start, end in spans)
    return Tag(label, 0.8, 0.4, 0.9, seen, events)


def captions(*tags: Tag, language: str = "en", **more: object) -> list[str]:
    levels = more.pop("levels", None)
    assert levels is None or isinstance(levels, SoundLevels)
    one = result(*tags, **more)  # type: ignore[arg-type]
    return [c.text for c in sound_captions(one, caption_words(language), SETTINGS, levels)]


# Words


def test_the_table_has_every_class_in_every_language() -> None:
    assert len(languages()) >= 12
    rows = caption_words().rows
    labels = [label for label in rows if not label.startswith("@")]
    assert set(dcase2017().labels) <= set(labels) <= set(audioset().labels)
    assert len(set(labels) - set(dcase2017().labels)) >= 100
    for label, row in rows.items():
        for language in languages():
            text = row[language]
            assert text == words_module.plain(text) != "", (label, language)
            assert len(text) <= SETTINGS.characters_per_line, (label, language)
            assert ("{}" in text) == label.startswith("@"), (label, language)


def test_texts_of_other_languages_are_no_copies_of_english() -> None:
    rows = [row for label, row in caption_words().rows.items() if not label.startswith("@")]
    for language in languages():
        same = sum(row[language] == row["en"] for row in rows)
        assert language == "en" or same <= 2, language


def test_a_class_without_a_row_has_the_text_of_the_nearest_class_above() -> None:
    words = caption_words("de")
    assert words.text("Siren") == "Sirene heult"
    assert "Electric guitar" not in words.rows
    assert words.say("Electric guitar") == f"[{words.text('Guitar')}]" == "[Gitarre]"
    assert words.say("My [own]\nclass") == "[My (own) class]"


def test_a_user_table_comes_first_and_may_bring_a_language(tmp_path: Path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text("label\ten\tgsw\nSiren\talarm!\tSirene\n@distance\t\t{}, wiit ewägg\n")
    assert caption_words("en", table).say("Siren") == "[alarm!]"
    assert caption_words("en", table).say("Dog", "@distance") == "[dog barking in the distance]"
    assert caption_words("gsw", table).say("Siren", "@distance") == "[Sirene, wiit ewägg]"
    assert caption_words("gsw", table).say("Siren", "@loud") == "[loud Sirene]"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: has no heading"),
        ("Siren\tx\n", "line 1: has no heading"),
        ("label\ten\nSiren\ta\tb\n", "line 2: has 3 cells"),
        ("label\ten\n@loud\tnoisy\n", "line 2: has a pattern without"),
    ],
)
def test_a_wrong_table_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text(text)
    with pytest.raises(TableError, match=sentence):
        caption_words("en", table)
    with pytest.raises(UsageError, match="did you mean"):
        caption_words("dee")
    with pytest.raises(UsageError, match="cannot be read"):
        caption_words("en", tmp_path / "none.tsv")


# Sounds


def levels(*decibels: tuple[float, float]) -> SoundLevels:
    """Pieces of (seconds, dB)."""
    return SoundLevels(
        np.concatenate([np.full(round(10 * s), 10 ** (d / 10)) for s, d in decibels])
    )


def test_repeats_are_folded() -> None:
    dog = tag("Dog", (1, 2), (3, 4), (10, 11), (20, 21), (30, 31), (90, 91))
    assert captions(dog) == ["[dog barking]", "[dog barking continues]", "[dog barking]"]
    spans = [(float(start), start + 2.0) for start in range(0, 300, 10)]
    long = result(tag("Dog", *spans), seconds=300.0)
    found = sound_captions(long, caption_words(), SETTINGS)
    assert [c.start for c in found] == [0, 10_000, 70_000, 130_000, 190_000, 250_000]
    assert {c.text for c in found[1:]} == {"[dog barking continues]"}


def test_loudness_is_relative_to_the_film() -> None:
    film = levels((10, -60), (50, -20), (10, -8))
    thunder = tag("Thunder", (1, 9))
    assert captions(thunder, levels=film) == ["[thunder rumbling in the distance]"]
    assert captions(tag("Typing", (1, 9)), levels=film) == ["[faint typing]"]
    assert captions(tag("Typing", (61, 69)), levels=film) == ["[loud typing]"]
    assert captions(tag("Typing", (20, 30)), levels=film) == ["[typing]"]
    quieter = SoundLevels(film.powers / 1000)
    assert captions(thunder, levels=quieter) == ["[thunder rumbling in the distance]"]
    silent = SoundLevels(np.zeros(700))
    assert math.isnan(silent.film_db)
    assert captions(thunder, levels=silent) == ["[thunder rumbling]"]


def test_the_eye_decides_off_screen() -> None:
    looked = (KeyFrame(15.0, 1.0),)
    dog = tag("Dog", (10, 20))
    seen = replace(dog, seen=0.7, evidence=(Evidence(15.0, "beagle", 0.5, 0.9),))
    assert captions(dog, keyframes=looked) == ["[dog barking off-screen]"]
    assert captions(seen, keyframes=looked) == ["[dog barking]"]
    assert captions(dog, keyframes=(KeyFrame(60.0, 1.0),)) == ["[dog barking]"], "it did not look"
    assert captions(tag("Thunder", (10, 20)), keyframes=looked) == ["[thunder rumbling]"]
    elsewhere = replace(seen, evidence=(Evidence(90.0, "beagle", 0.5, 0.9),))
    assert captions(elsewhere, keyframes=looked) == ["[dog barking off-screen]"]
    again = (KeyFrame(15.0, 1.0, (("beagle", 0.4),)),)
    assert captions(elsewhere, keyframes=again) == ["[dog barking]"]
    far = levels((10, -20), (10, -60), (40, -20))
    assert captions(dog, keyframes=looked, levels=far) == ["[dog barking in the distance]"]
    assert captions(seen, keyframes=looked, levels=far) == ["[faint dog barking]"]
    blind = replace(result(dog, keyframes=looked), eye=BranchInfo(Status.OFF, "none"))
    assert [c.text for c in sound_captions(blind, caption_words(), SETTINGS)] == ["[dog barking]"]


def test_places_and_parents_are_left_out() -> None:
    found = captions(tag("Animal", (1, 2)), tag("Dog", (1, 2)), tag("Silence", (4, 9)))
    assert found == ["[dog barking]"]
    assert {"Speech", "Conversation"} <= speech_labels()
    one = result(tag("Conversation", (1, 2)))
    assert sound_captions(one, caption_words(), SETTINGS, None, speech_labels()) == []


def test_levels_are_measured_from_the_file(tmp_path: Path) -> None:
    path = make_audio(tmp_path / "a.wav", seconds=2.0)
    measured = measure_levels(Clip(path))
    assert measured is not None
    assert len(measured.powers) == 20
    assert abs(measured.relative_db(0.5, 1.5)) < 1.0
    (tmp_path / "no.wav").write_bytes(b"no")
    assert measure_levels(Clip(tmp_path / "no.wav")) is None
    half = Waveform(np.full(150, 0.5, np.float32), 1000)
    assert frame_powers(half) == pytest.approx([0.25, 0.25])


# Merge


def dialogue(*cues: tuple[int, int, str], format_: str = "srt") -> SubtitleFile:
    return SubtitleFile(format_, tuple(Subtitle(*cue) for cue in cues))


def shown(file: SubtitleFile) -> list[tuple[int, int, str]]:
    return [(c.start, c.end, c.text) for c in file.cues]


def check(file: SubtitleFile, before: SubtitleFile, settings: CaptionSettings = SETTINGS) -> None:
    """Nothing overlaps that did not before, gaps are kept, words and times of dialogue stay."""
    kept = {(c.start, c.end): c.text for c in before.cues}
    own = [c for c in file.cues if (c.start, c.end) not in kept]
    assert len(file.cues) == len(own) + len(before.cues)
    for cue in file.cues:
        if (cue.start, cue.end) in kept:
            assert cue.text.endswith(kept[cue.start, cue.end])
    gap = round(1000 * settings.gap)
    for cue in own:
        assert cue.end - cue.start >= settings.reading_ms(cue.text)
        assert cue.end - cue.start <= round(1000 * settings.longest)
        assert len(cue.text.splitlines()) <= settings.lines
        assert max(map(len, cue.text.splitlines())) <= settings.characters_per_line
        for other in file.cues:
            if other is not cue:
                assert cue.end + gap <= other.start or other.end + gap <= cue.start


def test_a_caption_takes_the_pause_of_the_dialogue() -> None:
    talk = dialogue((0, 3000, "Hello."), (6000, 9000, "Goodbye."))
    merged = merge_captions([SoundCaption(2000, 8000, "[siren wailing]")], SETTINGS, talk)
    assert shown(merged.file)[1] == (3083, 5917, "[siren wailing]")
    check(merged.file, talk)
    assert (merged.placed, merged.shared, merged.left_out) == (1, 0, ())


def test_a_caption_without_a_pause_becomes_a_line_or_is_left_out() -> None:
    talk = dialogue((0, 5000, "Hello."), (5000, 9000, "One line\nand another."))
    siren = SoundCaption(1000, 4000, "[siren wailing]")
    merged = merge_captions([siren], SETTINGS, talk)
    assert shown(merged.file)[0] == (0, 5000, "[siren wailing]\nHello.")
    assert merged.shared == 1
    full = merge_captions([replace(siren, start=5500, end=7900)], SETTINGS, talk)
    assert shown(full.file) == shown(talk)
    assert [c.text for c in full.left_out] == ["[siren wailing]"]
    quick = dialogue((0, 1000, "Hello there."))
    assert merge_captions([replace(siren, start=0, end=10)], replace(SETTINGS, shift=0.0), quick)


def test_a_sound_continues_only_where_its_caption_was_shown() -> None:
    talk = dialogue((0, 4000, "One line\nand another."), (9000, 20_000, "Bye."))
    first = SoundCaption(1000, 2000, "[dog barking]", 0.9, "Dog")
    again = SoundCaption(5000, 6000, "[dog barking continues]", 0.9, "Dog", "[dog barking]")
    hidden = merge_captions([first, again], SETTINGS, talk)
    assert [c.text for c in hidden.file.cues][1:2] == ["[dog barking]"]
    assert [c.text for c in hidden.left_out] == ["[dog barking]"]
    shown_before = merge_captions([first, again], SETTINGS)
    assert [c.text for c in shown_before.file.cues] == ["[dog barking]", "[dog barking continues]"]
    found = sound_captions(result(tag("Dog", (1, 2), (9, 10))), caption_words(), SETTINGS)
    assert [(c.label, c.first) for c in found] == [("Dog", ""), ("Dog", "[dog barking]")]


def test_long_sounds_short_sounds_and_the_end_of_the_film() -> None:
    long = merge_captions([SoundCaption(1000, 60_000, "[rain falling]")], SETTINGS)
    assert shown(long.file) == [(1000, 8000, "[rain falling]")]
    short = merge_captions([SoundCaption(1000, 1050, "[rain falling]")], SETTINGS)
    assert shown(short.file) == [(1000, 1833, "[rain falling]")]
    end = merge_captions([SoundCaption(9900, 10_000, "[bang]")], SETTINGS, None, 10.0)
    assert shown(end.file) == [(9167, 10_000, "[bang]")]
    none = merge_captions([SoundCaption(0, 300, "[bang]")], SETTINGS, None, 0.5)
    assert len(none.left_out) == 1


def test_sounds_that_start_together_share_a_cue() -> None:
    sounds = [
        SoundCaption(1000, 3000, "[siren wailing]", 0.6),
        SoundCaption(1500, 4000, "[dog barking]", 0.9),
        SoundCaption(1600, 4000, "[rain falling]", 0.3),
        SoundCaption(1700, 4000, "[a very loud sound of a rather long name that goes on]", 0.1),
    ]
    merged = merge_captions(sounds[:2], SETTINGS)
    assert shown(merged.file)[0][2] == "[dog barking]\n[siren wailing]"
    three = merge_captions(sounds[:3], SETTINGS)
    assert shown(three.file)[0][2].replace("\n", " ") == (
        "[dog barking] [siren wailing] [rain falling]"
    )
    assert len(merge_captions(sounds, SETTINGS).left_out) == 1


def test_long_texts_are_cut_to_two_lines() -> None:
    merged = merge_captions([SoundCaption(0, 9000, f"[{'very ' * 40}long]")], SETTINGS)
    check(merged.file, SubtitleFile())
    assert merged.file.cues[0].text.endswith("…]")
    assert wrap("[one two three four five six seven eight nine ten]", 42) == [
        "[one two three four five six",
        "seven eight nine ten]",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_random_merges_keep_the_rules(seed: int) -> None:
    rng = random.Random(seed)
    at, cues = 0, []
    for n in range(60):
        at += rng.choice((0, 100, 1500, 4000))
        end = at + rng.randint(500, 4000)
        cues.append((at, end, rng.choice(("Yes.", "A longer line of talk", "Two\nlines")) + str(n)))
        at = end
    talk = dialogue(*cues, format_=rng.choice(("srt", "vtt")))
    sounds = [
        SoundCaption(start := rng.randint(0, at), start + rng.randint(50, 9000), f"[sound {n}]")
        for n in range(60)
    ]
    settings = replace(SETTINGS, gap=rng.choice((0.0, 0.083, 0.2)), longest=rng.choice((2.0, 7.0)))
    merged = merge_captions(sounds, settings, talk)
    check(merged.file, talk, settings)
    lines = sum(c.text.count("[sound") for c in merged.file.cues)
    assert lines + len(merged.left_out) == len(sounds)
    assert merged.placed > 0


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="lines is 0"):
        CaptionSettings(lines=0)
    with pytest.raises(UsageError, match="gap is -1"):
        CaptionSettings(gap=-1)
    with pytest.raises(UsageError, match="at least 8 s"):
        CaptionSettings(shortest=8.0)


# Files


def test_a_subtitle_library_reads_what_was_merged(tmp_path: Path) -> None:
    pysubs2 = pytest.importorskip("pysubs2")
    webvtt = pytest.importorskip("webvtt")
    talk = dialogue((0, 3000, "<i>Hello</i>, a & b"), (6000, 9000, "Good-\nbye."))
    merged = merge_captions([SoundCaption(3000, 6000, "[siren wailing]")], SETTINGS, talk).file
    expected = [(0, 3000), (3083, 5917), (6000, 9000)]
    for name in ("a.srt", "a.vtt"):
        path = write_subtitles(merged, tmp_path / name)
        read = pysubs2.load(str(path))
        assert [(e.start, e.end) for e in read] == expected
        assert [e.plaintext for e in read][1:] == ["[siren wailing]", "Good-\nbye."]
    assert [c.text for c in webvtt.read(str(tmp_path / "a.vtt"))] == [
        "Hello, a &amp; b",
        "[siren wailing]",
        "Good-\nbye.",
    ]
    assert shown(read_subtitles(tmp_path / "a.srt")) == shown(merged)
    back = as_format(read_subtitles(tmp_path / "a.vtt"), "srt")
    assert shown(back) == shown(merged)


def test_what_a_subtitle_library_writes_is_read(tmp_path: Path) -> None:
    pysubs2 = pytest.importorskip("pysubs2")
    made = pysubs2.SSAFile()
    for n in range(20):
        made.append(
            pysubs2.SSAEvent(1000 * n, 1000 * n + 900, f"Line {n}\\Nand {{\\i1}}more{{\\i0}}")
        )
    for name in ("a.srt", "a.vtt"):
        made.save(str(tmp_path / name))
        read = read_subtitles(tmp_path / name)
        assert [(c.start, c.end) for c in read.cues] == [
            (1000 * n, 1000 * n + 900) for n in range(20)
        ]
        assert [c.shown for c in read.cues] == [f"Line {n}\nand more" for n in range(20)]


def test_vtt_keeps_styles_ids_and_settings(tmp_path: Path) -> None:
    text = (
        "WEBVTT - Talk\n\nSTYLE\n::cue { color: red }\n\nNOTE by me\n\n"
        "first\n00:01.000 --> 00:02.000 line:0 align:start\n<v Ann>Hello</v>\n"
        "\n00:00:03.000 --> 00:00:04.000\nBye\n"
    )
    (tmp_path / "a.vtt").write_text(text)
    read = read_subtitles(tmp_path / "a.vtt")
    assert read.header == "WEBVTT - Talk\n\nSTYLE\n::cue { color: red }\n\nNOTE by me"
    assert read.cues[0] == Subtitle(1000, 2000, "<v Ann>Hello</v>", "first", "line:0 align:start")
    again = read_subtitles(write_subtitles(read, tmp_path / "b.vtt"))
    assert again == read
    assert as_format(read, "srt").cues[0].text == "Hello"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("1\r\n00:00:01,5 --> 00:00:02,250\r\nÉté\r\n".encode("cp1252"), [(1500, 2250, "Été")]),
        ("\ufeff1\n0:00:01,000 --> 0:00:02,000\nA\n\n\nB\n2\n".encode(), [(1000, 2000, "A\nB\n2")]),
        ("1\n00:00:01,000 --> 00:00:02,000\nA\n".encode("utf-16"), [(1000, 2000, "A")]),
        (b"WEBVTT\n\n00:05.000 --> 00:02.000\nback\n", []),
        (b"", []),
        (
            b"1\n00:00:01,000 --> 00:00:02,000\n7\n\n2\n00:00:03,000 --> 00:00:04,000\nB\n",
            [(1000, 2000, "7"), (3000, 4000, "B")],
        ),
    ],
)
def test_lenient_reading(
    content: bytes, expected: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(content)
    assert shown(read_subtitles(path)) == expected


def test_no_subtitles_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("no times here\n")
    with pytest.raises(TableError, match="has no subtitle"):
        read_subtitles(tmp_path / "a.srt")
    with pytest.raises(UsageError, match="cannot be read"):
        read_subtitles(tmp_path / "b.srt")
    with pytest.raises(UsageError, match=r"as \.srt or \.vtt"):
        write_subtitles(SubtitleFile(), tmp_path / "a.ass")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_hostile_labels_and_dialogue(text: str, name: str, tmp_path: Path) -> None:
    words = caption_words()
    sound = SoundCaption(0, 3000, words.say(text))
    talk = SubtitleFile("srt", (Subtitle(5000, 9000, text), Subtitle(10_000, 12_000, "Bye")))
    merged = merge_captions([sound], SETTINGS, talk).file
    path = write_subtitles(merged, tmp_path / name)
    read = read_subtitles(path)
    times = [(c.start, c.end) for c in read.cues]
    assert times[-1] == (10_000, 12_000)
    assert len(times) <= 3
    assert read.cues[-1].text == "Bye"
    content = path.read_bytes().decode("utf-8")
    assert not any(c in content for c in "\x00\x07\x1b")
    assert content.count("-->") == len(times)
    assert len(parse_subtitles(content).cues) == len(times)
