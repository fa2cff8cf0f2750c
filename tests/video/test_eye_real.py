"""The eye on real pictures with real weights and real words, where they are present."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from av_tagger.clip import Frames
from av_tagger.labels import dcase2017
from av_tagger.scores import Status
from av_tagger.studies.words import (
    NOTHING,
    RULES,
    Fate,
    fates,
    held_out,
    main,
    recognise,
    tables_of,
)
from av_tagger.video import fetch
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eyes import load_eye
from av_tagger.video.word_table import load_table
from av_tagger.video.words import WordTable

torch.set_num_threads(1)
SHIPPED = Path(__file__).resolve().parents[2] / "weights" / fetch.TABLE
FIRE, AMBULANCE, POLICE = (
    "Fire engine, fire truck (siren)",
    "Ambulance (siren)",
    "Police car (siren)",
)

# Whole vehicles whose name leaves no doubt. Left out: parts (grille, car wheel) and what no class
# is meant for (tank, tractor, forklift, streetcar, go-kart, half track, snowplow, jinrikisha,
# recreational vehicle, unicycle, ships).
CLEAR = {
    "Car": "beach_wagon cab convertible jeep limousine minivan Model_T racer sports_car",
    "Truck": "garbage_truck moving_van pickup tow_truck trailer_truck",
    "Train": "bullet_train electric_locomotive freight_car passenger_car steam_locomotive",
    "Bus": "minibus school_bus trolleybus",
    "Bicycle": "bicycle-built-for-two mountain_bike tricycle",
    "Motorcycle": "moped motor_scooter",
    FIRE: "fire_engine",
    AMBULANCE: "ambulance",
    POLICE: "police_van",
}
WANTED = {name: label for label, names in CLEAR.items() for name in names.split()}


@pytest.fixture(scope="module")
def material() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared/data"
    if not folder.is_dir():
        pytest.skip("the optional material in ../shared is not there")
    return folder


@pytest.fixture(scope="module")
def table() -> WordTable:
    found = load_table(SHIPPED, "ours", dcase2017())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def looked(material: Path, table: WordTable) -> dict[str, Fate]:
    """By the name of the object: every picture through the recogniser of a fresh install."""
    pictures = sorted((material / "pictures").glob("n*_*.jpg"))
    seen = recognise(pictures)
    found = fates(pictures, seen, table, RULES["ours"])
    return {fate.picture.split("_", 1)[1]: fate for fate in found}


def test_four_held_out_pictures_of_five_are_right(looked: dict[str, Fate], material: Path) -> None:
    """Pictures whose words were not looked at while the class words were written."""
    ids = {
        p.stem.split("_", 1)[1]: p.stem.split("_")[0] for p in (material / "pictures").glob("n*")
    }
    held = [name for name in WANTED if held_out(ids[name])]
    wrong = {n: looked[n].of_picture for n in held if looked[n].of_picture != WANTED[n]}
    assert len(held) >= 15
    assert len(wrong) <= 0.2 * len(held), wrong


def test_what_is_no_vehicle_is_no_evidence(looked: dict[str, Fate]) -> None:
    others = [fate for name, fate in looked.items() if name not in WANTED]
    assert len(others) > 70
    false = {fate.picture: fate.of_picture for fate in others if fate.of_picture != NOTHING}
    assert len(false) <= 5, false
    strong = {fate.picture for fate in others if fate.strength > 0.2}
    assert strong <= {"n03459775_grille"}  # the front of a car


def test_the_plain_rule_gives_everything_to_something(material: Path) -> None:
    """The paper's assignment of nearness alone: why it stays in its preset."""
    tables = tables_of(material / "words/glove.6B.50d.part.txt", dcase2017())
    pictures = sorted((material / "pictures").glob("n*_*.jpg"))[:10]  # animals
    found = fates(pictures, recognise(pictures), tables["paper"], RULES["paper"])
    assert sum(fate.of_picture != NOTHING for fate in found) > 5


def test_a_film_of_real_pictures(material: Path) -> None:
    """Three scenes of one picture each, five frames a scene: one key frame per scene, and the
    ambulance is found with its time.
    """
    eye = load_eye(EyeSettings(keyframes=3), dcase2017())
    assert eye.info.status is Status.OK
    paths = [
        next((material / "pictures").glob(f"*_{name}.jpg"))
        for name in ("daisy", "ambulance", "mountain_bike")
    ]
    stills = [np.asarray(Image.open(path).convert("RGB").resize((360, 300))) for path in paths]
    film = Frames(np.repeat(np.stack(stills), 5, axis=0), np.arange(15) / 5)
    (seen,) = eye.see([film])
    assert [int(frame.seconds) for frame in seen.keyframes] == [0, 1, 2]
    assert [frame.weight for frame in seen.keyframes] == pytest.approx([1 / 3] * 3)
    best = seen.evidence[AMBULANCE][0]
    assert (best.object, int(best.seconds)) == ("ambulance", 1)
    assert seen.keyframes[0].objects[0][0] == "daisy"
    said = {label for label, p in zip(seen.labels, seen.probabilities, strict=True) if p > 0.3}
    assert said == {AMBULANCE, "Bicycle"}
    assert np.isnan(seen.probabilities).sum() > 10


def test_the_printed_table(
    material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("n02701002_ambulance.jpg", "n03272562_electric_locomotive.jpg"):
        (tmp_path / name).write_bytes((material / "pictures" / name).read_bytes())
    vectors, weights = (
        material / "words/glove.6B.50d.part.txt",
        material / "weights/mobilenetv2_100.safetensors",
    )
    main(
        [
            "table",
            str(vectors),
            str(tmp_path),
            "--recogniser",
            "mobilenetv2_100",
            "--weights",
            str(weights),
        ]
    )
    printed = capsys.readouterr().out
    assert "rule paper" in printed
    assert printed.count(AMBULANCE) == 4
