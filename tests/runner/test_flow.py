"""One process's flow with fakes: order, back-pressure, bounded memory, and bad clips that cost themselves only."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.clip import Clip, Frames, Media, Waveform
from av_tagger.errors import StorageError
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import GIB, Concurrency, suited
from av_tagger.runner.flow import MOST_DEFECTS, Flow
from av_tagger.runner.job import Job, Record
from av_tagger.runner.profiler import PARTS, Profile, Profiler, title
from av_tagger.runner.window_queue import Window, WindowQueue
from av_tagger.runner.worker import Worker
from av_tagger.scores import Scores
from av_tagger.tagger import Tagger
from tests.fakes import Decoder, Live, LoudEar, RedEye, number_of, tagger, touch, window

NAMES = [
    "0-slow.mp4",
    *(f"{i}.mp4" for i in range(1, 9)),
    "9-two.mp4",
    "10-bad.mp4",
    "11-long.mp4",
    *(f"{i}.mp4" for i in range(12, 30)),
]


def concurrency(**changes: Any) -> Concurrency:
    given = {
        "decoders": 3,
        "inference_threads": 2,
        "threads": 1,
        "batch": 4,
        "memory_bytes": 1 << 20,
        "ahead": 8,
    }
    return Concurrency(**{**given, **changes})


def flow(
    settings: Concurrency, live: Live | None = None, ear: LoudEar | None = None, delay: float = 0.0
) -> Flow:
    return Flow(Worker(tagger(ear), lambda: Decoder(live, delay)), settings)


def jobs(names: Sequence[str]) -> Iterator[Job]:
    return (Job(i, Clip(Path(name)), was_there=False) for i, name in enumerate(names))


def all_of(made: Flow, names: Sequence[str]) -> list[Record]:
    return [record for group in made.records(jobs(names)) for record in group]


def test_records_come_in_the_order_of_the_jobs() -> None:
    found = all_of(flow(concurrency()), NAMES)
    assert [r.position for r in found] == list(range(len(NAMES)))
    assert [json.loads(r.document)["file"] for r in found] == NAMES
    assert [r.kind for r in found if r.status == "failed"] == ["media"]
    assert json.loads(found[11].document)["duration"] == 20


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 1},
        {"decoders": 1, "inference_threads": 1},
        {"decoders": 5, "batch": 16},
        {"ahead": 1},
        {"memory_bytes": 1},
    ],
)
def test_no_pace_changes_an_answer(changes: dict[str, int]) -> None:
    expected = all_of(flow(concurrency()), NAMES)
    found = all_of(flow(concurrency(**changes)), NAMES)
    assert [r.document for r in found] == [r.document for r in expected]


def test_answers_are_those_of_the_tagger_alone() -> None:
    """The oracle: one clip after another, no threads at all."""
    (tagged,) = all_of(flow(concurrency()), ["96.mp4"])
    plain = tagger()
    direct = plain.merge_windows(
        Clip(Path("96.mp4")), plain.score([window(Clip(Path("96.mp4")))]), 0.0
    )
    document = json.loads(tagged.document)
    assert [t["label"] for t in document["tags"]] == [t.label for t in direct.tags] == ["Siren"]
    assert document["scores"]["Bicycle"]["seen"] == pytest.approx(96 / 255, abs=1e-6)
    assert document["scores"]["Siren"]["heard"] == pytest.approx(96 / 97, abs=1e-6)


def test_windows_that_live_at_once_are_bounded() -> None:
    live = Live()
    settings = concurrency(decoders=2, inference_threads=1, batch=2)
    made = flow(settings, live, LoudEar(lambda _: time.sleep(0.001)))
    all_of(made, [f"{i}.mp4" for i in range(200)])
    assert made.queue.peak <= 2 * settings.batch * settings.inference_threads + settings.decoders
    # What the room holds, one in each decoder's hand; nothing is left in the end.
    assert 0 < live.most <= made.queue.peak + settings.decoders
    del made
    gc.collect()
    assert live.now == 0


def test_bytes_bound_what_waits() -> None:
    """With room for a single window the second decoder waits; nothing stands still for ever."""
    made = flow(concurrency(memory_bytes=1, inference_threads=1))
    assert len(all_of(made, [f"{i}-two.mp4" for i in range(10)])) == 10
    assert made.queue.peak == 1


def test_decoders_wait_for_a_slow_reader() -> None:
    """Back-pressure: nobody runs ahead of the reader by more than `ahead` clips."""
    live = Live()
    asked: list[int] = []

    def counted() -> Iterator[Job]:
        for job in jobs([f"{i}.mp4" for i in range(100)]):
            asked.append(job.position)
            yield job

    with closing(flow(concurrency(ahead=5), live).records(counted())) as groups:
        seen = 0
        for group in groups:
            time.sleep(0.005)
            seen += len(group)
            assert len(asked) <= seen + 5 + 1
    assert seen == 100


def test_a_slow_first_clip_holds_the_others_within_bounds() -> None:
    asked: list[int] = []

    class Gate(Decoder):
        opened = threading.Event()

        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            if number_of(clip.name) == 0:
                self.opened.wait(20)
            return super().windows(clip, request, limit_seconds)

    def counted() -> Iterator[Job]:
        for job in jobs([f"{i}.mp4" for i in range(50)]):
            asked.append(job.position)
            yield job

    found: list[Record] = []
    made = Flow(Worker(tagger(), Gate), concurrency(ahead=6))
    reader = threading.Thread(
        target=lambda: found.extend(r for group in made.records(counted()) for r in group)
    )
    reader.start()
    deadline = time.monotonic() + 20
    while len(asked) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert asked == list(range(6))
    assert found == []
    Gate.opened.set()
    reader.join(20)
    assert [r.position for r in found] == list(range(50))


def test_in_a_batch_only_the_guilty_clip_pays() -> None:
    def choke(waveforms: Sequence[Waveform]) -> None:
        for w in waveforms:
            if np.isclose(w.samples[0], 5 / 97):
                raise MemoryError
            if np.isclose(w.samples[0], 6 / 97):
                raise ZeroDivisionError("oh")

    found = all_of(flow(concurrency(batch=16), ear=LoudEar(choke)), [f"{i}.mp4" for i in range(12)])
    kinds = {r.position: r.kind for r in found if r.status == "failed"}
    assert kinds == {5: "memory", 6: "defect"}
    assert "ZeroDivisionError: oh; this is a defect" in found[6].document


def test_a_defect_that_meets_every_clip_ends_the_run() -> None:
    def broken(_: Sequence[Waveform]) -> None:
        raise ZeroDivisionError("always")

    with pytest.raises(ZeroDivisionError, match="always"):
        all_of(flow(concurrency(), ear=LoudEar(broken)), [f"{i}.mp4" for i in range(MOST_DEFECTS + 5)])


def test_an_error_of_the_source_ends_the_run_and_all_threads() -> None:
    def broken() -> Iterator[Job]:
        yield from jobs(["1.mp4"])
        raise StorageError("the disk is gone")

    before = threading.active_count()
    with pytest.raises(StorageError, match="the disk is gone"):
        list(flow(concurrency()).records(broken()))
    assert threading.active_count() == before


def test_leaving_early_ends_all_threads() -> None:
    before = threading.active_count()
    with closing(
        flow(concurrency(), delay=0.001).records(jobs([f"{i}.mp4" for i in range(1000)]))
    ) as groups:
        assert next(groups)
    assert threading.active_count() == before


def test_a_clip_that_takes_too_long_is_given_up() -> None:
    found = all_of(flow(concurrency(clip_limit=0.25)), ["1.mp4", "2-long-slow.mp4", "3.mp4"])
    assert [(r.status, r.kind) for r in found] == [
        ("done", ""),
        ("failed", "timeout"),
        ("done", ""),
    ]
    assert "took longer than 0.25 s" in found[1].document


def test_a_folder_that_vanished_stops_the_run_and_a_file_that_vanished_does_not(
    tmp_path: Path,
) -> None:
    class Missing(Decoder):
        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            from av_tagger.media.opening import check_path

            check_path(clip.path)
            return super().windows(clip, request, limit_seconds)

    first, second = touch(tmp_path / "in", ["1.mp4", "2.mp4"])
    first.unlink()
    worker = Worker(tagger(), Missing)
    found = [
        r
        for g in Flow(worker, concurrency()).records(
            iter([Job(0, Clip(first)), Job(1, Clip(second))])
        )
        for r in g
    ]
    assert [r.status for r in found] == ["failed", "done"]
    second.unlink()
    with pytest.raises(StorageError, match="was there when the run began and is gone"):
        list(Flow(worker, concurrency()).records(iter([Job(0, Clip(first)), Job(1, Clip(second))])))


def test_the_room_lets_one_window_of_any_size_in() -> None:
    queue = WindowQueue(10, 5, 4)
    big = Window(0, 0, window(Clip(Path("1.mp4"))))
    assert queue.put(big)
    assert queue.take() == [big]
    threading.Timer(0.05, lambda: queue.leave(1, big.size)).start()
    assert queue.put(big), "waits until the first has left"
    queue.close()
    assert not queue.put(big)
    assert queue.take() == []


def test_nobody_takes_what_another_judge_could_begin_with() -> None:
    queue = WindowQueue(1 << 30, 100, 4, inference_threads=2)
    windows = [Window(i, 0, window(Clip(Path(f"{i}.mp4")))) for i in range(9)]
    for one in windows[:2]:
        assert queue.put(one)
    assert [queue.take(), queue.take()] == [[windows[0]], [windows[1]]]
    for one in windows:
        assert queue.put(one)
    assert [len(queue.take()) for _ in range(4)] == [4, 3, 1, 1]


def test_the_clock_knows_where_the_time_went() -> None:
    profiler = Profiler()
    made = Flow(
        Worker(tagger(LoudEar(lambda _: time.sleep(0.02))), lambda: Decoder(None, 0.0)),
        concurrency(inference_threads=1, batch=1),
        profiler,
    )
    all_of(made, [f"{i}.mp4" for i in range(10)])
    profile = Profile.of([("a", profiler.as_text()), ("b", profiler.as_text())])
    rows = {row.stage: row for row in profile.rows()}
    assert rows["hear"].times == 20
    assert rows["hear"].threads == 2
    assert rows["hear"].seconds >= 0.4
    assert rows["hear"].busy <= 1.0
    assert sum(row.share for row in rows.values()) == pytest.approx(1.0)
    assert 0 < profile.overhead < 1
    assert {span.lane for span in profile.spans} >= {"a inference 1", "b decoder 1"}


def test_parts_of_seeing_are_shown_below_it_and_counted_there_only() -> None:
    from av_tagger.stages import stage

    class SharpEye(RedEye):
        def see(self, clips: Sequence[Frames]) -> list[Scores]:
            with stage("features"):
                time.sleep(0.01)
            with stage("words"):
                return super().see(clips)

    profiler, plain = Profiler(), tagger()
    sharp = Tagger(replace(plain.parts, eye=SharpEye()))
    all_of(
        Flow(Worker(sharp, Decoder), concurrency(inference_threads=1, batch=1), profiler),
        [f"{i}.mp4" for i in range(5)],
    )
    profile = Profile.of([("here", profiler.as_text())])
    rows = {row.stage: row for row in profile.rows()}
    names = list(rows)
    assert names[names.index("see") : names.index("see") + 3] == ["see", "features", "words"]
    assert 0.05 <= rows["features"].seconds <= rows["see"].seconds
    assert sum(row.share for name, row in rows.items() if name not in PARTS) == pytest.approx(1.0)
    assert [title(name) for name in ("see", "features", "queue")] == [
        "see",
        "  features",
        "decoders wait for room",
    ]


def test_time_that_decoding_and_networks_share_counts_once() -> None:
    profiler = Profiler()

    def hold(stage: str, seconds: float) -> None:
        with profiler.of(stage):
            time.sleep(seconds)

    threads = [
        threading.Thread(target=hold, args=given)
        for given in (("decode", 0.3), ("see", 0.2), ("queue", 0.4))
    ]
    for hand in threads:
        hand.start()
    for hand in threads:
        hand.join()
    assert 0.3 <= profiler.aimed < 0.49, "not the sum, which is half a second"
    profile = Profile.of([("here", profiler.as_text())])
    assert profile.wall >= 0.4
    assert profile.aimed == pytest.approx(profiler.aimed / profile.wall)


def test_the_clock_tells_what_was_computed_from_what_was_waited_for() -> None:
    """Work in another process is decoding; what this one computes meanwhile is transport, and what no stage names is the runner's, too."""
    profiler = Profiler()
    with profiler.of("decode", "transport"):
        time.sleep(0.2)
        _compute(0.1)
    _compute(0.2)
    profile = Profile.of([("here", profiler.as_text()), ("driver", profiler.as_text())])
    assert profile.stages["transport"].processor == pytest.approx(2 * 0.1, abs=0.08), (
        "of both clocks"
    )
    assert profile.stages["decode"].seconds >= 2 * 0.2
    assert profile.runner == pytest.approx(0.3, abs=0.1), "a process with two clocks counts once"


def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_time_that_a_decoder_wastes_is_decoding(tmp_path: Path) -> None:
    class Late(Decoder):
        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            time.sleep(0.2)
            yield from super().windows(clip, request, limit_seconds)

    made = Flow(Worker(tagger(), Late), concurrency())
    (found,) = all_of(made, ["1-bad.mp4"])
    assert found.kind == "media"
    assert made.profiler.stages["decode"].seconds >= 0.2


def test_the_runner_itself_costs_little() -> None:
    """With decoders and networks that take no time at all a clip costs the runner under 5 ms: 5 % of a clip of 100 ms."""
    made = flow(concurrency(inference_threads=1))
    began = time.process_time()
    all_of(made, [f"{i}.mp4" for i in range(400)])
    assert (time.process_time() - began) / 400 < 0.005


def test_the_pace_suits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av_tagger.runner.concurrency.available_cores", lambda: 16)
    monkeypatch.setattr("av_tagger.runner.concurrency.memory", lambda: 64 * GIB)
    cpu, gpu, quarter = (
        suited(Concurrency(), "cpu"),
        suited(Concurrency(), "cuda:0"),
        suited(Concurrency(), "cuda:0", 4),
    )
    assert (cpu.inference_threads, cpu.threads, cpu.decoders) == (16, 1, 16)
    assert (gpu.inference_threads, gpu.batch, gpu.decoders) == (2, 8, 16)
    assert (quarter.decoders, quarter.memory_bytes) == (4, 2 * GIB)
    assert suited(Concurrency(decoders=3), "cpu").decoders == 3
    with pytest.raises(ValueError, match="limits are above 0"):
        Concurrency(clip_limit=0)
