"""Workers: built from a plan in the process that uses them; inference in measured stages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.media import close_decoders
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.worker import FromPlan, InferenceThread, Worker, worker_of
from tests.assets import make_audio
from tests.fakes import Decoder, tagger, window


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    yield
    close_decoders()


def test_a_factory_builds_the_tagger_of_its_plan_on_its_device() -> None:
    asked: list[str | None] = []

    def build(device: str | None) -> Any:
        asked.append(device)
        return tagger()

    plan: Any = SimpleNamespace(build=build, config=SimpleNamespace(decoder="pyav"))
    for device in (None, "cuda:1"):
        worker = FromPlan(plan, device)()
        assert worker.device == "cpu"
    assert asked == [None, "cuda:1"]


def test_its_decoders_end_with_the_run(tmp_path: Path) -> None:
    path = make_audio(tmp_path / "a.wav")
    worker = worker_of(tagger(), "pyav")
    decoder = worker.decoder()
    (media,) = decoder.windows(Clip(path), DecodeRequest(short_side=None), 20)
    assert media.waveform is not None
    pool = worker.decoder.__self__  # type: ignore[attr-defined]
    assert len(pool.pids()) == 1
    decoder.close()
    assert pool.pids() == []


def test_scores_are_those_of_the_tagger() -> None:
    plain, profiler = tagger(), Profiler()
    windows = [window(Clip(Path(f"{n}.mp4"))) for n in (3, 90)]
    inference = InferenceThread(Worker(plain, Decoder), profiler, threads=1)
    found = inference.score(windows)
    inference.close()
    for one, other in zip(found, plain.score(windows), strict=True):
        np.testing.assert_array_equal(one.fused.probabilities, other.fused.probabilities)
    assert {name: s.times for name, s in profiler.stages.items()} == {
        "hear": 1,
        "see": 1,
        "weigh": 1,
    }


def test_torch_is_told_how_many_threads_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if torch is loaded: a tagger without networks does not load it."""
    told: list[int] = []
    torch = SimpleNamespace(set_num_threads=told.append)
    monkeypatch.setitem(sys.modules, "torch", torch)
    InferenceThread(Worker(tagger(), Decoder), Profiler(), threads=3)
    assert told == [3]
    monkeypatch.delitem(sys.modules, "torch")
    InferenceThread(Worker(tagger(), Decoder), Profiler(), threads=3)
    assert told == [3]
