"""The flow of one process with fakes: order, back-pressure, bounded memory, isolated failures."""

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
from av_tagger.protocols import DecodeRequest, EyeDetails
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.flow import MOST_DEFECTS, Flow
from av_tagger.runner.job import Job, Record
from av_tagger.runner.profiler import Profiler
from av_tagger.runner.window_queue import usual_cost
from av_tagger.runner.worker import Worker
from av_tagger.scores import Scores
from av_tagger.stages import stage
from av_tagger.tagger import Tagger
from tests.fakes import Decoder, Live, LoudEar, RedEye, number_of, tagger, touch, window
from tests.waiting import LIMIT, until

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
def test_concurrency_does_not_change_results(changes: dict[str, int]) -> None:
    expected = all_of(flow(concurrency()), NAMES)
    found = all_of(flow(concurrency(**changes)), NAMES)
    assert [r.document for r in found] == [r.document for r in expected]


def test_results_equal_those_of_the_tagger_alone() -> None:
    """The reference: one clip after another, without threads."""
    (tagged,) = all_of(flow(concurrency()), ["96.mp4"])
    plain = tagger()
    direct = plain.merge_windows(
        Clip(Path("96.mp4")), plain.score([window(Clip(Path("96.mp4")))]), 0.0
    )
    document = json.loads(tagged.document)
    assert [t["label"] for t in document["tags"]] == [t.label for t in direct.tags] == ["Siren"]
    assert document["scores"]["Bicycle"]["seen"] == pytest.approx(96 / 255, abs=1e-6)
    assert document["scores"]["Siren"]["heard"] == pytest.approx(96 / 97, abs=1e-6)


def test_the_number_of_windows_in_memory_is_bounded() -> None:
    live = Live()
    settings = concurrency(decoders=2, inference_threads=1, batch=2)
    made = flow(settings, live, LoudEar(lambda _: time.sleep(0.001)))
    all_of(made, [f"{i}.mp4" for i in range(200)])
    assert made.queue.peak <= 2 * settings.batch * settings.inference_threads + settings.decoders
    # What the room holds, one in each decoder's worker; nothing is left in the end.
    assert 0 < live.most <= made.queue.peak + settings.decoders
    del made
    gc.collect()
    assert live.now == 0


def test_bytes_bound_the_queue() -> None:
    """With memory for a single window the second decoder waits, without a deadlock."""
    made = flow(concurrency(memory_bytes=1, inference_threads=1))
    assert len(all_of(made, [f"{i}-two.mp4" for i in range(10)])) == 10
    assert made.queue.peak == 1


def test_decoders_wait_for_a_slow_reader() -> None:
    """Back-pressure: at most `ahead` clips are started beyond those that were read."""
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


def test_a_slow_first_clip_bounds_the_others() -> None:
    asked: list[int] = []

    class Gate(Decoder):
        opened = threading.Event()

        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            if number_of(clip.name) == 0:
                self.opened.wait()
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
    until(lambda: len(asked) >= 6)
    time.sleep(0.1)  # a seventh would come now
    assert asked == list(range(6))
    assert found == []
    Gate.opened.set()
    reader.join(LIMIT)
    assert [r.position for r in found] == list(range(50))


def test_in_a_batch_only_the_failing_clip_is_lost() -> None:
    def choke(waveforms: Sequence[Waveform]) -> None:
        for w in waveforms:
            if np.isclose(w.samples[0], 5 / 97):
                raise MemoryError
            if np.isclose(w.samples[0], 6 / 97):
                raise ZeroDivisionError("oh")

    found = all_of(flow(concurrency(batch=16), ear=LoudEar(choke)), [f"{i}.mp4" for i in range(12)])
    kinds = {r.position: r.kind for r in found if r.status == "failed"}
    assert kinds == {5: "memory", 6: "defect"}
    assert "ZeroDivisionError: oh; this is a bug" in found[6].document
    assert [r.position for r in found if "in choke" in r.traceback] == [6]


def test_a_bug_in_every_clip_ends_the_run() -> None:
    def broken(_: Sequence[Waveform]) -> None:
        raise ZeroDivisionError("always")

    with pytest.raises(ZeroDivisionError, match="always"):
        all_of(
            flow(concurrency(), ear=LoudEar(broken)), [f"{i}.mp4" for i in range(MOST_DEFECTS + 5)]
        )


def test_an_error_of_the_job_source_ends_the_run_and_all_threads() -> None:
    def broken() -> Iterator[Job]:
        yield from jobs(["1.mp4"])
        raise StorageError("the disk is gone")

    before = threading.active_count()
    with pytest.raises(StorageError, match="the disk is gone"):
        list(flow(concurrency()).records(broken()))
    assert threading.active_count() == before


@pytest.mark.parametrize("detail", [False, True])
def test_closing_early_ends_all_threads(detail: bool) -> None:
    before, names = threading.active_count(), [f"{i}.mp4" for i in range(1000)]
    made = flow(concurrency(detail=detail), delay=0.001)
    with closing(made.records(jobs(names))) as groups:
        assert next(groups)
    assert threading.active_count() == before


def test_a_clip_that_takes_too_long_is_given_up() -> None:
    now = [0.0]

    class Slow(Decoder):
        """By the clock of the run, so that no machine is too slow for the other clips."""

        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            for media in super().windows(clip, request, limit_seconds):
                now[0] += 0.2 if "long" in clip.path.name else 0.0
                yield media

    settings = concurrency(clip_limit=0.25, decoders=1)
    made = Flow(Worker(tagger(), Slow), settings, Profiler(clock=lambda: now[0]))
    found = all_of(made, ["1.mp4", "2-long.mp4", "3.mp4"])
    assert [(r.status, r.kind) for r in found] == [
        ("done", ""),
        ("failed", "timeout"),
        ("done", ""),
    ]
    assert "took longer than 0.25 s" in found[1].document


def test_a_missing_folder_ends_the_run_and_a_missing_file_does_not(
    tmp_path: Path,
) -> None:
    class Missing(Decoder):
        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            from av_tagger.media.paths import check_path

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


def test_a_failed_clip_has_its_decoding_time_in_the_profile() -> None:
    made = flow(concurrency())
    (found,) = all_of(made, ["1-bad.mp4"])
    assert found.kind == "media"
    assert made.profiler.stages["decode"].times == 1


@pytest.mark.parametrize("in_process", [True, False])
def test_only_decoding_processes_have_a_transport_stage(in_process: bool) -> None:
    class Counted(Decoder):
        pass

    Counted.in_process = in_process
    made = Flow(Worker(tagger(), Counted), concurrency())
    all_of(made, ["1.mp4", "2.mp4"])
    stages = {"clips", "decode", "queue", "windows", "hear", "see", "weigh", "merge"}
    assert set(made.profiler.stages) == stages | (set() if in_process else {"transport"})
    threads = {span.thread for span in made.profiler.spans if span.stage == "decode"}
    assert threads <= {f"decoder {n}" for n in (1, 2, 3)}


def test_parts_of_seeing_are_measured_within_it() -> None:
    class SharpEye(RedEye):
        def see(self, clips: Sequence[Frames]) -> list[Scores]:
            with stage("features"):
                pass
            with stage("words"):
                return super().see(clips)

    plain = tagger()
    sharp = Tagger(replace(plain.parts, eye=SharpEye()))
    made = Flow(Worker(sharp, Decoder), concurrency(inference_threads=1, batch=1))
    all_of(made, [f"{i}.mp4" for i in range(5)])
    counts = {name: made.profiler.stages[name].times for name in ("see", "features", "words")}
    assert 1 <= counts["see"] <= 5, "small windows may share a batch"
    assert counts == dict.fromkeys(counts, counts["see"])


def test_detail_is_kept_when_asked_for() -> None:
    for detail in (False, True):
        (found,) = all_of(flow(concurrency(detail=detail)), ["96.mp4"])
        assert ("detail" in json.loads(found.document)) == detail


def test_a_clip_without_any_window_fails() -> None:
    class Empty(Decoder):
        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            return iter(())

    (found,) = all_of(Flow(Worker(tagger(), Empty), concurrency()), ["1.mp4"])
    assert (found.status, found.kind) == ("failed", "media")
    assert "holds neither sound nor pictures" in found.document


def test_decoders_are_closed_at_the_end() -> None:
    closed: list[Decoder] = []

    class Closing(Decoder):
        def close(self) -> None:
            closed.append(self)

    all_of(Flow(Worker(tagger(), Closing), concurrency()), ["1.mp4"])
    assert len(closed) == 3


@pytest.mark.parametrize("detail", [False, True])
def test_with_details_decoders_stay_until_all_is_scored(detail: bool) -> None:
    """They make the pictures; without, each ends when no clip is left for it."""
    closed, scored = threading.Semaphore(0), list[bool]()

    class Closing(Decoder):
        interrupted = False

        def interrupt(self) -> None:
            self.interrupted = True

        def close(self) -> None:
            assert not self.interrupted
            closed.release()

    def hear(_: object) -> None:
        if not detail:
            scored.extend(closed.acquire(timeout=20) for _ in range(3))
            return
        until(lambda: made._decoding == 0)
        scored.append(not closed.acquire(blocking=False))

    made = Flow(Worker(tagger(LoudEar(hear)), Closing), concurrency(detail=detail))
    assert [r.status for r in all_of(made, ["1.mp4"])] == ["done"]
    assert scored == [True] * (1 if detail else 3)
    assert not made._decoders


def test_no_jobs_are_no_records() -> None:
    assert all_of(flow(concurrency()), []) == []


def test_without_a_defect_in_a_row_the_run_goes_on() -> None:
    """Every second clip has a bug: failures, but no reason to end the run."""

    def choke(waveforms: Sequence[Waveform]) -> None:
        if any(round(float(w.samples[0]) * 97) % 2 for w in waveforms):
            raise ZeroDivisionError("odd")

    names = [f"{i}.mp4" for i in range(3 * MOST_DEFECTS)]
    found = all_of(flow(concurrency(batch=1), ear=LoudEar(choke)), names)
    assert sum(r.status == "failed" for r in found) == len(names) // 2


def test_a_card_that_is_short_of_memory_gets_smaller_batches() -> None:
    """Three windows at once are too many: halves are, too, so no clip is lost, and later batches
    are small from the start.
    """
    sizes: list[int] = []

    def choke(waveforms: Sequence[Waveform]) -> None:
        sizes.append(len(waveforms))
        if len(waveforms) > 2:
            raise OutOfMemoryError("made up")

    settings = concurrency(batch=8, inference_threads=1, decoders=1, ahead=64)
    made = flow(settings, ear=LoudEar(choke))
    gate = threading.Event()
    take = made.queue.take
    made.queue.take = lambda: gate.wait() and take()  # type: ignore[method-assign,return-value]
    threading.Thread(target=lambda: (until(lambda: made.queue.count >= 8), gate.set())).start()
    found = all_of(made, [f"{i}.mp4" for i in range(60)])
    assert {r.status for r in found} == {"done"}
    failed = [i for i, size in enumerate(sizes) if size > 2]
    assert failed, "it was short of memory at least once"
    assert max(sizes[failed[-1] + 1 :]) <= 2
    assert made.queue.budget < 8 * usual_cost(DecodeRequest())


def test_one_clip_without_memory_does_not_make_all_batches_small() -> None:
    def choke(waveforms: Sequence[Waveform]) -> None:
        if any(np.isclose(w.samples[0], 5 / 97) for w in waveforms):
            raise OutOfMemoryError("made up")

    made = flow(concurrency(batch=8, inference_threads=1), ear=LoudEar(choke))
    before = made.queue.budget
    found = all_of(made, [f"{i}.mp4" for i in range(30)])
    assert [r.kind for r in found if r.status == "failed"] == ["memory"]
    assert made.queue.budget == before


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@pytest.mark.parametrize("detail", [True, False])
def test_pictures_are_made_where_they_are_kept(detail: bool) -> None:
    made: list[bool] = []

    class Painter(RedEye):
        pictures = True

        def reporting(self, details: EyeDetails) -> Painter:
            other = Painter()
            other.pictures = details.pictures
            return other

        def see(self, clips: Sequence[Frames]) -> list[Scores]:
            made.append(self.pictures)
            return super().see(clips)

    plain = tagger()
    with_eye = Tagger(replace(plain.parts, eye=Painter()))
    (found,) = all_of(Flow(Worker(with_eye, Decoder), concurrency(detail=detail)), ["1.mp4"])
    assert made == [detail]
    assert found.status == "done"


def test_engines_decode_beside_the_cores_and_take_the_large_files_first(tmp_path: Path) -> None:
    by: dict[str, list[str]] = {"cores": [], "engine": []}

    class Noted(Decoder):
        """The cores wait for four clips of the engine, and that for one of the cores."""

        who = "cores"

        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            by[self.who].append(clip.path.name)
            until(self.may_go)
            return super().windows(clip, request, limit_seconds)

        def may_go(self) -> bool:
            return len(by["engine"]) >= 4

    class OnEngine(Noted):
        who = "engine"

        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            with stage("engines of the card"):
                return super().windows(clip, request, limit_seconds)

        def may_go(self) -> bool:
            return len(by["engine"]) <= 4 or len(by["cores"]) > 0

    names = [str(tmp_path / f"{i}.mp4") for i in range(24)]
    for i, name in enumerate(names):
        Path(name).write_bytes(b"x" * (1000 if i in (3, 4) else 10))
    made = Flow(Worker(tagger(), Noted, (OnEngine,)), concurrency(decoders=1, ahead=16))
    found = all_of(made, names)
    assert [r.position for r in found] == list(range(24))
    expected = all_of(Flow(Worker(tagger(), Noted), concurrency()), names)
    assert [r.document for r in found] == [r.document for r in expected]
    assert by["engine"][0] in ("3.mp4", "4.mp4")
    assert len(by["engine"]) > 3
    assert made.profiler.stages["engines of the card"].times == len(by["engine"])
    threads = {span.thread for span in made.profiler.spans if span.stage == "decode"}
    assert threads == {"decoder 1", "engine 1"}


def test_shares_of_engines_and_cores_follow_their_rates() -> None:
    """What is free takes the next clip: the cores get one while the engine does nine."""
    by: dict[str, int] = {"cores": 0, "engine": 0}
    begun, enough = threading.Event(), threading.Event()

    class Slow(Decoder):
        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            by["cores"] += 1
            begun.set()
            assert enough.wait(20)
            return super().windows(clip, request, limit_seconds)

    class Quick(Decoder):
        def windows(
            self, clip: Clip, request: DecodeRequest, limit_seconds: float
        ) -> Iterator[Media]:
            assert begun.wait(20)
            by["engine"] += 1
            if sum(by.values()) == 10:
                enough.set()
            return super().windows(clip, request, limit_seconds)

    made = Flow(Worker(tagger(), Slow, (Quick,)), concurrency(decoders=1, ahead=16))
    assert len(all_of(made, [f"{i}.mp4" for i in range(10)])) == 10
    assert by == {"cores": 1, "engine": 9}


def test_a_batch_is_started_while_another_is_waited_for() -> None:
    """As a card works on two: results of the first are read while the second one runs."""
    sizes: list[int] = []
    second = threading.Event()

    def hear(waveforms: Sequence[Waveform]) -> None:
        sizes.append(len(waveforms))
        if len(sizes) == 1:
            assert second.wait(20), "no other batch was started meanwhile"
        else:
            second.set()

    settings = concurrency(batch=4, inference_threads=2, ahead=64)
    found = all_of(flow(settings, ear=LoudEar(hear)), [f"{i}.mp4" for i in range(20)])
    assert {r.status for r in found} == {"done"}
    assert len(sizes) >= 2
