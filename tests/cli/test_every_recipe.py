"""After `av-tag train RECIPE` the printed command tags: tried for every recipe, at tiny widths."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.vggish import VGGish
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.cli.main import run
from av_tagger.learning.recipe import Recipe, read_recipe, recipe_names
from av_tagger.studies.scenes import write_wav

RATE = 8_000
FRONT = ("rate=8000", "window=160", "hop=80", "fft=256", "mels=32")
EXTRACTORS = {
    "crnn": ("channels=[4,4]", "pools=[[5,4],[2,4]]", "units=4"),
    "dense": ("widths=[6,5]",),
    "bilstm": ("units=3", "layers=1"),
    "vgg3": ("groups=[[4],[4]]", "pools=[[5,2],[2,4]]", "dense=[6,5]", "frames=100"),
    "fuse": ("channels=[4,6]",),
    "vgg-like": ("channels=[4]", "width=5"),
    "resnet": ("blocks=[1,1]", "channels=[4,6]"),
    "bc-resnet": ("channels=4", "blocks=[1,1,1,1]", "parts=2"),
}
ON_EMBEDDINGS = tuple(n for n in recipe_names() if read_recipe(n).data == "embeddings")


@dataclass(frozen=True)
class Stage:
    """Clips, and stand-ins of the right structure for published networks."""

    folder: Path
    clips: Path

    def embedder(self, name: str) -> str:
        return str(self.folder / "mn.pt") if name == "efficientat" else name


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("stage")
    torch.manual_seed(0)
    weights = folder / "weights"
    weights.mkdir()
    save_file(YAMNet().state_dict(), weights / "yamnet.safetensors")
    save_file(VGGish((2, 3, 4, 4, 5, 5), (12, 10, 6)).state_dict(), weights / "vggish.safetensors")
    torch.save(EfficientAT(0.4).state_dict(), folder / "mn.pt")
    draw, times = np.random.default_rng(0), np.arange(RATE) / RATE
    for name, hertz in (("Train horn", 300.0), ("Screaming", 2500.0)):
        (folder / "clips" / name).mkdir(parents=True)
        for i in range(3):
            tone = 0.3 * np.sin(2 * np.pi * hertz * times) + 0.01 * draw.standard_normal(RATE)
            write_wav(folder / "clips" / name / f"{i}.wav", tone.astype(np.float32), RATE)
    return Stage(folder, folder / "clips")


@pytest.fixture(scope="module")
def embedding_run(stage: Stage) -> Path:
    """A tiny run of the network whose embeddings SMALL's other recipes use."""
    folder = stage.folder / "embedding-run"
    words = train_words("small/embedding-cnn", stage, folder)
    assert run(words) == 0
    return folder


def tiny(recipe: Recipe) -> list[str]:
    """Settings that keep the composition and shrink its sizes."""
    a = recipe.architecture
    kind = a["extractor"]
    sets = [f"architecture.extractor_settings.{word}" for word in EXTRACTORS[kind]]
    if kind == "dense" and a["extractor_settings"].get("widths") == []:
        sets = []
    if "frontend" in a:
        sets += [f"architecture.frontend.{word}" for word in FRONT]
    for key, value in (("widths", "[5]"), ("width", "5"), ("units", "4")):
        if key in a.get("pooling_settings", {}):
            sets.append(f"architecture.pooling_settings.{key}={value}")
    sets += ["batch=4", "length.epochs=1", "length.epoch_steps=1", "normalise_clips=4"]
    if recipe.keep.average:
        sets += ["length.iterations=2", "keep.average=[1,2]"]
    if recipe.teacher.ear:
        sets += ["teacher.ear=yamnet"]
    return sets


def train_words(name: str, stage: Stage, folder: Path, *more: str) -> list[str]:
    clips, store = str(stage.clips), str(stage.folder / "store")
    sets = [w for s in (*tiny(read_recipe(name)), *more) for w in ("--set", s)]
    data = ["--data", clips, "--valid", clips, "--classes", "data", "--store", store]
    return ["train", name, *data, "-o", str(folder), "--device", "cpu", "--decoders", "1", *sets]


def tagged(line: str, stage: Stage, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """What the printed command prints, with the clip in the place of FILE."""
    clip = str(stage.clips / "Screaming" / "0.wav")
    printed = line.partition("tag with it: ")[2].partition("  (")[0]
    words = [clip if word == "FILE" else word for word in shlex.split(printed)]
    assert words[0] == "av-tag"
    assert run([*words[1:], "--only", "ear", "--json", "--offline", "--device", "cpu"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return [text for text in capsys.readouterr().err.splitlines() if "tag with it: " in text][-1]


@pytest.fixture(autouse=True)
def weights_folder(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(stage.folder / "weights"))
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", recipe_names())
def test_the_printed_command_tags(
    name: str,
    stage: Stage,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe, more = read_recipe(name), []
    if recipe.data == "embeddings" and recipe.embedder in ("", "auto"):
        base = request.getfixturevalue("embedding_run") if not recipe.embedder else "yamnet"
        more = [f"embedder={base}"]
    folder = tmp_path / "run"
    assert run(train_words(name, stage, folder, *more)) == 0
    document = tagged(last_line(capsys), stage, capsys)
    assert "Screaming" in json.dumps(document)
    assert (folder / "ensemble.json").is_file() == bool(recipe.keep.average)


@pytest.mark.parametrize("number", range(len(ON_EMBEDDINGS)))
def test_recipes_on_embeddings_tag_with_embeddings_that_are_here(
    number: int, stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """YAMNet's 1024 and EfficientAT's, in turn."""
    name = ON_EMBEDDINGS[number]
    base = stage.embedder(("yamnet", "efficientat")[number % 2])
    assert run(train_words(name, stage, tmp_path / "run", f"embedder={base}")) == 0
    assert "Screaming" in json.dumps(tagged(last_line(capsys), stage, capsys))
