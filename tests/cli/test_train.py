"""av-tag train: a run from folders, resumed, with changed settings, and its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from av_tagger.audio.ears import load_ear
from tests import ROOT
from tests.cli.conftest import AvTag
from tests.learning.tones import write_folders

TINY = ROOT / "tests" / "learning" / "tiny.toml"


@pytest.fixture
def concert(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "concert")


def words(concert: Path, *more: object) -> list[object]:
    folder = concert.parent
    start = ["train", TINY, "--data", concert, "--classes", "data", "--hold-out", "0.3"]
    places = ["--store", folder / "store", "-o", folder / "run", "--device", "cpu"]
    return [*start, *places, "--decoders", "1", "--set", "length.epochs=2", *more]


def test_a_run_prints_its_data_epochs_and_files(concert: Path, av_tag: AvTag) -> None:
    done = av_tag(*words(concert))
    assert (done.code, done.out) == (0, "")
    text = " ".join(done.err.split())
    assert "3 classes" in text
    assert "1 skipped: 1 broken" in text
    assert "notes.wav" in text
    assert "epoch 2" in text
    assert "tag with it: av-tag tag --ear" in text
    run = concert.parent / "run"
    assert (run / "card.md").exists()
    assert load_ear(run, "cpu").labels == ("low", "middle", "shrill")


def test_a_finished_run_can_be_resumed_but_not_repeated(concert: Path, av_tag: AvTag) -> None:
    assert av_tag(*words(concert)).code == 0
    assert av_tag(*words(concert, "--resume")).code == 0
    again = av_tag(*words(concert))
    assert again.code == 2
    assert "already holds a run" in " ".join(again.err.split())


def test_the_card_has_the_command_and_the_changed_settings(concert: Path, av_tag: AvTag) -> None:
    assert av_tag(*words(concert, "--set", "seed=7", "--precision", "bf16")).code == 0
    card = json.loads((concert.parent / "run" / "card.json").read_text())
    assert card["origin"].startswith("av-tag train ")
    assert card["recipe"]["seed"] == 7
    assert card["recipe"]["length"]["epochs"] == 2
    assert card["precision"] == "bfloat16"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "optimizer.lr=1"], "did you mean 'optimiser'"),
        (["--device", "gpu"], "there is no device"),
        (["--precision", "half"], "there is no precision 'half'"),
        (["--hold-out", "1.5"], "between 0 and 1"),
    ],
)
def test_wrong_options_are_errors(concert: Path, av_tag: AvTag, more: list[str], said: str) -> None:
    done = av_tag(*words(concert, *more))
    assert done.code == 2
    assert said in " ".join(done.err.split())


def test_an_unknown_recipe_is_an_error(concert: Path, av_tag: AvTag) -> None:
    done = av_tag("train", "crnn-avv", "--data", concert, "-o", concert.parent / "run")
    assert done.code == 2
    assert "did you mean 'crnn-av'" in " ".join(done.err.split())


def test_missing_data_are_an_error(tmp_path: Path, av_tag: AvTag) -> None:
    done = av_tag("train", "crnn-av", "--data", tmp_path / "gone.csv", "-o", tmp_path / "run")
    assert done.code == 2
    assert "there is no such data" in " ".join(done.err.split())


def test_seeds_and_folds_print_mean_and_spread(concert: Path, av_tag: AvTag) -> None:
    plain = [w for w in words(concert) if w not in ("--hold-out", "0.3")]
    done = av_tag(*plain, "--seeds", "2", "--folds", "2", "--set", "length.epochs=1")
    text = " ".join(done.err.split())
    assert done.code == 0
    assert "seed-0/fold-0" in text
    assert "seed-1/fold-1" in text
    assert "micro_f1 0." in text
    assert "±" in text
    assert "(4 runs)" in text
    run = concert.parent / "run"
    assert load_ear(run, "cpu").info.model == "mean of 4 networks"
    seen = av_tag("analyse", run, run / "seed-0" / "fold-0", "-o", concert.parent / "seen")
    assert "(4 runs)" in seen.out
    assert (concert.parent / "seen" / "classes.png").is_file()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--folds", "40"], "--folds 40: there are only 16 training files"),
        (["--folds", "1"], "folds is 0 or at least 2"),
        (["--seeds", "0"], "--seeds"),
        (["--folds", "2", "--valid", "x.csv"], "--folds makes its own validation sets"),
    ],
)
def test_repeats_that_cannot_be_are_one_sentence(
    concert: Path, av_tag: AvTag, more: list[str], said: str
) -> None:
    done = av_tag(*words(concert, *more))
    text = " ".join(done.err.split())
    assert done.code == 2
    assert said in text
    assert not (concert.parent / "run" / "card.json").exists()


def test_an_embedder_that_is_not_here_is_one_sentence(concert: Path, av_tag: AvTag) -> None:
    start = ["train", "att/feature-attention", "--data", concert, "--classes", "data"]
    more = ["--set", f"embedder={concert.parent / 'nowhere.safetensors'}"]
    done = av_tag(*start, "-o", concert.parent / "run", "--device", "cpu", *more)
    assert done.code == 2
    assert "nowhere.safetensors: there is no such weights file" in " ".join(done.err.split())
    done = av_tag("train", "small/mil-dnn-embed", *start[2:], "-o", concert.parent / "run")
    assert done.code == 2
    text = " ".join(done.err.split())
    assert "train small/embedding-cnn and give its folder (--set embedder=RUN)" in text


def test_votes_from_the_command_line(concert: Path, av_tag: AvTag) -> None:
    folder = concert.parent
    for seed in (0, 1):
        start = [w if w != folder / "run" else folder / f"run-{seed}" for w in words(concert)]
        fixed = ["--valid", concert, "--set", f"seed={seed}"]
        assert av_tag(*[w for w in start if w not in ("--hold-out", "0.3")], *fixed).code == 0
    for flags, model in (([], "vote of 2 networks"), (["--mean"], "mean of 2 networks")):
        output = folder / f"together{len(flags)}"
        done = av_tag("vote", folder / "run-0", folder / "run-1", "-o", output, *flags)
        assert done.code == 0
        assert "together: micro-F1" in done.err
        assert load_ear(output, "cpu").info.model == model
    assert av_tag("vote", folder / "run-0", "-o", folder / "x").code == 2
