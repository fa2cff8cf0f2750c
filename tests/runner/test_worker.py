"""Workers: built from a plan in the process that uses them; inference in measured stages."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from av_tagger.clip import Clip, Frames
from av_tagger.media import close_decoders
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.worker import FromPlan, InferenceThread, Worker, worker_of
from av_tagger.scores import Scores
from av_tagger.tagger import Tagger
from tests.assets import make_audio
from tests.fakes import Decoder, LoudEar, RedEye, tagger, window


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


class Card:
    """Stands in for torch with a card: names the streams, and says in which one code runs."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.waits = 0
        self.here = threading.local()
        self.cuda = self
        self.device = str

    def set_num_threads(self, count: int) -> None:
        pass

    def Stream(self, device: str) -> str:
        self.made.append(f"{device} {len(self.made)}")
        return self.made[-1]

    def synchronize(self) -> None:
        self.waits += 1

    @contextmanager
    def stream(self, name: str) -> Iterator[None]:
        self.here.stream = name
        yield
        self.here.stream = None


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


def test_on_a_card_ear_and_eye_run_at_once_in_streams_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each waits until the other has begun; the device as a whole is waited for only once."""
    card, both = Card(), threading.Barrier(2, timeout=20)
    used: dict[str, list[str]] = {"ear": [], "eye": []}

    def began(part: str) -> None:
        used[part].append(card.here.stream)
        both.wait()

    class Eye(RedEye):
        def see(self, clips: Sequence[Frames]) -> list[Scores]:
            began("eye")
            return super().see(clips)

    monkeypatch.setitem(sys.modules, "torch", card)  # type: ignore[arg-type]
    plain = tagger(LoudEar(lambda _: began("ear")))
    run = replace(plain.parts.run, device="cuda:1")
    on_card = Tagger(replace(plain.parts, eye=Eye(), run=run))
    inference = InferenceThread(Worker(on_card, Decoder), Profiler(), threads=1)
    windows = [window(Clip(Path(f"{n}.mp4"))) for n in (3, 90)]
    for _ in range(3):
        found = inference.score(windows)
    inference.close()
    assert used == {"ear": ["cuda:1 0"] * 3, "eye": ["cuda:1 1"] * 3}
    assert card.waits == 1
    for one, other in zip(found, tagger().score(windows), strict=True):
        np.testing.assert_array_equal(one.fused.probabilities, other.fused.probabilities)


@pytest.mark.parametrize("part", ["ear", "eye"])
def test_a_card_out_of_memory_goes_on_with_the_next_batch(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever thread it happens in: its error is that of the batch."""

    def choke(given: Sequence[object], here: str) -> None:
        if part == here and len(given) > 1:
            raise OutOfMemoryError

    class Eye(RedEye):
        def see(self, clips: Sequence[Frames]) -> list[Scores]:
            choke(clips, "eye")
            return super().see(clips)

    monkeypatch.setitem(sys.modules, "torch", Card())  # type: ignore[arg-type]
    plain = tagger(LoudEar(lambda waves: choke(waves, "ear")))
    parts = replace(plain.parts, eye=Eye(), run=replace(plain.parts.run, device="cuda"))
    settings = Concurrency(1, 1, 1, 8, 1 << 20, 64, gather_seconds=60.0)
    flow = Flow(Worker(Tagger(parts), Decoder), settings)
    jobs = (Job(i, Clip(Path(f"{i}.mp4")), was_there=False) for i in range(12))
    before = flow.queue.budget
    records = [record for group in flow.records(jobs) for record in group]
    assert [record.status for record in records] == ["done"] * 12
    assert flow.queue.budget < before, "later batches are smaller"
