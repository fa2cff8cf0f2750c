"""Own classes on the embeddings of a published ear: embed, train and tag."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from av_tagger.audio.header import read_header
from av_tagger.cli.main import main
from av_tagger.clip import Clip
from av_tagger.embedder import Embedder, embedder_name
from av_tagger.errors import UsageError, WeightsError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data import embeddings as embedded
from av_tagger.learning.data.embeddings import EmbeddingCache, embeddings_of
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
QUICK = ["length.epochs=3", "length.epoch_steps=30", "batch=8", "background=0"]


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
    """Two folders of tones, one of noise, and a file that is not sound."""
    folder = tmp_path_factory.mktemp("clips")
    for i, name in enumerate(["hum", "whistle", "none"] * 6):
        play(folder / name / f"{name} {i}.wav", name, i)
    (folder / "hum" / "notes.wav").write_text("la la la")
    return folder


@pytest.fixture
def two() -> ClassList:
    return ClassList((SoundClass("hum"), SoundClass("whistle")))


def test_the_command_trains_on_embeddings_and_the_run_tags(
    clips: Path, published: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`av-tag train own-classes --data FOLDER -o RUN`, then `--ear RUN` on new sounds."""
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
    few = r"mAP \d\.\d{3} on 5 clips \(\d to \d per class, \d of none\); few clips: take"
    assert re.search(few, " ".join(err.split()))
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


def test_a_file_of_embeddings_gives_the_same_data(
    clips: Path, published: Path, two: ClassList, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`av-tag embed clips -o rows.npz --ear FILE`, then `--embeddings rows.npz`."""
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


def test_embeddings_are_computed_once(
    clips: Path, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip(clips / "hum" / "hum 0.wav")
    rows = EmbeddingCache(str(published), tmp_path).rows(clip)
    assert rows.shape == (1, 96)

    def never(*_: object, **__: object) -> Embedder:
        raise AssertionError("the ear was loaded")

    monkeypatch.setattr(embedded, "load_embedder", never)
    np.testing.assert_array_equal(EmbeddingCache(str(published), tmp_path).rows(clip), rows)
    for other in (Clip(clip.path, 0.0, 0.5), Clip(clips / "hum" / "hum 3.wav")):
        with pytest.raises(AssertionError, match="the ear was loaded"):
            EmbeddingCache(str(published), tmp_path).rows(other)
    next(tmp_path.glob("*.npy")).write_bytes(b"cut short")
    with pytest.raises(AssertionError, match="the ear was loaded"):
        EmbeddingCache(str(published), tmp_path).rows(clip)


def test_embeddings_need_an_ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--set embedder=auto"):
        embeddings_of(None, "", tmp_path)
    monkeypatch.setenv("AV_TAGGER_OFFLINE", "1")
    with pytest.raises(WeightsError, match="is not here, and --offline"):
        embeddings_of(None, "auto", tmp_path)
    assert embedder_name("efficientat:mn04") == "efficientat.mn04"
    assert embedder_name("yamnet") == "yamnet"


def test_the_recipe_is_small() -> None:
    recipe = read_recipe("own-classes")
    assert (recipe.data, recipe.embedder, recipe.classes) == ("embeddings", "auto", "data")
    assert architecture_of(recipe, 8).frontend is None


def test_a_run_on_embeddings_of_an_unknown_ear_cannot_tag(
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


def test_background_is_learnt_and_held_out(
    clips: Path, published: Path, two: ClassList, tmp_path: Path
) -> None:
    """Made sounds and those of a folder: a third is held out for the thresholds."""
    for i in range(3):
        play(tmp_path / "street" / f"{i}.wav", "none", 50 + i)
    words = [*QUICK[:-1], "background=6", f"embedder={published}"]
    plain = read_data(
        Sources((clips,), hold_out=0.3),
        two,
        read_recipe("own-classes", [*words[:-2], "background=0", words[-1]]),
    )
    sources = Sources((clips,), hold_out=0.3, background=(tmp_path / "street",))
    more = read_data(sources, two, read_recipe("own-classes", words))
    assert len(more.training) - len(plain.training) == 6
    assert len(more.validation) - len(plain.validation) == 3
    added = more.validation.targets[-3:]
    assert not added.any(), "they have none of the classes"


def test_clips_without_any_class_are_recommended(
    published: Path, two: ClassList, tmp_path: Path
) -> None:
    for i, name in enumerate(["hum", "whistle"] * 3):
        play(tmp_path / "own" / name / f"{i}.wav", name, i)
    play(tmp_path / "street" / "a.wav", "none", 9)
    recipe = read_recipe("own-classes", [*QUICK, f"embedder={published}"])
    data = read_data(Sources((tmp_path / "own",), hold_out=0.3), two, recipe)
    assert any("--background FOLDER" in text for text in data.warnings)
    sources = Sources((tmp_path / "own",), hold_out=0.3, background=(tmp_path / "street",))
    assert not any("--background" in text for text in read_data(sources, two, recipe).warnings)
