"""The tagger with fake branches: windows, missing tracks, events, order, failures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from av_tagger.audio.waveforms import check_waveforms
from av_tagger.clip import Clip, Frames, Media, Waveform
from av_tagger.errors import MediaError, UsageError
from av_tagger.fusion.windows import WindowResult
from av_tagger.media.recording import from_arrays
from av_tagger.protocols import DecodeRequest
from av_tagger.scores import (
    Activity,
    Failed,
    Scores,
    Status,
    Tagged,
)
from av_tagger.stitching import align, stitch
from av_tagger.tagger import Parts, Tagger
from tests.fakes import LABELS, RATE, LoudEar, RedEye, fusion


def window(
    start: float,
    end: float,
    *,
    loud: tuple[float, float] | None = None,
    red: int | None = None,
    notes: tuple[str, ...] = (),
) -> Media:
    samples = np.zeros(round((end - start) * RATE), np.float32)
    if loud is not None:
        samples[round((loud[0] - start) * RATE) : round((loud[1] - start) * RATE)] = 0.9
    frames = None
    if red is not None:
        images = np.zeros((2, 4, 4, 3), np.uint8)
        images[..., 0] = red
        frames = Frames(images, np.array([start, start + 1]))
    return Media(Clip(Path("x.mp4")), start, end, Waveform(samples, RATE, start), frames, notes)


def tagger_of(windows: dict[str, list[Media]], **changes: object) -> Tagger:
    def opened(clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        if clip.name not in windows:
            raise MediaError(clip.path, "there is no such file", "check the name")
        yield from windows[clip.name]

    parts = {
        "labels": LABELS,
        "ear": LoudEar(),
        "eye": RedEye(),
        "fusion": fusion(),
        "open": opened,
        "request": DecodeRequest(),
    }
    return Tagger(Parts(**{**parts, **changes}))  # type: ignore[arg-type]


def test_one_clip_with_both_branches() -> None:
    tagged = tagger_of({"a.mp4": [window(0, 10, loud=(2, 4), red=255)]}).tag("a.mp4")
    assert [(t.label, t.probability) for t in tagged.tags] == [
        ("Bicycle", 1.0),
        ("Siren", pytest.approx(0.45)),
    ]
    bicycle, siren = tagged.tags
    assert (siren.heard, siren.seen, siren.threshold) == (pytest.approx(0.9), 0.0, 0.3)
    assert [(e.start, e.end, round(e.peak, 2)) for e in siren.events] == [(2.0, 4.0, 0.9)]
    assert (bicycle.heard, bicycle.seen) == (
        None,
        1.0,
    )  # this ear knows no bicycles: the eye decides alone, with its own threshold
    assert bicycle.threshold == 0.8
    assert bicycle.evidence[0].object == "bicycle"
    assert (tagged.ear.status, tagged.eye.status) == (Status.OK, Status.OK)


def test_a_missing_track_uses_the_threshold_of_the_other_branch() -> None:
    tagged = tagger_of({"a.mp4": [window(0, 10, loud=(0, 1))]}).tag("a.mp4")
    assert [(t.label, t.threshold, t.seen) for t in tagged.tags] == [("Siren", 0.6, None)]
    assert tagged.eye.status is Status.NO_TRACK


def test_one_branch_alone() -> None:
    clip = [window(0, 10, loud=(0, 1), red=255)]
    ear_only = tagger_of({"a.mp4": clip}, eye=None).tag("a.mp4")
    eye_only = tagger_of({"a.mp4": clip}, ear=None).tag("a.mp4")
    assert ([t.label for t in ear_only.tags], ear_only.eye.status) == (["Siren"], Status.OFF)
    assert ([t.label for t in eye_only.tags], eye_only.ear.status) == (["Bicycle"], Status.OFF)
    assert eye_only.activity is None


def test_long_files_use_the_best_window_and_one_timeline() -> None:
    windows = [window(0, 10, red=10), window(9, 19, loud=(12, 13), red=20), window(18, 28, red=200)]
    tagged = tagger_of({"a.mp4": windows}).tag("a.mp4")
    assert [t.label for t in tagged.tags] == ["Siren"]
    assert [(e.start, e.end) for e in tagged.tags[0].events] == [(12.0, 13.0)]
    assert tagged.scores["Bicycle"].seen == pytest.approx(200 / 255)
    assert tagged.activity is not None
    assert len(tagged.activity.values) == 280
    assert sum(k.weight for k in tagged.keyframes) == pytest.approx(1.0)
    assert tagged.duration_seconds == 28


def test_an_event_across_a_seam_is_one_event() -> None:
    windows = [window(0, 10, loud=(8, 10)), window(9, 19, loud=(9, 12))]
    tags = tagger_of({"a.mp4": windows}).tag("a.mp4").tags
    assert [(e.start, e.end) for e in tags[0].events] == [(8.0, 12.0)]


def test_damage_is_noted_and_the_status_is_degraded() -> None:
    tagged = tagger_of(
        {"a.mp4": [window(0, 10, loud=(0, 1), red=0, notes=("3 frames are damaged",))]}
    ).tag("a.mp4")
    assert tagged.notes == ("3 frames are damaged",)
    assert tagged.ear.status is Status.DEGRADED


def test_a_threshold_for_all_decides_tags_and_events() -> None:
    tagged = tagger_of({"a.mp4": [window(0, 10, loud=(2, 4), red=30)]}, threshold=0.1).tag("a.mp4")
    assert {t.label: t.threshold for t in tagged.tags} == {"Siren": 0.1, "Bicycle": 0.1}


def test_a_batch_keeps_its_order_and_fails_only_the_bad_clip() -> None:
    good = [window(0, 10, loud=(0, 1))]
    outcomes = tagger_of({"a.mp4": good, "c.mp4": good, "empty.mp4": []}).tag(
        ["a.mp4", "b.mp4", "c.mp4", "empty.mp4"]
    )
    assert [type(o) for o in outcomes] == [Tagged, Failed, Tagged, Failed]
    assert isinstance(outcomes[1], Failed)
    assert "b.mp4: there is no such file" in outcomes[1].message
    assert isinstance(outcomes[3], Failed)
    assert "empty.mp4: holds neither sound nor pictures" in outcomes[3].message


def test_a_single_bad_clip_raises() -> None:
    with pytest.raises(MediaError, match=r"b.mp4: there is no such file; check the name"):
        tagger_of({}).tag("b.mp4")


def test_bugs_are_raised() -> None:
    class Broken(LoudEar):
        def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tagger_of({"a.mp4": [window(0, 10)]}, ear=Broken()).tag(["a.mp4"])


def test_align_reorders_and_gives_nan_for_unknown_classes() -> None:
    scores = Scores(
        ("b", "a"),
        np.array([0.2, 0.1]),
        activity=Activity(np.array([[0.2, 0.1]], np.float32), 10.0),
    )
    aligned = align(scores, ("a", "x", "b"))
    np.testing.assert_array_equal(aligned.probabilities, [0.1, np.nan, 0.2])
    assert aligned.activity is not None
    np.testing.assert_allclose(aligned.activity.values, [[0.1, np.nan, 0.2]])


@given(st.integers(1, 6), st.integers(2, 10), st.integers(0, 1))
def test_stitched_windows_of_one_timeline_give_it_back(
    count: int, seconds: int, overlap: int
) -> None:
    """A timeline cut into overlapping windows is whole again, whatever the cut."""
    step = seconds - overlap
    spans = [(float(i * step), float(i * step + seconds)) for i in range(count)]
    whole = np.arange(round(spans[-1][1] * 10), dtype=np.float32)[:, None]
    pieces = [Activity(whole[round(a * 10) : round(b * 10)], 10.0, a) for a, b in spans]
    stitched = stitch(pieces, spans)
    assert stitched is not None
    np.testing.assert_array_equal(stitched.values, whole)


def test_a_window_without_sound_is_nan() -> None:
    piece = Activity(np.ones((100, 1), np.float32), 10.0, 9.0)
    stitched = stitch([None, piece], [(0.0, 10.0), (9.0, 19.0)])
    assert stitched is not None
    assert np.isnan(stitched.values[:95]).all()
    assert np.isfinite(stitched.values[95:]).all()


def test_no_event_ends_after_the_film() -> None:
    """The last frame of the timeline may be longer than the rest of the sound."""
    media = window(0, 10, loud=(9, 10))
    cut = Media(media.clip, 0.0, 9.55, media.waveform, None)
    tagged = tagger_of({"a.mp4": [cut]}).tag("a.mp4")
    (siren,) = tagged.tags
    assert [(e.start, e.end) for e in siren.events] == [(9.0, 9.55)]
    assert tagged.duration_seconds == 9.55


def test_windows_are_watched_as_they_come() -> None:
    seen: list[tuple[float, float]] = []

    def watch(media: Media, result: WindowResult) -> None:
        seen.append((media.start_seconds, result.end_seconds))

    windows = [window(0, 10, loud=(2, 4)), window(9, 19)]
    list(tagger_of({"a.mp4": windows}).stream([Path("a.mp4")], watch))
    assert seen == [(0, 10), (9, 19)]


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(threads: int) -> None:
    windows = [window(k, k + 10, loud=(k + 1, k + 3), red=20 * k) for k in range(7)]
    alone = tagger_of({"a.mp4": windows})
    seen: list[float] = []
    many = alone.with_threads(threads)
    (found,) = many.stream([Path("a.mp4")], lambda media, _: seen.append(media.start_seconds))
    (expected,) = alone.stream([Path("a.mp4")])
    assert isinstance(found, Tagged)
    assert isinstance(expected, Tagged)
    assert (found.tags, found.scores) == (expected.tags, expected.scores)
    assert seen == sorted(seen)
    assert len(seen) == 7


def test_an_open_file_is_tagged(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    tagger = tagger_of({str(tmp_path / "a.mp4"): [window(0, 10, loud=(2, 4))]})
    with (tmp_path / "a.mp4").open("rb") as file:
        assert [tag.label for tag in tagger.tag(file).tags] == ["Siren"]


def test_a_stream_without_a_file_is_copied_for_the_time_of_tagging() -> None:
    opened: list[Clip] = []

    def open_(clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        assert clip.path.read_bytes() == b"media"
        opened.append(clip)
        yield window(0, 10, loud=(2, 4))

    tagged = tagger_of({}, open=open_).tag(io.BytesIO(b"media"))
    assert [tag.label for tag in tagged.tags] == ["Siren"]
    assert tagged.clip.name == "open file"
    assert not opened[0].path.exists()


def test_a_recording_in_memory_is_tagged() -> None:
    clip = from_arrays(np.zeros(RATE, np.float32), RATE, name="microphone")
    tagger = tagger_of({"microphone": [window(0, 10, loud=(2, 4))]})
    assert tagger.tag(clip).clip.name == "microphone"


def test_arrays_need_their_rate() -> None:
    with pytest.raises(UsageError, match="arrays need their rate"):
        tagger_of({}).tag(np.zeros(100))  # type: ignore[arg-type]


def test_an_address_is_refused_offline_and_named_as_it_is() -> None:
    address = "https://host/a.mp4"
    (failed,) = tagger_of({}, offline=True).tag([address])
    assert isinstance(failed, Failed)
    assert failed.clip.name == address
    assert failed.message.startswith(f"{address}: --offline forbids a download")


def test_events_by_shot() -> None:
    eye = RedEye()
    cut = tagger_of({"a.mp4": [window(0, 10, loud=(2, 4), red=0)]}, eye=eye, by_shot=True)
    eye.cuts = (3.0,)
    tagged = cut.tag("a.mp4")
    assert [(shot.start, shot.end) for shot in tagged.shots] == [(0.0, 3.0), (3.0, 10.0)]
    (siren,) = tagged.tags
    assert [(e.start, e.end) for e in siren.events] == [(0.0, 3.0), (3.0, 10.0)]


def test_samples_that_are_no_numbers_are_said_with_their_file() -> None:
    class Strict(LoudEar):
        def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
            check_waveforms(waveforms, RATE)
            return super().hear(waveforms)

    broken = window(0, 10)
    assert broken.waveform is not None
    broken.waveform.samples[7] = np.nan
    with pytest.raises(MediaError, match=r"^x\.mp4: contains samples that are NaN or infinite"):
        tagger_of({}, ear=Strict()).score([window(0, 10), broken])
