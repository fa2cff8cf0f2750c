"""av-tag caption and av-tag handover, from stored results and from media."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger import weights
from av_tagger.clip import Clip
from av_tagger.media.chapters import copy_with_chapters
from av_tagger.reports.captioning import read_subtitles
from av_tagger.reports.writers import write_all
from av_tagger.reports.writers.chapters import Chapter
from av_tagger.scores import Tagged
from tests.assets import make_video
from tests.cli.conftest import AvTag
from tests.reports.conftest import street, window

TALK = "1\n00:00:00,200 --> 00:00:01,400\nHello.\n\n2\n00:00:05,000 --> 00:00:05,900\nBye.\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with two results; one of them is of a film that exists."""
    film = make_video(tmp_path / "street corner.mp4", seconds=10.0)
    write_all(["json"], [stored(film), window()], tmp_path / "run")
    return tmp_path / "run"


def stored(film: Path) -> Tagged:
    from dataclasses import replace

    return replace(street(), clip=Clip(film))


def test_captions_of_a_stored_result_go_into_the_subtitles(
    run: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    (tmp_path / "talk.srt").write_text(TALK)
    film, out = run.parent / "street corner.mp4", tmp_path / "out.vtt"
    words = ("caption", film, "--results", run, "--into", tmp_path / "talk.srt", "-o", out)
    done = av_tag(*words, "--no-loudness")
    assert done.code == 0, done.err
    assert done.err.strip().endswith("out.vtt: 2 sound captions")
    cues = [(c.start, c.text) for c in read_subtitles(out).cues]
    assert cues[0] == (200, "Hello.")
    assert ("[train horn blaring]" in dict(cues).values()) is True
    assert [text for _, text in cues].count("[train horn blaring continues]") == 1
    again = av_tag(*words[:-1], tmp_path / "talk.srt")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "name another file to write" in again.err


def test_captions_on_stdout_and_in_other_languages(
    run: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    film = run.parent / "street corner.mp4"
    done = av_tag("caption", film, "--results", run, "--language", "de", "-q")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("WEBVTT\n\n00:00:0")
    assert "[Zughorn" in done.out
    wrong = av_tag("caption", film, "--results", run, "--language", "xx")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    several = av_tag("caption", run)
    assert several.code == 2
    assert "there are 2 results" in several.err
    done = av_tag("caption", run, "-o", tmp_path / "all", "--no-loudness")
    assert done.code == 0
    assert len(list((tmp_path / "all").glob("*.sounds.vtt"))) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("caption", "FILM", "--results", "RUN", "-o", "a.ass"), "as .srt or .vtt"),
        (("caption", "other.mp4", "--results", "RUN"), "is not in"),
        (("caption", "FILM", "--into", "none.srt"), "cannot be read"),
        (("caption", "FILM", "--shortest", "9"), "must not be shorter"),
        (("handover", "RUN"), "name a folder"),
        (("handover", "RUN", "-o", "x", "--fps", "29"), "no frame rate"),
        (("handover", "RUN", "-o", "x", "--format", "edll"), "did you mean 'edl'"),
        (("handover", "RUN", "-o", "x", "--start", "1h"), "no timecode"),
        (("handover", "RUN", "--chapters", "a.mkv"), "name a folder"),
        (("handover", "RUN", "--chapters", "a.avi"), "give it one of these suffixes"),
    ],
)
def test_wrong_flags_are_one_sentence(
    words: tuple[str, ...], sentence: str, run: Path, av_tag: AvTag
) -> None:
    places = {"FILM": run.parent / "street corner.mp4", "RUN": run}
    done = av_tag(*(places.get(word, word) for word in words))
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert sentence in done.err


def test_handover_writes_formats_and_chapters(run: Path, tmp_path: Path, av_tag: AvTag) -> None:
    import av

    film, copy = run.parent / "street corner.mp4", tmp_path / "copy.mkv"
    words = ("handover", film, "--results", run, "-o", tmp_path / "markers", "--fps", "29.97df")
    done = av_tag(*words, "--format", "edl,chapters", "--chapters", copy)
    assert done.code == 0, done.err
    assert done.err.count("wrote ") == 3
    assert "FCM: DROP FRAME" in (tmp_path / "markers" / "street_corner.edl").read_text()
    with av.open(str(copy)) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["Train horn, Bus"]
    several = av_tag("handover", run, "--chapters", tmp_path / "films")
    assert "left out" in several.err, "the second film does not exist"
    assert [p.name for p in (tmp_path / "films").iterdir()] == ["street_corner.chapters.mkv"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_copy_with_chapters_keeps_every_packet(suffix: str, tmp_path: Path) -> None:
    import av

    film = make_video(tmp_path / "a.mp4", seconds=3.0)
    marks = [Chapter(0, 1500, "One; = \\ é\udce9"), Chapter(1500, 3000, "Two")]
    copy = copy_with_chapters(film, tmp_path / f"b{suffix}", marks)
    packets: dict[Path, list[tuple[str, float, int]]] = {}
    for path in (film, copy):
        with av.open(str(path)) as container:
            packets[path] = sorted(
                (p.stream.type, float(p.pts * p.time_base), p.size)
                for p in container.demux()
                if p.size and p.stream.type in ("audio", "video")
            )
    before, after = packets[film], packets[copy]
    assert [(kind, size) for kind, _, size in before] == [(kind, size) for kind, _, size in after]
    shift = after[0][1] - before[0][1]  # Matroska has no times before 0: all tracks move together
    assert abs(shift) < 0.05
    moved = [time - shift for _, time, _ in after]
    assert [time for _, time, _ in before] == pytest.approx(moved, abs=0.002)
    with av.open(str(copy)) as container:
        read = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]))
            for c in container.chapters()
        ]
        titles = [c["metadata"]["title"] for c in container.chapters()]
    assert read == [(0.0, 1.5), (1.5, 3.0)]
    assert titles == ["One; = \\ é?", "Two"]


@pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)
def test_media_are_tagged_where_no_result_is_stored(tmp_path: Path, av_tag: AvTag) -> None:
    film = make_video(tmp_path / "a.mp4", seconds=2.0)
    flags = ("--ear", "starter", "--only", "ear", "--offline", "--threshold", "0.0", "-q")
    done = av_tag("caption", film, *flags, "--line-length", "60")
    assert done.code == 0, done.err
    assert done.out.startswith("WEBVTT")
    assert " --> " in done.out
