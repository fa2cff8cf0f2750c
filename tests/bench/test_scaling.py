"""Scaling measures what it says: a gate that leaves start-up out, and the journal at work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from av_tagger.bench.clips import make_clip
from av_tagger.bench.journal import InstantFactory, JournalSettings, SilentDecoder, measure_journal
from av_tagger.bench.scaling import GatedFactory, ScalingSettings, links, rate
from av_tagger.clip import Clip
from av_tagger.config import configure
from av_tagger.media import DecoderPool
from av_tagger.protocols import DecodeRequest


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return links(make_clip(folder / "clip.mp4", "h264", (160, 90), 1.0), 6)


def gated(clip: Path, gate: Path) -> GatedFactory:
    config = configure(None, {"ear": "starter", "offline": True, "device": "cpu"})
    return GatedFactory(config, clip, gate, 1, free=True)


def test_links_share_one_content(clips: list[Path]) -> None:
    assert len({path.stat().st_ino for path in clips}) == 1
    assert len(set(clips)) == 6


def test_a_worker_is_warm_when_the_gate_opens(tmp_path: Path, clips: list[Path]) -> None:
    factory = gated(clips[0], tmp_path)
    worker = factory()
    assert worker.tagger.branches[0].weights == "crnn.starter"
    assert factory.opened() > 0
    decoder = worker.decoder()
    (window,) = decoder.windows(Clip(clips[1]), worker.tagger.parts.request, 60.0)
    assert window.waveform is not None
    decoder.close()
    pool = worker.decoder.__self__  # type: ignore[attr-defined]
    assert isinstance(pool, DecoderPool)
    assert len(pool.pids()) == 1, "the decoder of the warm-up is used again"
    pool.close()


def test_the_gate_opens_when_the_last_worker_is_ready(tmp_path: Path, clips: list[Path]) -> None:
    for process, seconds in ((1, 10.0), (2, 30.0), (3, 20.0)):
        (tmp_path / f"{process}.ready").write_text(repr(seconds))
    assert gated(clips[0], tmp_path).opened() == 30.0


def test_every_worker_takes_a_core_of_its_own(tmp_path: Path, clips: list[Path]) -> None:
    factory = gated(clips[0], tmp_path)
    cores = [factory._core() for _ in os.sched_getaffinity(0)]
    assert sorted(cores) == sorted(os.sched_getaffinity(0))
    with pytest.raises(RuntimeError, match="fewer cores than workers"):
        factory._core()


def test_the_rate_is_counted_from_the_gate(
    clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Had the gate opened a thousand seconds earlier, the rate would be that much lower."""
    real = GatedFactory.opened
    monkeypatch.setattr(GatedFactory, "opened", lambda self: real(self) - 1000)
    per_second = rate("processes", 1, ScalingSettings(free=True), clips)
    assert 6 / 1100 < per_second < 6 / 1000


def test_the_journal_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    measure_journal(JournalSettings(records=100, planned=100, seconds=1.0, ray=False))
    said = capsys.readouterr().out
    assert "a document: " in said
    assert "one clip sent to an actor: " in said


def test_a_worker_that_needs_no_time_still_makes_whole_documents() -> None:
    worker = InstantFactory()()
    (window,) = SilentDecoder().windows(Clip(Path("x.mp4")), DecodeRequest(), 1.0)
    tagged = worker.tagger.merge_windows(window.clip, worker.tagger.score([window]), 0.0)
    assert len(tagged.scores) == 17
