"""Clips of the fusion-gain study: numbers, splits, films and waveforms."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from av_tagger.errors import TableError, UsageError
from av_tagger.studies import starter_examples
from av_tagger.studies.av_gain_clips import (
    HELD_OUT_SEED,
    SHOWS,
    GainSettings,
    SoundSource,
    TwoShotFilm,
    collect,
    deal,
    frames_of,
    pictures_in,
    place,
    recordings,
    truths,
    waveform,
)
from av_tagger.studies.sound_manifest import LABELS
from av_tagger.studies.starter_data import write_wav
from av_tagger.synth.dsp import RandomDraw
from tests.studies.gain import LONE, NEEDED, OTHERS, SETTINGS, make_manifest


@pytest.fixture
def sounds(tmp_path: Path) -> list[SoundSource]:
    """Recordings in pairs of clips, some ambiguous, many trains, none of most classes."""
    rows = [
        (label, "", f"{label} {i // 2}")
        for label in ("Train", "Bus", "Screaming")
        for i in range(24)
    ]
    rows += [
        ("Bus|Truck", "", "both"),
        ("", "SIREN_ANY", "open"),
        ("Bicycle", "DUBIOUS", "open too"),
    ]
    rows += [("", "", f"rain {i}") for i in range(30)]
    return collect(make_manifest(tmp_path, rows), SETTINGS)


def test_classes_have_equal_numbers_and_recordings_come_first(sounds: list[SoundSource]) -> None:
    assert len(sounds) == SETTINGS.clips
    assert len({s.name for s in sounds}) == len(sounds)
    count = Counter(label for s in sounds for label in s.labels)
    assert all(SETTINGS.per_class <= count[label] <= SETTINGS.per_class + 1 for label in LABELS)
    assert all(s.file is not None for s in sounds if "Train" in s.labels)
    assert all(s.file is None for s in sounds if "Car alarm" in s.labels)
    assert sum(not s.labels and s.file is not None for s in sounds) == 30
    assert not any(s.recording.startswith("open") for s in sounds)


def test_the_clips_depend_on_the_seed_only(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path, [("Train", "", f"r{i}") for i in range(60)])
    assert collect(manifest, SETTINGS) == collect(manifest, SETTINGS)
    other = collect(manifest, replace(SETTINGS, seed=1))
    assert {s.name for s in other} != {s.name for s in collect(manifest, SETTINGS)}


def test_training_uses_no_seed_of_the_scenes(
    sounds: list[SoundSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training's seeds end where these begin."""
    drawn: list[int] = []

    def spy(seed: int, *_: object, **__: object) -> object:
        drawn.append(seed)
        raise LookupError

    monkeypatch.setattr(starter_examples, "scene", spy)
    monkeypatch.setattr(starter_examples, "empty_scene", spy)
    for seed in range(40):
        for kind in (
            starter_examples.scene_example,
            starter_examples.alone_example,
            starter_examples.over_example,
            starter_examples.empty_example,
        ):
            with pytest.raises(LookupError):
                kind(RandomDraw(np.random.default_rng(seed)), starter_examples.Library([]), 100)
    assert len(drawn) == 160
    assert max(drawn) < HELD_OUT_SEED <= min(s.seed for s in sounds if s.file is None)


@pytest.mark.parametrize("number", range(SETTINGS.deals))
def test_halves_share_no_recording_and_no_picture(sounds: list[SoundSource], number: int) -> None:
    dealt = deal(sounds, [*NEEDED, *OTHERS], number, SETTINGS)
    assert 0.45 < dealt.halves.mean() < 0.55
    recordings = [
        {s.recording for s, h in zip(sounds, dealt.halves, strict=True) if h == half}
        for half in (0, 1)
    ]
    assert recordings[0].isdisjoint(recordings[1])
    pictures = [
        {
            p
            for film, h in zip(dealt.films, dealt.halves, strict=True)
            if h == half
            for p in film.pictures
        }
        for half in (0, 1)
    ]
    assert pictures[0] & pictures[1] <= LONE
    for names in set(SHOWS.values()):
        assert all(set(names) & pictures[half] for half in (0, 1))


@pytest.mark.parametrize("number", range(SETTINGS.deals))
def test_the_given_share_of_films_shows_the_source(sounds: list[SoundSource], number: int) -> None:
    dealt = deal(sounds, [*NEEDED, *OTHERS], number, SETTINGS)
    for sound, film in zip(sounds, dealt.films, strict=True):
        fitting = {name for label in sound.labels for name in SHOWS.get(label, ())}
        assert len(set(film.pictures) & fitting) == int(film.shows)
    for label in ("Train", "Bicycle", "Police car (siren)"):
        for half in (0, 1):
            mine = [
                f.shows
                for f, s, h in zip(dealt.films, sounds, dealt.halves, strict=True)
                if h == half and s.labels == (label,)
            ]
            assert sum(mine) == round(0.7 * len(mine)) > 0


def test_deals_have_different_halves_and_films(sounds: list[SoundSource]) -> None:
    one, other = (deal(sounds, [*NEEDED, *OTHERS], number, SETTINGS) for number in (0, 1))
    assert (one.halves != other.halves).any()
    assert [f.pictures for f in one.films] != [f.pictures for f in other.films]


def test_wrong_inputs_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few"):
        GainSettings(clips=20)
    with pytest.raises(UsageError, match="deals is at least 1"):
        GainSettings(deals=0)
    with pytest.raises(TableError, match=r"line 2.*'Trane'"):
        recordings(make_manifest(tmp_path, [("Trane", "", "r")]))
    with pytest.raises(UsageError, match="has no picture"):
        pictures_in(tmp_path)


def test_the_vehicle_of_a_siren_is_unknown() -> None:
    truth, unclear = truths(
        [SoundSource("a", ("Police car (siren)",), "a"), SoundSource("b", (), "b")]
    )
    assert [LABELS[k] for k in np.flatnonzero(truth[0])] == ["Police car (siren)"]
    assert unclear[0, LABELS.index("Car")]
    assert not unclear[0, LABELS.index("Train")]
    assert not truth[1].any()
    assert not unclear[1].any()


def test_a_film_moves_over_one_picture_and_then_the_other(tmp_path: Path) -> None:
    slope = np.linspace(0, 200, 120, dtype=np.uint8)
    for name, channel in (("red", 0), ("blue", 2)):
        image = np.zeros((90, 120, 3), np.uint8)
        image[..., channel] = 50 + slope
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    pictures = {name: tmp_path / f"{name}.png" for name in ("red", "blue")}
    film = frames_of(TwoShotFilm(("red", "blue"), shows=True, seed=(1, 2)), pictures, 48, SETTINGS)
    assert film.images.shape == (6, 48, 64, 3)
    assert (film.images[:3, ..., 2] == 0).all()
    assert (film.images[3:, ..., 0] == 0).all()
    assert film.images.max() > 50
    assert (film.images[0] != film.images[1]).any()
    again, other = (
        frames_of(TwoShotFilm(("red", "blue"), shows=True, seed=(1, k)), pictures, 48, SETTINGS)
        for k in (2, 3)
    )
    np.testing.assert_array_equal(again.images, film.images)
    assert (other.images != film.images).any()


def test_scenes_are_resampled_to_any_rate() -> None:
    scene = SoundSource("s", ("Train horn",), "s", seed=HELD_OUT_SEED)
    low, high = (waveform(scene, rate, SETTINGS) for rate in (8_000, 16_000))
    assert (low.rate, len(low.samples), len(high.samples)) == (8_000, 40_000, 80_000)
    assert low.samples.std() > 0


def test_recordings_are_read_at_the_rate_of_the_ear_and_cut(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", np.full(64_000, 0.25, np.float32))
    source = SoundSource("long", (), "long", tmp_path / "long.wav")
    heard = waveform(source, 8_000, replace(SETTINGS, longest_seconds=0.5))
    assert (heard.rate, len(heard.samples)) == (8_000, 4_000)
    assert heard.samples[100:-100] == pytest.approx(np.full(3_800, 0.25), abs=0.01)


def test_scenes_without_a_class_have_sound_as_well() -> None:
    empty = SoundSource("s", (), "s", seed=HELD_OUT_SEED + 5)
    assert waveform(empty, 8_000, replace(SETTINGS, scene_seconds=0.5)).samples.std() > 0


def test_pictures_of_a_class_are_split_and_single_ones_are_in_both_halves() -> None:
    places = place([*NEEDED, *OTHERS], np.random.default_rng(0))
    for names in set(SHOWS.values()):
        halves = [places[name] for name in names]
        if len(names) == 1:
            assert halves == [frozenset({0, 1})]
        else:
            assert set(halves) == {frozenset({0}), frozenset({1})}


def test_ambiguous_rows_are_left_out_and_the_others_sorted(tmp_path: Path) -> None:
    rows = [("Train", "", "b"), ("Bus", "STREET", "a"), ("", "", "c")]
    found = recordings(make_manifest(tmp_path, rows))
    assert [(s.name, s.labels) for s in found] == [("dev/000.ogg", ("Train",)), ("dev/002.ogg", ())]
