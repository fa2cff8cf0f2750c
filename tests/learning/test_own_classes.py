"""Own classes on a published ear's embeddings: from files to rows, from rows to a run, from a run to tags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger.audio.header import read_header
from av_tagger.bench.own import animal_in, learn, split
from av_tagger.cli.main import main
from av_tagger.clip import Clip
from av_tagger.embedder import Embedder, embedder_name
from av_tagger.errors import MediaError, UsageError, WeightsError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data import embeddings as embedded
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.embeddings import EmbeddingCache, Stored, embedding_bags, embeddings_of
from av_tagger.learning.data.examples import Example, ExampleSet
from av_tagger.learning.learner import architecture_of
from av_tagger.learning.prepare import Sources, read_data, skipped
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from av_tagger.plan import load
from av_tagger.reports.embeddings import write_embeddings
from tests.assets import Audio, make_audio
from tests.learning.published import write_published

Rows = NDArray[np.float32]
HERTZ = {"hum": 200.0, "whistle": 3000.0}
QUICK = ["length.epochs=3", "length.epoch_steps=30", "batch=8"]


def play(path: Path, name: str, seed: int, seconds: float = 1.0) -> Path:
    draw = np.random.default_rng(seed)
    t = np.arange(round(seconds * 32_000)) / 32_000
    wave = 0.01 * draw.standard_normal(len(t))
    if name in HERTZ:
        wave += 0.3 * np.sin(2 * np.pi * HERTZ[name] * draw.uniform(0.9, 1.1) * t)
    path.parent.mkdir(parents=True, exist_ok=True)
    return Path(
        make_audio(path, seconds, Audio("pcm", rate=32_000, samples=wave[None].astype(np.float32)))
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("weights") / "tiny.pt")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of sounds, one of nothing in particular, and a file that is no sound."""
    folder = tmp_path_factory.mktemp("clips")
    for i, name in enumerate(["hum", "whistle", "none"] * 6):
        play(folder / name / f"{name} {i}.wav", name, i)
    (folder / "hum" / "notes.wav").write_text("la la la")
    return folder


@pytest.fixture
def two() -> ClassList:
    return ClassList((SoundClass("hum"), SoundClass("whistle")))


def test_from_files_to_tags(
    clips: Path, published: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`av-tag train own-classes --data FOLDER -o RUN`, then a tagger with `--ear RUN`, on sounds it has never heard."""
    run = tmp_path / "run"
    words = [
        "train",
        "own-classes",
        "--data",
        str(clips),
        "-o",
        str(run),
        "--hold-out",
        "0.3",
        "--set",
        f"embedder={published}",
    ]
    with pytest.raises(SystemExit) as ended:
        main([*words, *(w for change in QUICK for w in ("--set", change))])
    _, err = capfd.readouterr()
    assert ended.value.code == 0
    assert "notes.wav" in err
    header = read_header(run / "best.safetensors")
    assert (header.labels, header.embedder) == (("hum", "whistle"), str(published.resolve()))
    assert (
        header.architecture.shape.bands == 96
    )  # as wide as the ear's embeddings, whatever the recipe says
    tagger = load(ear=str(run), only="ear", offline=True, device="cpu")
    assert tagger.parts.labels == ("hum", "whistle")  # the run's own, not those of DCASE
    np.testing.assert_allclose(tagger.parts.fusion.rows.ear, header.thresholds.ear)  # type: ignore[attr-defined]
    heard = [tagger.tag(play(tmp_path / f"{name}.wav", name, 100, 2.0)) for name in HERTZ]
    assert [max(o.scores, key=lambda label: o.scores[label].fused) for o in heard] == [
        "hum",
        "whistle",
    ]
    assert heard[0].ear.model.endswith("on efficientat.tiny")


def test_a_file_of_embeddings_does_as_well(
    clips: Path, published: Path, two: ClassList, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`av-tag embed clips -o rows.npz --ear FILE`, then `--embeddings rows.npz`: the same rows, and the ear is remembered."""
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "embed",
                str(clips),
                "-o",
                str(tmp_path / "rows.npz"),
                "--ear",
                str(published),
                "--device",
                "cpu",
            ]
        )
    assert ended.value.code == 1  # notes.wav is no sound
    recipe = read_recipe("own-classes", [*QUICK, f"embedder={published}"])
    given = read_data(
        Sources((clips,), hold_out=0.3, embeddings=tmp_path / "rows.npz"), two, recipe
    )
    made = read_data(Sources((clips,), hold_out=0.3), two, recipe)
    assert given.training.sha256 == made.training.sha256
    assert given.embedder == made.embedder == str(published.resolve())
    assert (
        [Path(s.name).name for s in skipped(given)]
        == [Path(s.name).name for s in skipped(made)]
        == ["notes.wav"]
    )
    capfd.readouterr()


def test_rows_are_made_once(
    clips: Path, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip(clips / "hum" / "hum 0.wav")
    rows = EmbeddingCache(str(published), tmp_path).rows(clip)
    assert rows.shape == (1, 96)

    def never(*_: object, **__: object) -> Embedder:
        raise AssertionError("the ear is loaded, though every clip is known")

    monkeypatch.setattr(embedded, "load_embedder", never)
    np.testing.assert_array_equal(EmbeddingCache(str(published), tmp_path).rows(clip), rows)
    for other in (Clip(clip.path, 0.0, 0.5), Clip(clips / "hum" / "hum 3.wav")):
        with pytest.raises(AssertionError, match="every clip"):
            EmbeddingCache(str(published), tmp_path).rows(other)
    next(tmp_path.glob("*.npy")).write_bytes(b"cut short")
    with pytest.raises(AssertionError, match="every clip"):
        EmbeddingCache(str(published), tmp_path).rows(clip)


class Counted:
    """Rows that say which second they are."""

    ear, notes = "efficientat.mn04", ()

    def __init__(self, width: Callable[[Clip], int] = lambda _: 3) -> None:
        self.width = width

    def rows(self, clip: Clip) -> Rows:
        if "broken" in clip.name:
            raise MediaError(clip.path, "is broken")
        seconds = int(clip.path.stem.rpartition("-")[2])
        return np.repeat(np.arange(seconds, dtype=np.float32)[:, None], self.width(clip), axis=1)


def examples(two: ClassList, *names: str) -> ExampleSet:
    return ExampleSet(
        two, tuple(Example(Clip(Path(name)), ("hum",) if "hum" in name else ()) for name in names)
    )


def test_bags_lie_end_to_end(two: ClassList) -> None:
    seen: list[tuple[int, int]] = []
    bags = embedding_bags(
        examples(two, "hum-2.wav", "broken.wav", "empty-0.wav", "rest-3.wav"),
        Counted(),
        lambda *n: seen.append(n),
    )
    assert isinstance(bags, EmbeddingBags)
    assert bags.first.tolist() == [0, 2, 5]
    assert bags.rows[:, 0].tolist() == [0, 1, 0, 1, 2]
    assert bags.targets.tolist() == [[1, 0], [0, 0]]
    assert [(s.name, s.kind, s.reason) for s in bags.skipped] == [
        ("broken.wav", "missing", "is broken"),
        ("empty-0.wav", "missing", "has no embedding in the seconds that the table gives"),
    ]
    assert seen[-1] == (4, 4)


def test_what_cannot_be_laid_out(two: ClassList) -> None:
    with pytest.raises(
        UsageError, match=r"no clip can be used for training \(broken\.wav: is broken\)"
    ):
        embedding_bags(examples(two, "broken.wav"), Counted())
    with pytest.raises(UsageError, match=r"different widths \(3, 4\): use one ear for all"):
        embedding_bags(
            examples(two, "hum-2.wav", "other-2.wav"),
            Counted(lambda clip: 3 if "hum" in clip.name else 4),
        )
    endless = Counted()
    endless.rows = lambda clip: np.full((2, 3), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="not finite"):
        embedding_bags(examples(two, "hum-2.wav"), endless)


def test_stored_rows_are_found_by_path_then_by_name(tmp_path: Path) -> None:
    rows = {
        str(tmp_path / name): np.full((5, 2), i, np.float32)
        for i, name in enumerate(["a/one.wav", "b/one.wav", "a/two.wav"])
    }
    rows[str(tmp_path / "a/two.wav")] += np.arange(5, dtype=np.float32)[:, None] / 10
    write_embeddings(rows, tmp_path / "rows.npz")
    stored = Stored(tmp_path / "rows.npz")
    assert stored.rows(Clip(tmp_path / "b" / "one.wav"))[0, 0] == 1
    elsewhere = Path("/elsewhere")
    np.testing.assert_allclose(
        stored.rows(Clip(elsewhere / "two.wav", 1.5, 3.2))[:, 0], [2.1, 2.2, 2.3]
    )  # seconds 1 to 4
    with pytest.raises(MediaError, match="has no embeddings in"):
        stored.rows(Clip(elsewhere / "one.wav"))  # two files have that name
    assert stored.notes[0].endswith(
        "does not name the ear of its embeddings: the run can be evaluated, but cannot tag sound"
    )


def test_an_ear_must_be_named_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--set embedder=auto"):
        embeddings_of(None, "", tmp_path)
    monkeypatch.setenv("AV_TAGGER_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"mn10_as_mAP_471\.pt: is not here"):
        embeddings_of(None, "auto", tmp_path)
    assert embedder_name("efficientat:mn04") == "efficientat.mn04"
    assert embedder_name("yamnet") == "yamnet"


def test_the_recipe_is_small() -> None:
    recipe = read_recipe("own-classes")
    assert (recipe.data, recipe.embedder, recipe.classes) == ("embeddings", "auto", "data")
    assert architecture_of(recipe, 8).frontend is None


def test_labels_of_the_recordings() -> None:
    labels = [
        "cats",
        "other [cat.mp3]",
        "other [cat_1.mp3]",
        "other [cat0.mp3]",
        "horse",
        "other [horse2.wav]",
        "other: music.wav",
    ]
    assert [animal_in(label) for label in labels] == [
        "cat",
        "cat",
        "cat",
        "cat",
        "horse",
        "horse",
        "",
    ]


def test_animals_from_a_few_clips(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About ten clips an animal of some publishers are enough for a real ear to know those of others."""
    sounds, folder = shared / "data" / "sounds", shared / "data" / "weights"
    if not (sounds / "dev.csv").is_file() or not (folder / "mn04_as_mAP_432.pt").is_file():
        pytest.skip("the recordings or the weights of mn04 are not there")
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(folder))
    parts = split(sounds, ("cat", "dog", "horse", "sheep"))
    assert len(parts.learnt) == 40
    assert len(parts.validation) == 28
    assert not {f for f, _ in parts.learnt} & {f for f, _ in parts.validation}
    found = learn(parts, "efficientat:mn04", tmp_path / "run")
    assert found.validation.accuracy > 0.75  # chance: 0.25
    assert found.validation.map > 0.75
    assert found.right > 14


def test_a_run_on_nameless_rows_says_that_it_cannot_tag(
    clips: Path, published: Path, two: ClassList, tmp_path: Path
) -> None:
    files = sorted(clips.rglob("* *.wav"))
    draw = np.random.default_rng(0)
    write_embeddings(
        {
            str(f): draw.standard_normal((2, 5)).astype(np.float32) + 3 * ("hum" in f.name)
            for f in files
        },
        tmp_path / "r.npz",
    )
    recipe = read_recipe("own-classes", ["length.epochs=1", "length.epoch_steps=2"])
    data = read_data(Sources((clips,), hold_out=0.3, embeddings=tmp_path / "r.npz"), two, recipe)
    outcome = train(recipe, data, tmp_path / "run", TrainingOptions("cpu"))
    assert "cannot tag sound" in data.warnings[-1]
    with pytest.raises(UsageError, match="reads features, not sound"):
        load(ear=str(outcome.run), only="ear", offline=True)
