"""The demo as a new user's first minute: a video that plays, an answer, a page."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from av_tagger import weights
from av_tagger.cli.main import main
from av_tagger.synth.pictures import demo_scene


def test_the_scene_has_pictures_as_long_as_its_sound() -> None:
    scene, frames, fps = demo_scene(0)
    first = next(frames)
    assert first.ndim == 3
    assert 2 <= len(scene.events) <= 3
    assert 1 + sum(1 for _ in frames) == round(len(scene.samples) / scene.rate * fps)


@pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)
def test_demo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "-o", str(tmp_path / "demo"), "--ear", "starter", "--offline"])
    out, err = capfd.readouterr()
    assert not ended.value.code, err
    assert "ground truth" in out
    with av.open(str(tmp_path / "demo" / "demo.mp4")) as container:
        assert container.streams.video
        assert container.streams.audio
    assert "demo.mp4" in (tmp_path / "demo" / "demo.html").read_text()
