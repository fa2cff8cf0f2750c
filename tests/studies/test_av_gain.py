"""The fusion-gain study: its clips, known gains, and the whole command with fake branches."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from av_tagger.clip import Frames, Waveform
from av_tagger.errors import TableError, UsageError
from av_tagger.fusion.fit import DevelopmentScores
from av_tagger.metrics import Counts
from av_tagger.scores import BranchInfo, Scores, Status
from av_tagger.studies import av_gain, starter_examples
from av_tagger.studies.av_gain import Experiment, cached, run
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
    recordings,
    truths,
    waveform,
)
from av_tagger.studies.av_gain_measure import WAYS, measure, summary
from av_tagger.studies.sound_manifest import LABELS
from av_tagger.synth.dsp import RandomDraw

SETTINGS = GainSettings(clips=200, deals=3, frames=6)
NEEDED = sorted({name for names in SHOWS.values() for name in names})
OTHERS = [f"thing{i}" for i in range(20)]
LONE = {"ambulance", "fire_engine", "police_van"}  # a class's only picture


def make_manifest(folder: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    """Rows of labels, ambiguous labels and the recording."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dev.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "labels", "ambiguous", "recording"])
        table.writerows([f"dev/{i:03}.ogg", *row] for i, row in enumerate(rows))
    return path


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


EAR_KNOWS = 8  # the first classes; the eye knows the others


def known_branches(each: int = 24) -> tuple[DevelopmentScores, np.ndarray]:
    """One class per clip; a branch that knows a class is always right, else it is constant."""
    truth = np.repeat(np.eye(len(LABELS), dtype=bool), each, axis=0)
    sure = np.where(truth, 0.9, 0.1)
    heard, seen = np.full(truth.shape, 0.3), np.full(truth.shape, 0.3)
    heard[:, :EAR_KNOWS], seen[:, EAR_KNOWS:] = sure[:, :EAR_KNOWS], sure[:, EAR_KNOWS:]
    return DevelopmentScores(heard, seen, truth), np.arange(len(truth)) % 2


def test_a_known_gain_is_found() -> None:
    """Finding k of n equal classes without a mistake: F1 = 2 k / (k + n)."""
    table, halves = known_branches()
    n = len(LABELS)
    for half in measure(table, halves, {}):
        assert half.counts["heard"].f1 == pytest.approx(2 * EAR_KNOWS / (EAR_KNOWS + n))
        assert half.counts["seen"].f1 == pytest.approx(2 * (n - EAR_KNOWS) / (2 * n - EAR_KNOWS))
        assert half.counts["fitted"].f1 == 1.0
        assert half.counts["paper rule"].f1 == 1.0
        assert half.trusts_eye.tolist() == [k >= EAR_KNOWS for k in range(n)]
        assert half.counts["fitted"].positives.tolist() == [12] * n


def test_an_eye_that_knows_nothing_adds_nothing() -> None:
    table, halves = known_branches()
    blind = DevelopmentScores(table.heard, np.full(table.seen.shape, 0.3), table.truth)
    for half in measure(blind, halves, {}):
        assert half.counts["fitted"].f1 == half.counts["heard"].f1
        assert half.counts["paper weights"].f1 == half.counts["heard"].f1


def noisy() -> tuple[DevelopmentScores, np.ndarray]:
    table, halves = known_branches()
    random = np.random.default_rng(0)
    noise = [random.uniform(-0.3, 0.3, table.truth.shape) for _ in range(2)]
    return DevelopmentScores(
        (table.heard + noise[0]).clip(0, 1), (table.seen + noise[1]).clip(0, 1), table.truth
    ), halves


def test_the_fit_does_not_use_the_measured_half() -> None:
    table, halves = noisy()
    other = table.truth.copy()
    other[halves == 1] = other[halves == 1][::-1]
    first, changed = (
        measure(DevelopmentScores(table.heard, table.seen, truth), halves, {})[0]
        for truth in (table.truth, other)
    )
    np.testing.assert_array_equal(first.weights, changed.weights)
    for way in WAYS:
        np.testing.assert_array_equal(first.counts[way].predicted, changed.counts[way].predicted)
        assert first.counts[way].right.sum() > changed.counts[way].right.sum()


def test_counts_by_kind_add_up(tmp_path: Path) -> None:
    table, halves = noisy()
    real = np.random.default_rng(1).random(len(halves)) < 0.5
    results = measure(table, halves, {"recordings": real, "scenes": ~real})
    for half in results:
        for way in WAYS:
            both = Counts.pooled([half.by_kind[kind][way] for kind in ("recordings", "scenes")])
            assert vars(both).keys() == vars(half.counts[way]).keys()
            np.testing.assert_array_equal(both.right, half.counts[way].right)
            np.testing.assert_array_equal(both.predicted, half.counts[way].predicted)
    figures = summary(results)
    gain = [half.counts["fitted"].f1 - half.counts["heard"].f1 for half in results]
    assert figures["gain"]["fitted"]["mean"] == pytest.approx(sum(gain) / 2)
    assert figures["gain"]["fitted"]["std"] == pytest.approx(abs(gain[0] - gain[1]) / 2**0.5)


def test_scores_are_cached_until_the_key_changes(tmp_path: Path) -> None:
    path = tmp_path / "heard.npz"
    assert cached(path, "a", lambda: np.ones((2, 2))).sum() == 4
    assert cached(path, "a", lambda: np.zeros((2, 2))).sum() == 4
    assert cached(path, "b", lambda: np.zeros((2, 2))).sum() == 0


class LoudnessEar:
    """Scores every class by the loudness."""

    labels, rate, info = LABELS[::-1], 8_000, BranchInfo(Status.OK, "fake")

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        levels = [float(np.abs(w.samples).mean()) for w in waveforms]
        return [
            Scores(self.labels, np.linspace(0, 1, len(LABELS)) * min(1.0, 10 * level))
            for level in levels
        ]


class ColourEye:
    """Knows the pictures of the fixture by their grey level."""

    labels, short_side, info = LABELS, 16, BranchInfo(Status.OK, "fake")

    def see(self, clips: Sequence[Frames]) -> list[Scores]:
        return [Scores(LABELS, self._shares(film)) for film in clips]

    def _shares(self, film: Frames) -> np.ndarray:
        greys = np.rint(film.images.mean(axis=(1, 2, 3)) / 4).astype(int)
        names = [NEEDED[g - 1] if 0 < g <= len(NEEDED) else "" for g in greys]
        return np.array(
            [np.mean([name in SHOWS.get(label, ()) for name in names]) for label in LABELS]
        )


@pytest.fixture
def material(tmp_path: Path) -> Path:
    data = tmp_path / "shared/data"
    make_manifest(data / "sounds", [])
    (data / "pictures").mkdir()
    for i, name in enumerate([*NEEDED, *OTHERS]):
        grey = 4 * (i + 1) if name in NEEDED else 250
        Image.new("RGB", (24, 18), (grey, grey, grey)).save(
            data / "pictures" / f"n{i:08}_{name}.jpg", quality=95
        )
    return data.parent


def small(material: Path, folder: Path, ear: Path, clips: int) -> Experiment:
    settings = GainSettings(clips=clips, deals=1, frames=2, scene_seconds=0.3)
    return Experiment(material, folder, str(ear), settings)


def test_an_eye_that_knows_its_pictures_finds_what_is_shown(
    material: Path, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av_gain, "load_the_ear", lambda _: LoudnessEar())
    monkeypatch.setattr(av_gain, "load_the_eye", ColourEye)
    results = run(small(material, tmp_path, published, 128))
    assert results["clips"]["scenes_with_a_class"] == 17 * 6
    assert results["micro_f1"]["seen"]["mean"] > results["micro_f1"]["heard"]["mean"]
    assert results["gain"]["fitted"]["mean"] > 0.1
    assert results["classes"]["Bicycle"]["trusts_eye"] == 2
    assert not results["classes"]["Screaming"]["can_be_seen"]
    with (tmp_path / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 128
    assert sum(int(row["shows"]) for row in rows) == results["clips"]["show_their_source"]


def test_a_second_run_loads_no_network(
    material: Path, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av_gain, "load_the_ear", lambda _: LoudnessEar())
    monkeypatch.setattr(av_gain, "load_the_eye", ColourEye)
    experiment = small(material, tmp_path, published, 43)
    first = run(experiment)

    def fail(*_: object) -> None:
        raise AssertionError("a network was loaded again")

    monkeypatch.setattr(av_gain, "load_the_ear", fail)
    monkeypatch.setattr(av_gain, "load_the_eye", fail)
    assert json.dumps(run(experiment)) == json.dumps(first)


def test_the_command_writes_numbers_text_and_a_figure(
    material: Path,
    tmp_path: Path,
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", "")  # the command sets it
    monkeypatch.setattr(av_gain, "load_the_eye", ColourEye)
    words = [str(material), "-o", str(tmp_path / "out"), "--ear", str(published)]
    sizes = ["--clips", "43", "--deals", "1", "--frames", "2", "--scene-seconds", "0.3"]
    av_gain.main([*words, *sizes])
    text = capsys.readouterr().out
    assert text.startswith(f"    python -m av_tagger.studies.av_gain {material}")
    assert "| Screaming (no picture) |" in text
    results = json.loads((tmp_path / "out" / "gain.tiny.json").read_text())
    assert results["clips"]["scenes_with_a_class"] == 17 * 2
    assert tuple(results["classes"]) == LABELS
    assert (tmp_path / "out" / "gain.tiny.md").read_text().strip() == text.strip()
    with Image.open(tmp_path / "out" / "gain.tiny.png") as picture:
        assert min(picture.size) > 300


@pytest.mark.slow
def test_with_a_real_ear_and_eye(
    shared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", "")  # the command sets it
    words = [str(shared), "-o", str(tmp_path), "--ear", "efficientat:mn04"]
    av_gain.main([*words, "--clips", "60", "--deals", "1"])
    assert "ear alone" in capsys.readouterr().out
    results = json.loads((tmp_path / "gain.efficientat.mn04.json").read_text())
    assert results["micro_f1"]["heard"]["mean"] > 0.2
    assert results["clips"]["recordings_with_a_class"] > 30
