"""From folders and tables to training data: reading, splitting, background, teacher, caches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from av_tagger import cache
from av_tagger.clip import Clip
from av_tagger.errors import UsageError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.bags import WaveformBags
from av_tagger.learning.data.examples import Example, ExampleSet
from av_tagger.learning.prepare import Sources, hold_out, read_data, skipped, waveform_data
from av_tagger.learning.recipe import Recipe
from tests.learning.published import write_published
from tests.learning.tones import sing, write_folders, write_wav


@pytest.fixture
def concert(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "concert")


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


def test_background_clips_can_be_named(
    concert: Path, classes: ClassList, tiny: Callable[..., Recipe]
) -> None:
    noise = tmp_noise(concert.parent / "noise")
    sources = Sources((concert,), background=(noise,), store=concert.parent / "store")
    data = read_data(sources, classes, tiny("crnn-modern"))
    assert data.background is not None
    assert len(data.background) == 2


def tmp_noise(folder: Path) -> Path:
    for i in range(2):
        write_wav(folder / "none" / f"{i}.wav", sing((), 100 + i))
    return folder


def test_validation_data_can_be_named(
    concert: Path, classes: ClassList, tiny: Callable[..., Recipe]
) -> None:
    valid = write_folders(concert.parent / "valid", 1)
    sources = Sources((concert,), (valid,), store=concert.parent / "store")
    data = read_data(sources, classes, tiny("crnn-av"))
    assert (len(data.training), len(data.validation)) == (16, 4)
    assert data.warnings[-1].startswith("class 'high'")  # no warning about shared clips


def test_files_of_a_table_can_lie_elsewhere(
    concert: Path, classes: ClassList, tiny: Callable[..., Recipe]
) -> None:
    table = concert.parent / "tables" / "train.csv"
    table.parent.mkdir()
    rows = [f"{f.relative_to(concert)},low" for f in sorted(concert.glob("low/*.wav"))]
    table.write_text("file,labels\n" + "\n".join(rows) + "\n")
    sources = Sources((table,), (table,), media=concert, store=concert.parent / "store")
    assert len(read_data(sources, classes, tiny("crnn-av")).training) == 4


def test_a_teacher_scores_the_training_clips_once(
    concert: Path, classes: ClassList, tiny: Callable[..., Recipe], tmp_path: Path
) -> None:
    published = write_published(tmp_path / "tiny.pt")
    recipe = tiny("starter", f'teacher.ear="{published}"', "teacher.typical={}")
    speech = ClassList((*classes.classes, SoundClass("Speech")))
    sources = Sources((concert,), hold_out=0.25, store=tmp_path / "store")
    seen: list[tuple[int, int]] = []
    data = read_data(sources, speech, recipe, lambda *n: seen.append(n))
    assert data.teacher is not None
    assert data.teacher.scores.shape == (len(data.training), 527)
    assert np.isfinite(data.teacher.known).all(axis=0).tolist() == [False] * 5 + [True]
    assert seen[-1][0] == seen[-1][1] > 17 + 10  # clips decoded, then clips scored
    cached = list((tmp_path / "store").glob("*.npy"))
    assert len(cached) == len(data.training)
    again = read_data(sources, speech, recipe)
    assert again.teacher is not None
    assert again.teacher.sha256 == data.teacher.sha256


def test_caches_lie_in_the_store_or_in_the_user_s_cache(tmp_path: Path) -> None:
    assert Sources((), store=tmp_path).cache("teacher") == tmp_path
    assert Sources(()).cache("teacher") == cache.folder("teacher")


def test_other_processes_of_a_run_wait_for_the_first(
    concert: Path,
    classes: ClassList,
    tiny: Callable[..., Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sources = Sources((concert,), hold_out=0.25, store=concert.parent / "store")
    first = read_data(sources, classes, tiny("crnn-av"))
    monkeypatch.setenv("RANK", "1")  # it finds everything decoded, and decodes nothing itself
    assert read_data(sources, classes, tiny("crnn-av")).identity == first.identity
