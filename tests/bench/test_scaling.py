"""The benchmark of scaling measures what it says: a gate that leaves start-up out, and a journal at work."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from av_tagger.bench.decoder_pool import DecoderPool
from av_tagger.bench.pipeline import make_clip
from av_tagger.bench.scaling import Empty, Instant, ScalingSettings, Warm, _links, journal, rate
from av_tagger.clip import Clip
from av_tagger.config import configure
from av_tagger.protocols import DecodeRequest


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return _links(
        make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", "h264", (160, 90), 1.0), 6
    )


def test_a_worker_waits_for_the_others_and_has_a_core_of_its_own(
    tmp_path: Path, clips: list[Path]
) -> None:
    config = configure(None, {"ear": "starter", "offline": True, "device": "cpu"})
    warm = Warm(config, clips[0], tmp_path, 1, free=True)
    worker = warm()
    assert isinstance(worker.decoder, DecoderPool)
    worker.decoder.close()
    assert worker.tagger.branches[0].weights == "crnn.starter"
    assert warm.opened() > 0
    cores = [warm._core() for _ in os.sched_getaffinity(0)]
    assert sorted(cores) == sorted(os.sched_getaffinity(0))
    with pytest.raises(RuntimeError, match="fewer cores than workers"):
        warm._core()


def test_the_rate_leaves_start_up_out(clips: list[Path]) -> None:
    """Loading the networks takes most of such a run, the six clips of a second the least of it."""
    began = time.monotonic()
    clips_a_second = rate("processes", 1, ScalingSettings(free=True), clips)
    assert 6 / clips_a_second < 0.7 * (time.monotonic() - began)


def test_the_journal_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    journal(ScalingSettings(ray=False, records=200, planned=300, seconds=1.0))
    said = capsys.readouterr().out
    assert [int(n) for n in re.findall(r"journal, +(\d+) records together", said)] == [1, 8, 64]
    assert all(int(n) > 10 for n in re.findall(r"(\d+) records/s", said))


def test_a_worker_that_needs_no_time_still_makes_whole_documents() -> None:
    worker = Instant()()
    (window,) = Empty().windows(Clip(Path("x.mp4")), DecodeRequest(), 1.0)
    tagged = worker.tagger.merge_windows(window.clip, worker.tagger.score([window]), 0.0)
    assert len(tagged.scores) == 17
