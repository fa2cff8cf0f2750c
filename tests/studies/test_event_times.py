"""Scenes of recordings at known times, and figures of events found in them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Waveform
from av_tagger.dcase import SoundEvent
from av_tagger.studies import event_times
from av_tagger.studies.event_scenes import (
    RATE,
    SCENES,
    SoundBank,
    TimedScene,
    read_bank,
    sounding,
)
from av_tagger.studies.event_times import event_f1, measured, scores_of
from av_tagger.studies.starter_data import write_wav
from tests.audio.test_frame_times import yamnet

COLUMNS = ("file", "labels", "ambiguous", "source_label", "source")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes and a street; each sound lasts from 1 to 2.5 s of its file."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = {
        "dev.csv": [("scream.wav", "Screaming", "", "scream", "x")],
        "train.csv": [
            ("dog.wav", "", "", "Dog bark", "x"),
            ("vague.wav", "Train", "RAIL_TRAM", "train", "x"),
            ("street.wav", "", "", "engine", "x"),
        ],
    }
    draw = np.random.default_rng(0)
    for name, listed in rows.items():
        for file, *_ in listed:
            x = draw.standard_normal(4 * 32_000).astype(np.float32) * np.float32(0.1)
            if file != "street.wav":
                x[:32_000] = x[80_000:] = 0
            write_wav(folder / file, x)
        with (folder / name).open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([COLUMNS, *listed])
    return folder


@pytest.fixture(scope="module")
def bank(folder: Path) -> SoundBank:
    return read_bank(folder)


def test_recordings_by_class(bank: SoundBank) -> None:
    assert {label: [p.name for p in paths] for label, paths in bank.sounds.items()} == {
        "Dog": ["dog.wav"],
        "Screaming": ["scream.wav"],
    }
    assert list(bank.of(("Screaming", "Bus")).sounds) == ["Screaming"]
    assert [p.name for p in bank.backgrounds] == ["street.wav"]


def test_sounding_parts_include_short_pauses() -> None:
    x = np.zeros(6 * RATE, np.float32)
    for first, end in ((1.0, 1.5), (1.7, 2.5), (4.0, 5.0), (5.8, 5.9)):
        x[round(first * RATE) : round(end * RATE)] = 0.1
    assert [(a / RATE, b / RATE) for a, b in sounding(x)] == [(1.0, 2.5), (4.0, 5.0)]
    assert sounding(np.zeros(RATE, np.float32)) == []


@pytest.mark.parametrize("kind", SCENES)
def test_a_scene_is_louder_where_its_events_are(bank: SoundBank, kind: str) -> None:
    for seed in range(4):
        scene = SCENES[kind](bank, seed)
        sounds = np.zeros(len(scene.samples), bool)
        for event in scene.events:
            sounds[round(event.start * RATE) : round(event.end * RATE)] = True
        power = np.square(scene.samples)
        assert power[sounds].mean() > 2 * power[~sounds].mean()
        again = SCENES[kind](bank, seed)
        assert again.events == scene.events
        np.testing.assert_array_equal(again.samples, scene.samples)


def test_events_by_hand() -> None:
    truth = {"a": [SoundEvent("Dog", 1.0, 2.0), SoundEvent("Dog", 4.0, 6.0)]}
    found = {"a": [SoundEvent("Dog", 1.1, 2.1), SoundEvent("Dog", 3.6, 6.3)]}
    assert event_f1(truth, found, 0.2) == 0.5  # the second begins too early
    assert event_f1(truth, found, 0.5) == 1.0
    assert event_f1(truth, {"a": []}, 0.5) == 0.0
    assert event_f1(truth, {"a": [SoundEvent("Cat", 1.0, 2.0)]}, 0.5) == 0.0
    scores = scores_of(truth, found)
    assert scores.onset == (pytest.approx(-0.15), pytest.approx(0.25))
    assert scores.offset == (pytest.approx(0.2), pytest.approx(0.2))


def test_a_perfect_finder_has_perfect_figures(bank: SoundBank) -> None:
    def find(scene: TimedScene) -> list[SoundEvent]:
        return list(scene.events)

    scores = measured(find, bank, "repeated", 5)
    assert scores.segments == scores.events == (1.0, 1.0)
    assert scores.row()[-1] == "+0.00 (0.00) s"


def test_the_command_prints_a_row_per_kind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event_times.main([str(folder), "--ear", "starter", "--scenes", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {kind}" for kind in SCENES]


def test_the_first_row_of_yamnet_is_centred_on_its_patch() -> None:
    ear, draw = yamnet(), np.random.default_rng(0)
    street = draw.standard_normal(round(9.6 * ear.rate)).astype(np.float32) * np.float32(1e-3)
    found = event_times.first_centres(ear, Waveform(street, ear.rate).samples, draw)
    assert np.mean(found) == pytest.approx(0.48, abs=0.08)
