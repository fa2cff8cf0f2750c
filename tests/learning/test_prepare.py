from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from av_tagger.cli.recipes import recipes
from av_tagger.cli.train import train
from av_tagger.clip import Clip
from av_tagger.errors import UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.data.bags import WaveformBags
from av_tagger.learning.data.examples import Example, ExampleSet
from av_tagger.learning.prepare import Sources, hold_out, read_data, skipped, waveform_data
from av_tagger.learning.recipe import Recipe

Sing = Callable[..., NDArray[np.float32]]


@pytest.fixture
def concert(tmp_path: Path, sing: Sing) -> Path:
    """Three folders of tones, one of nothing, and a file that is no sound."""
    for i, name in enumerate(["low", "middle", "shrill", "none"] * 4):
        file = tmp_path / "concert" / name / f"{i}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(4_000)
            out.writeframes(
                np.rint(sing(() if name == "none" else (name,), i) * 32_767).astype("<i2").tobytes()
            )
    (tmp_path / "concert" / "low" / "notes.wav").write_text("la la la")
    return tmp_path / "concert"


def test_folders_become_data_and_broken_files_are_listed(
    concert: Path, classes: ClassList, tiny: Callable[..., Recipe]
) -> None:
    seen: list[tuple[int, int]] = []
    recipe = tiny("crnn-modern")
    data = read_data(
        Sources((concert,), hold_out=0.25, store=concert.parent / "store"),
        classes,
        recipe,
        lambda *n: seen.append(n),
    )
    assert len(data.training) + len(data.validation) == 16
    assert isinstance(data.background, WaveformBags)
    assert not np.nan_to_num(data.background.targets).any()
    assert [Path(s.name).name for s in skipped(data)] == ["notes.wav"]
    assert seen[-1][0] == seen[-1][1]
    held = {int(k) for k in np.flatnonzero(data.validation.targets.any(axis=0))}
    assert held == {0, 2, 4}
    assert [w for w in data.warnings if "'deep'" in w] == [
        "class 'deep' has no training clip: it cannot be learnt and will not be tagged"
    ]


def test_shared_training_and_validation_clips_give_a_warning(
    concert: Path, classes: ClassList, tiny: Callable[..., Recipe]
) -> None:
    sources = Sources((concert,), (concert,), store=concert.parent / "store")
    data = waveform_data(sources, classes, tiny("crnn-av"))
    assert "17 of the validation clips are also training clips" in data.warnings[-1]
    assert data.background is None  # the recipe mixes none


def test_held_out_clips_are_balanced_and_files_stay_together(classes: ClassList) -> None:
    names = ["low"] * 60 + ["deep"] * 12 + ["middle"] * 4 + ["high"]
    examples = tuple(
        Example(Clip(Path(f"{i // 2}.wav"), i % 2, i % 2 + 1.0), (name,))
        for i, name in enumerate(names)
    )
    kept, held = hold_out(ExampleSet(classes, examples), 0.25, seed=1)
    assert sorted(kept.examples + held.examples, key=str) == sorted(examples, key=str)
    assert not {e.clip.path for e in kept.examples} & {e.clip.path for e in held.examples}
    counts = {
        label: sum(label in e.labels for e in held.examples)
        for label in ("low", "deep", "middle", "high", "shrill")
    }
    assert counts == {
        "low": 4,
        "deep": 4,
        "middle": 2,
        "high": 0,
        "shrill": 0,
    }  # a quota of three, in files of two; never over half


def test_holding_out_by_count_is_balanced_although_clips_have_several_labels(
    classes: ClassList,
) -> None:
    """AV reserves a balanced set; counts stay within one of each other, not 82 to 284."""
    draw, names = np.random.default_rng(0), classes.labels
    chance = np.array([0.6, 0.3, 0.2, 0.1, 0.05])
    examples = tuple(
        Example(Clip(Path(f"{i}.wav")), tuple(np.array(names)[draw.random(5) < chance].tolist()))
        for i in range(3000)
    )
    kept, held = hold_out(ExampleSet(classes, examples), 50, seed=1)
    counts = [sum(label in e.labels for e in held.examples) for label in names]
    assert min(counts) == 50
    assert max(counts) <= 51
    assert sum(not e.labels for e in held.examples) == 50
    assert len(kept) + len(held) == 3000


@pytest.mark.parametrize("amount", [0.0, 1.5, -1.0])
def test_held_out_amounts_that_cannot_be_meant(amount: float) -> None:
    with pytest.raises(ValueError, match="a share between 0 and 1, or a whole number of clips"):
        Sources((), hold_out=amount)


def test_a_recipe_on_waveforms_needs_a_front_end(
    classes: ClassList, tiny: Callable[..., Recipe], concert: Path
) -> None:
    features = {"features": {"channels": 1, "bands": 8, "rate": 1.0}}
    deaf = Recipe("deaf", architecture=features)
    with pytest.raises(UsageError, match="no front end"):
        read_data(Sources((concert,)), classes, deaf)


def app() -> typer.Typer:
    both = typer.Typer(pretty_exceptions_enable=False)
    both.command("train")(train)
    both.command("recipes")(recipes)
    return both


def test_the_command_trains_and_prints_where_the_files_are(concert: Path) -> None:
    run, tiny = concert.parent / "run", Path(__file__).parent / "tiny.toml"
    words = [
        "train",
        str(tiny),
        "--data",
        str(concert),
        "--classes",
        "data",
        "--hold-out",
        "0.3",
        "--store",
        str(concert.parent / "store"),
    ]
    words += ["-o", str(run), "--device", "cpu", "--decoders", "1", "--set", "length.epochs=2"]
    result = CliRunner().invoke(app(), words, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == ""
    said = " ".join(result.stderr.split())
    assert "3 classes" in said
    assert "1 skipped: 1 broken" in said
    assert "notes.wav" in said
    assert "epoch 2" in said
    assert (run / "best.safetensors").exists()
    assert (run / "card.md").exists()
    assert not CliRunner().invoke(app(), [*words, "--resume"], catch_exceptions=False).exit_code


def test_the_list_of_recipes_has_paper_size_and_result() -> None:
    result = CliRunner().invoke(app(), ["recipes", "--json"], catch_exceptions=False)
    (line,) = [line for line in result.stdout.splitlines() if '"crnn-av"' in line]
    assert '"parameters": 382025' in line
    assert "54.9 test, 50.6 evaluation" in line
    table = CliRunner().invoke(app(), ["recipes"], catch_exceptions=False).stdout
    assert "crnn-modern" in table
