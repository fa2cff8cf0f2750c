"""Cut films, measured by decoding them: flashes and clicks stay together."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from av_tagger.errors import MediaError, StorageError
from av_tagger.media.cut import CutFilm, CutOptions, cut_film, seconds_of_film, suffix_for
from av_tagger.media.cut_chapters import moved_chapters
from av_tagger.media.cut_plan import Segment
from av_tagger.media.spans import Span
from av_tagger.systems import usual_priority
from tests.assets import Audio, make_audio, make_video, seen_corners

SECONDS, FPS, RATE = 8, 24, 44_100
FRAME = 1 / FPS
PARTS = (Span(1.62, 2.5), Span(4.3, 6.7))
MARKS = [0.25 + n / 2 for n in range(2 * SECONDS)]
CHAPTERS = [(0, 2000, "first"), (2000, 4000, "between"), (4000, 8000, "last")]


def make_marked(path: Path, codec: str = "libx264", gop: int = 24, bframes: int = 2) -> Path:
    """White frames and clicks at MARKS; a key frame per second; three chapters."""
    options = {"preset": "ultrafast", "bf": str(bframes), "g": str(gop), "sc_threshold": "0"}
    if codec == "libx265":
        options = {"preset": "ultrafast", "x265-params": f"log-level=none:keyint={gop}:pools=none"}
    with usual_priority(), av.open(str(path), "w") as out:
        video: Any = out.add_stream(codec, rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.codec_context.thread_count = 1
        sound: Any = out.add_stream("aac", rate=RATE, layout="mono")
        sound.metadata["language"] = "deu"
        out.metadata.update({"title": "Clicks & flashes", "artist": "made"})
        out.set_chapters([chapter(*c) for c in CHAPTERS])
        samples = np.zeros(SECONDS * RATE, np.float32)
        for mark in MARKS:
            at = round(mark * RATE)
            samples[at : at + 1000] = 0.8 * np.sin(np.arange(1000) * 0.3)
        for number in range(SECONDS * FPS):
            flash = number in {round(mark * FPS) for mark in MARKS}
            image = np.full((64, 96, 3), 255 if flash else 16, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(frame))
            first, last = (n * RATE // FPS for n in (number, number + 1))
            piece = av.AudioFrame.from_ndarray(samples[None, first:last].copy(), "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, first, Fraction(1, RATE)
            out.mux(sound.encode(piece))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return path


def chapter(start: int, end: int, title: str) -> Any:
    base = Fraction(1, 1000)
    return {"id": 1, "start": start, "end": end, "time_base": base, "metadata": {"title": title}}


def end_of(chapter: Any) -> float:
    return float(chapter["end"] * chapter["time_base"])


def flashes(path: Path) -> list[float]:
    """Times of white frames that follow dark ones."""
    found, before = [], False
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            white = bool(frame.to_ndarray(format="gray").mean() > 128)
            if white and not before:
                found.append(float(frame.time or 0))
            before = white
    return found


def clicks(path: Path) -> list[float]:
    """Times at which the sound becomes loud after a pause."""
    found: list[float] = []
    last = -1.0
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()).max(axis=0) > 0.3)
            for time in (float(frame.time or 0) + loud / frame.sample_rate).tolist():
                if time - last > 0.1:
                    found.append(time)
                last = time
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    make_marked(folder / "h264.mp4")
    make_marked(folder / "h264.mkv")
    make_marked(folder / "hevc.mp4", "libx265")
    make_marked(folder / "one.mp4", gop=1000)
    return folder


def expected(film: CutFilm) -> list[float]:
    """Where the marks of the source are in the new film."""
    segments = list(dict.fromkeys(p.segment for p in film.parts if p.segment is not None))
    inside = [(m, s) for s in segments for m in MARKS if s.start <= m < s.end]
    return [float(m - s.start + s.place) for m, s in inside]


WAYS = {
    "copied": CutOptions(),
    "inward": CutOptions(inward=True),
    "exact": CutOptions(exact=True),
}


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "hevc.mp4"])
@pytest.mark.parametrize("way", WAYS)
def test_sound_and_picture_stay_in_step(name: str, way: str, folder: Path, tmp_path: Path) -> None:
    film = cut_film(folder / name, tmp_path / name, PARTS, WAYS[way])
    seen, heard, wanted = flashes(film.path), clicks(film.path), expected(film)
    assert len(wanted) >= 4
    assert seen == pytest.approx(wanted, abs=FRAME + 1e-3)
    assert len(heard) == len(seen)
    assert np.abs(np.subtract(seen, heard)).max() <= FRAME, "within a frame"


@pytest.mark.parametrize("way", ["copied", "inward"])
def test_copies_begin_at_key_frames_and_say_so(way: str, folder: Path, tmp_path: Path) -> None:
    film = cut_film(folder / "h264.mp4", tmp_path / "a.mp4", PARTS, WAYS[way])
    got = [(part.got.start, part.got.end) for part in film.parts]
    assert all(part.copied for part in film.parts)
    if way == "copied":
        assert [start for start, _ in got] == [1.0, 4.0]
        assert all(p.got.end <= p.asked.end + 4 * FRAME for p in film.parts)
        assert all(p.got.start <= p.asked.start and p.got.end >= p.asked.end for p in film.parts)
    else:
        assert [start for start, _ in got] == [2.0, 5.0]
        assert all(p.got.end <= p.asked.end + FRAME for p in film.parts)
    with av.open(str(film.path)) as copy:
        keys = [p for p in copy.demux(video=0) if p.is_keyframe and p.pts is not None]
        assert float(keys[0].pts * keys[0].time_base) == 0.0


def test_packets_are_copied_as_they_are(folder: Path, tmp_path: Path) -> None:
    film = cut_film(folder / "h264.mp4", tmp_path / "a.mp4", PARTS)

    def contents(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(p) for p in container.demux(video=0) if p.size]

    source, copy = contents(folder / "h264.mp4"), contents(film.path)
    assert 0 < len(copy) < len(source)
    assert set(copy) <= set(source)


def test_exact_cuts_are_at_the_frame_and_the_sample(folder: Path, tmp_path: Path) -> None:
    spans = [Span(1.62, 2.5), Span(4.3, 6.74)]
    film = cut_film(folder / "h264.mp4", tmp_path / "a.mkv", spans, CutOptions(exact=True))
    assert [p.got for p in film.parts] == spans
    assert not any(p.copied for p in film.parts)
    assert clicks(film.path) == pytest.approx(expected(film), abs=2e-3)
    length = sum(s.seconds for s in spans)
    assert seconds_of_film(film.path) == pytest.approx(length, abs=FRAME)


def test_parts_without_a_key_frame_between_become_one(folder: Path, tmp_path: Path) -> None:
    film = cut_film(folder / "one.mp4", tmp_path / "a.mp4", PARTS)
    first, second = film.parts
    assert first.segment is second.segment
    assert (first.got.start, first.got.end >= 6.7) == (0.0, True)
    assert flashes(film.path) == pytest.approx(expected(film), abs=FRAME)


def test_inward_leaves_out_what_has_no_key_frame(folder: Path, tmp_path: Path) -> None:
    spans = [Span(0, 2), Span(4.3, 8)]
    film = cut_film(folder / "one.mp4", tmp_path / "a.mp4", spans, CutOptions(inward=True))
    assert [part.segment is None for part in film.parts] == [False, True]
    assert max(flashes(film.path)) < 2
    with pytest.raises(MediaError, match="no key frame lies in what is to be kept; use --exact"):
        cut_film(folder / "one.mp4", tmp_path / "b.mp4", spans[1:], CutOptions(inward=True))
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize("way", ["copied", "exact"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_move_and_texts_stay(way: str, suffix: str, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / f"a{suffix}"
    spans = [Span(1.0, 2.0), Span(5.0, 7.0)]
    cut_film(folder / f"h264{suffix}", target, spans, WAYS[way])
    with av.open(str(target)) as film:
        found = [
            (c["metadata"]["title"], float(c["start"] * c["time_base"]), end_of(c))
            for c in film.chapters()
        ]
        texts = {k.lower(): v for k, v in film.metadata.items()}
        language = film.streams.audio[0].metadata.get("language")
    assert [title for title, _, _ in found] == ["first", "last"]
    assert [start for _, start, _ in found] == pytest.approx([0.0, 1.0], abs=3 * FRAME)
    assert found[-1][2] == pytest.approx(3.0, abs=4 * FRAME)
    assert (texts["title"], texts["artist"]) == ("Clicks & flashes", "made")
    assert way == "exact" or language == "deu"


def test_a_chapter_in_several_parts_spans_what_is_left() -> None:
    segments = [Segment(*(Fraction(n) for n in row)) for row in ((1, 2, 0), (5, 7, 1))]
    (found,) = moved_chapters([chapter(0, 6000, "x")], segments)
    assert (found["start"], found["end"]) == (0, 2000)


@pytest.mark.parametrize("way", ["copied", "exact"])
def test_films_that_do_not_begin_at_zero(way: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / "late.mkv", seconds=3.0, start=7.0)
    film = cut_film(source, tmp_path / "cut.mkv", [Span(1.0, 2.0)], WAYS[way])
    assert film.parts[0].got.start == pytest.approx(1.0, abs=0.001)
    assert seconds_of_film(film.path) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("way", ["copied", "exact"])
def test_turned_films_stay_upright(way: str, tmp_path: Path) -> None:
    from av_tagger.clip import Clip
    from av_tagger.media import open_media
    from av_tagger.protocols import DecodeRequest

    source = make_video(tmp_path / "turned.mp4", seconds=2.0, rotation=90)
    film = cut_film(source, tmp_path / "cut.mp4", [Span(0, 1.0)], WAYS[way])

    def corners(path: Path) -> Sequence[str]:
        request = DecodeRequest(audio_rate=None, short_side=64)
        (media, *_) = open_media(Clip(path), request)
        assert media.frames is not None
        return seen_corners(media.frames.rgb()[0])

    assert corners(film.path) == corners(source)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".wav", "pcm"), (".flac", "flac"), (".mp3", "mp3"), (".ogg", "opus"), (".m4a", "aac")],
)
@pytest.mark.parametrize("way", ["copied", "exact"])
def test_sound_alone(suffix: str, codec: str, way: str, tmp_path: Path) -> None:
    rate = 48_000 if codec == "opus" else 44_100
    source = make_audio(tmp_path / f"a{suffix}", 4.0, Audio(codec, rate=rate))
    target = tmp_path / f"cut{suffix_for(source)}"
    film = cut_film(source, target, [Span(0.5, 1.0), Span(2.0, 3.0)], WAYS[way])
    assert film.path.suffix == suffix
    with av.open(str(film.path)) as container:
        samples = sum(f.samples for f in container.decode(audio=0))
        rate = container.streams.audio[0].rate
    assert samples / rate == pytest.approx(1.5, abs=0.2 if way == "copied" else 0.06)


def test_the_source_is_never_overwritten(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes((folder / "h264.mp4").read_bytes())
    before = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    (tmp_path / "hard.mp4").hardlink_to(source)
    for name in ("a.mp4", "link.mp4", "hard.mp4"):
        with pytest.raises(StorageError, match="this is the input file"):
            cut_film(source, tmp_path / name, PARTS)
    assert source.read_bytes() == before


def test_a_cut_that_fails_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 4000)
    with pytest.raises(MediaError):
        cut_film(broken, tmp_path / "out" / "a.mp4", PARTS)
    with pytest.raises(StorageError, match="cannot be written here"):
        cut_film(folder / "h264.mp4", tmp_path / "no folder" / "a.mp4", PARTS)
    source = make_video(tmp_path / "vp9.mkv", seconds=1.0, codec="vp9", audio=None)
    with pytest.raises(StorageError, match=r"cannot hold .*; use --exact"):
        cut_film(source, tmp_path / "a.m4a", [Span(0, 1)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mp4", "vp9.mkv"]


def test_suffixes() -> None:
    assert suffix_for(Path("a.MP4")) == ".mp4"
    assert suffix_for(Path("a.avi")) == suffix_for(Path("a")) == ".mkv"
    assert suffix_for(Path("a.webm")) == ".webm"
    assert suffix_for(Path("a.webm"), exact=True) == ".mkv"
