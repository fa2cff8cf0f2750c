"""The listener: windows as offline, events with onset, offset and peak, gaps, bounded state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from av_tagger.clip import Frames, Media, Samples, Waveform
from av_tagger.fusion import Thresholds, WeightedFusion
from av_tagger.fusion.windows import WindowResult
from av_tagger.live.buffers import TimedImage
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.listener import Listener, LiveSettings
from av_tagger.protocols import DecodeRequest
from av_tagger.scores import Scores
from av_tagger.tagger import Tagger
from tests import fakes
from tests.live.recorded import tag_samples

SECONDS = 40


def tagger(*, eye: bool = False) -> Tagger:
    whole = fakes.tagger()
    request = DecodeRequest(audio_rate=fakes.RATE, short_side=4 if eye else None)
    parts = replace(whole.parts, request=request, eye=whole.parts.eye if eye else None)
    return Tagger(parts)


def sound(*spans: tuple[float, float], level: float = 0.9, seconds: float = SECONDS) -> Samples:
    """Loud in the spans, quiet elsewhere."""
    samples = np.full(round(seconds * fakes.RATE), 0.01, np.float32)
    for start, end in spans:
        samples[round(start * fakes.RATE) : round(end * fakes.RATE)] = level
    return samples


def listened(
    listener: Listener, samples: Samples, sizes: tuple[int, ...] = (7, 50, 3)
) -> list[LiveLine]:
    lines: list[LiveLine] = []
    first = n = 0
    while first < len(samples):
        size = sizes[n % len(sizes)]
        lines += listener.hear(samples[first : first + size])
        first, n = first + size, n + 1
    return lines + listener.finish()


def of(kind: LineKind, lines: list[LiveLine]) -> list[LiveLine]:
    return [line for line in lines if line.kind is kind]


def test_an_event_opens_and_closes_with_onset_offset_and_peak() -> None:
    lines = listened(Listener(tagger()), sound((12.0, 15.5)))
    opened, closed = lines
    assert (opened.kind, closed.kind) == (LineKind.OPEN, LineKind.CLOSE)
    assert (opened.label, opened.start, opened.end) == ("Siren", 12.0, None)
    assert (closed.start, closed.end) == (12.0, 15.5)
    assert closed.peak == pytest.approx(0.9)
    assert opened.number == closed.number == 1
    assert opened.heard == pytest.approx(0.9)


class DogEar(fakes.LoudEar):
    """Hears a dog in loud sounds, and some animal in fainter ones, too."""

    labels = ("Animal", "Dog")

    def _one(self, w: Waveform) -> Scores:
        (_, loud), activity = (scores := super()._one(w)).probabilities, scores.activity
        assert activity is not None
        dog = activity.values[:, 1:]
        values = np.concatenate([np.minimum(3 * dog, 1), dog], axis=1)
        found = np.array([min(3 * loud, 1), loud])
        return Scores(self.labels, found, activity=replace(activity, values=values))


@pytest.mark.parametrize("fold", [True, False])
def test_a_parent_is_left_out_beside_its_kind(fold: bool) -> None:
    level = np.array([0.5, 0.5])
    fusion = WeightedFusion(DogEar.labels, Thresholds(level, level, level), weights=level)
    parts = replace(tagger().parts, labels=DogEar.labels, ear=DogEar(), fusion=fusion, fold=fold)
    of_dogs = Tagger(parts)
    samples = sound((12.0, 15.5)) + sound((30.0, 33.0), level=0.3)
    opened = [(x.label, x.start) for x in of(LineKind.OPEN, listened(Listener(of_dogs), samples))]
    beside = [] if fold else [("Animal", 12.0)]
    assert opened == [*beside, ("Dog", 12.0), ("Animal", 30.0)]


def test_the_opening_comes_within_hop_and_lookahead() -> None:
    listener, samples = Listener(tagger()), sound((12.2, 15.5))
    for first in range(0, len(samples), 5):
        lines = listener.hear(samples[first : first + 5])
        if lines:
            break
    assert listener.time <= 12.2 + 0.1 + 0.5 + 0.1 + 1e-6


@pytest.mark.parametrize("sizes", [(1000,), (1, 2, 3), (50,), (4000,)])
def test_the_size_of_blocks_changes_nothing(sizes: tuple[int, ...]) -> None:
    samples = sound((3.0, 5.0), (12.0, 15.5), (30.0, 40.0))
    expected = listened(Listener(tagger()), samples)
    assert listened(Listener(tagger()), samples, sizes) == expected
    assert len(expected) == 6


def remembered(listener: Listener) -> list[tuple[Media, Scores]]:
    """Every window that the ear hears from now on."""
    found: list[tuple[Media, Scores]] = []
    hear = listener.tagger.hear

    def spy(windows: list[Media]) -> list[Scores]:
        scores = hear(windows)
        found.extend(zip(windows, scores, strict=True))
        return scores

    listener.tagger.hear = spy  # type: ignore[assignment, method-assign]
    return found


def test_windows_hold_the_samples_of_the_recorded_file() -> None:
    rng = np.random.default_rng(0)
    samples = rng.random(25 * fakes.RATE).astype(np.float32)
    listener, whole = Listener(tagger()), tagger()
    found = remembered(listener)
    listened(listener, samples)
    assert len(found) > 40
    for media, scores in found:
        first, last = (round(t * fakes.RATE) for t in (media.start_seconds, media.end_seconds))
        wave = Waveform(samples[first:last], fakes.RATE, media.start_seconds)
        recorded = Media(media.clip, media.start_seconds, media.end_seconds, wave, None)
        (expected,) = whole.hear([recorded])
        np.testing.assert_allclose(scores.probabilities, expected.probabilities, atol=1e-5)
        assert scores.activity is not None
        assert expected.activity is not None
        np.testing.assert_allclose(scores.activity.values, expected.activity.values, atol=1e-5)


def offline(samples: Samples) -> list[tuple[str, float, float, float]]:
    """The events of `Tagger.tag` for the same sound."""
    tagged = tag_samples(tagger(), samples)
    return [
        (tag.label, e.start, e.end, round(e.peak, 6)) for tag in tagged.tags for e in tag.events
    ]


@pytest.mark.parametrize("seconds", [4.0, 14.0, 15.3, 40.0])
def test_file_windows_give_the_events_of_the_file(seconds: float) -> None:
    rng = np.random.default_rng(3)
    samples = sound((1.0, 1.5), (8.2, 9.9), (20.1, 30.0), seconds=seconds)
    samples += rng.random(len(samples)).astype(np.float32) * 0.2
    lines = listened(Listener(tagger(), LiveSettings(windows="file")), samples)
    live = [
        (x.label, round(x.start, 6), round(x.end or 0, 6), round(x.peak or 0, 6))
        for x in of(LineKind.CLOSE, lines)
    ]
    assert live == offline(samples)
    assert live


class CoveringEar(fakes.LoudEar):
    """Its last frame covers the end of the sound, and may be longer."""

    def _one(self, w: Waveform) -> Scores:
        rest = -len(w.samples) % 10
        return super()._one(replace(w, samples=np.pad(w.samples, (0, rest))))


def test_an_event_ends_with_the_stream_inside_a_frame() -> None:
    covering = tagger()
    covering = Tagger(replace(covering.parts, ear=CoveringEar()))
    samples = sound((2.0, 4.06), seconds=4.06)
    lines = listened(Listener(covering, LiveSettings(windows="file")), samples)
    (closed,) = of(LineKind.CLOSE, lines)
    (tag,) = tag_samples(covering, samples).tags
    assert closed.end == pytest.approx(4.06)
    assert [event.end for event in tag.events] == [pytest.approx(4.06)]


def test_a_gap_ends_what_is_open_and_time_goes_on() -> None:
    listener = Listener(tagger())
    first = listener.hear(sound((5.0, 12.0), seconds=8.0))
    lines = first + listener.gap(3.0, "the camera was away")
    assert [line.kind for line in lines] == [LineKind.OPEN, LineKind.CLOSE, LineKind.GAP]
    assert (lines[1].end, lines[2].start, lines[2].end) == (8.0, 8.0, 11.0)
    later = listener.hear(sound((1.0, 3.0), seconds=6.0)) + listener.finish()
    assert [(x.kind, x.start) for x in later] == [(LineKind.OPEN, 12.0), (LineKind.CLOSE, 12.0)]
    assert later[1].end == 14.0
    assert [later[0].number, lines[0].number] == [2, 1]


def test_state_is_bounded() -> None:
    listener = Listener(tagger())
    block = sound((0.5, 1.0), seconds=2.0)
    sizes = []
    for _ in range(1500):
        listener.hear(block)
        sizes.append(listener._sound.kept)
    assert max(sizes) < 30 * fakes.RATE
    assert listener.time == pytest.approx(3000.0)
    assert listener.numbers == 1500


def test_a_line_per_second_on_request() -> None:
    lines = listened(Listener(tagger(), LiveSettings(seconds=True)), sound((5.0, 9.0), seconds=12))
    seconds = of(LineKind.SECOND, lines)
    assert [(x.start, x.end) for x in seconds] == [(float(n), n + 1.0) for n in range(12)]
    assert dict(seconds[7].scores)["Siren"] == pytest.approx(0.9)
    assert seconds[7].level == pytest.approx(20 * np.log10(0.9), abs=0.1)


def test_updates_on_request() -> None:
    settings = LiveSettings(update_seconds=2.0)
    lines = listened(Listener(tagger(), settings), sound((5.0, 12.0), seconds=15))
    updates = of(LineKind.UPDATE, lines)
    assert len(updates) == 3
    assert {x.start for x in updates} == {5.0}
    assert [x.end for x in updates] == sorted(x.end or 0 for x in updates)


def image(seconds: float, red: int) -> TimedImage:
    return TimedImage(seconds, np.full((4, 4, 3), red, np.uint8))


def test_the_eye_looks_every_few_seconds_and_its_frames_are_those_of_the_window() -> None:
    listener = Listener(tagger(eye=True), LiveSettings(look_seconds=3.0))
    seen: list[Frames] = []
    see = listener.tagger.see

    def spy(windows: list[Media]) -> list[Scores]:
        seen.extend(w.frames for w in windows if w.frames is not None)
        return see(windows)

    listener.tagger.see = spy  # type: ignore[assignment, method-assign]
    samples = sound(seconds=20.0)
    for n in range(40):
        listener.see(image(n / 2, 250 if n > 20 else 10))
        listener.hear(samples[n * 50 : (n + 1) * 50])
    listener.finish()
    assert 6 <= len(seen) <= 8
    assert all(len(f) <= 20 for f in seen)
    assert [f.times[-1] - f.times[0] <= 10.0 for f in seen]
    result: WindowResult | None = listener.latest
    assert result is not None
    assert result.seen.keyframes


def test_without_sound_the_eye_alone_opens_events() -> None:
    listener = Listener(tagger(eye=True))
    listener.expect(sound=False, pictures=True)
    lines: list[LiveLine] = []
    for n in range(60):
        lines += listener.see(image(n / 2, 250 if n > 20 else 10))
    lines += listener.finish()
    opened = of(LineKind.OPEN, lines)
    assert [x.label for x in opened] == ["Bicycle"]
    assert opened[0].evidence[0].object == "bicycle"
    assert len(of(LineKind.CLOSE, lines)) == 1


def test_sound_does_not_wait_long_for_pictures() -> None:
    listener = Listener(tagger(eye=True))
    lines = listener.hear(sound((2.0, 9.0), seconds=10.0))
    assert lines[0].kind is LineKind.OPEN


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="above 0"):
        LiveSettings(hop_seconds=0)
    with pytest.raises(ValueError, match="live or file"):
        LiveSettings(windows="both")  # type: ignore[arg-type]
