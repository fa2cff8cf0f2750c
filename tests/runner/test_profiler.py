"""The profile of a run: what is measured, with a clock set by hand, and how it is joined."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from av_tagger.errors import MissingExtra
from av_tagger.runner.profile import Profile, title
from av_tagger.runner.profile_plot import MOST_THREADS, draw
from av_tagger.runner.profiler import DRIVER, MOST_SPANS, ONLY_PROCESS, WAITING, WORK, Profiler


class Clock:
    """Wall and CPU time that stand still until a test moves them."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def work(self, seconds: float) -> None:
        self.wall += seconds
        self.cpu += seconds

    def wait(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def profiler(clock: Clock) -> Profiler:
    return Profiler(lambda: clock.wall, lambda: clock.cpu)


def joined(profiler: Profiler, *owners: str) -> Profile:
    return Profile.of([(owner, profiler.as_text()) for owner in owners or (ONLY_PROCESS,)])


def document(profiler: Profiler, process: str, cpu: tuple[float, float], epoch: float = 0.0) -> str:
    """The measurements of a profiler as if they came from another process."""
    return json.dumps(
        json.loads(profiler.as_text()) | {"process": process, "cpu": cpu, "epoch": epoch}
    )


def test_stages_are_added_up(profiler: Profiler, clock: Clock) -> None:
    for seconds in (1.0, 2.0):
        with profiler.of("hear") as lap:
            clock.work(seconds)
        assert lap.seconds == seconds
    with profiler.of("queue"):
        clock.wait(5.0)
    stages = profiler.stages
    assert (stages["hear"].seconds, stages["hear"].times, stages["hear"].cpu) == (3.0, 2, 3.0)
    assert (stages["queue"].seconds, stages["queue"].cpu) == (5.0, 0.0)
    assert [(s.stage, s.begin, s.end) for s in profiler.spans] == [
        ("hear", 0.0, 1.0),
        ("hear", 1.0, 3.0),
        ("queue", 3.0, 8.0),
    ]


def test_an_error_ends_a_stage_as_well(profiler: Profiler, clock: Clock) -> None:
    def fail() -> None:
        with profiler.of("see"):
            clock.work(1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert profiler.stages["see"].seconds == 1.0
    assert profiler.productive == 1.0


def test_own_cpu_time_beside_another_process_is_a_stage_of_its_own(
    profiler: Profiler, clock: Clock
) -> None:
    """While a decoding process works, this thread only unpacks what arrives."""
    with profiler.of("decode", "transport"):
        clock.wait(2.0)
        clock.work(0.5)
    stages = profiler.stages
    assert (stages["decode"].seconds, stages["decode"].cpu) == (2.0, 0.0)
    assert (stages["transport"].seconds, stages["transport"].cpu) == (0.5, 0.5)


def test_time_that_decoding_and_networks_share_counts_once(
    profiler: Profiler, clock: Clock
) -> None:
    decode, see = profiler.of("decode"), profiler.of("see")
    decode.__enter__()
    clock.wait(1.0)
    see.__enter__()
    clock.wait(1.0)
    decode.__exit__(None, None, None)
    clock.wait(1.0)
    see.__exit__(None, None, None)
    with profiler.of("record"):
        clock.work(1.0)
    assert profiler.productive == 3.0
    assert joined(profiler).productive == pytest.approx(0.75)


def test_threads_are_told_apart(profiler: Profiler, clock: Clock) -> None:
    def work() -> None:
        with profiler.of("hear"):
            clock.work(1.0)

    for number in (1, 2):
        thread = threading.Thread(target=work, name=f"inference {number}")
        thread.start()
        thread.join()
    (row,) = joined(profiler).rows()
    assert (row.threads, row.seconds, row.busy, row.share) == (2, 2.0, 0.5, 1.0)
    assert {span.thread for span in joined(profiler, "process 1").spans} == {
        "process 1 inference 1",
        "process 1 inference 2",
    }


def test_only_the_last_spans_are_kept(profiler: Profiler) -> None:
    for _ in range(MOST_SPANS + 5):
        with profiler.of("hear"):
            pass
    assert len(profiler.spans) == MOST_SPANS
    assert profiler.stages["hear"].times == MOST_SPANS + 5
    assert len(joined(profiler, *[f"process {n}" for n in range(200)]).spans) <= 200 * 50


def test_shares_are_of_work_and_waiting_has_none(profiler: Profiler, clock: Clock) -> None:
    for stage, seconds in (("decode", 6.0), ("hear", 2.0), ("record", 2.0), ("queue", 90.0)):
        with profiler.of(stage):
            clock.wait(seconds)
    profile = joined(profiler)
    assert {row.stage: row.share for row in profile.rows()} == {
        "decode": 0.6,
        "hear": 0.2,
        "record": 0.2,
        "queue": 0.0,
    }
    assert profile.overhead == pytest.approx(0.2)
    assert profile.wall == 100.0


def test_rows_are_in_the_order_of_the_data_with_parts_below_their_whole(
    profiler: Profiler,
) -> None:
    for stage in ("windows", "table", "words", "features", "see", "decode"):
        with profiler.of(stage):
            pass
    names = [row.stage for row in joined(profiler).rows()]
    assert names == ["decode", "see", "features", "words", "table", "windows"]
    assert [title(name) for name in ("see", "features", "queue")] == [
        "see",
        "  features",
        "decoders wait: queue is full",
    ]
    assert not set(WORK) & set(WAITING)


def test_parts_of_seeing_do_not_count_twice(profiler: Profiler, clock: Clock) -> None:
    with profiler.of("see"), profiler.of("features"):
        clock.work(3.0)
    with profiler.of("hear"):
        clock.work(1.0)
    shares = {row.stage: row.share for row in joined(profiler).rows()}
    assert shares["see"] + shares["hear"] == 1.0
    assert shares["features"] == 0.75


def test_processes_are_joined_on_one_time_line(profiler: Profiler, clock: Clock) -> None:
    with profiler.of("hear"):
        clock.work(2.0)
    texts = [
        document(profiler, f"host {n}", (3.0, 0.0), epoch) for n, epoch in ((1, 10.0), (2, 14.0))
    ]
    profile = Profile.of(list(zip(("a", "b"), texts, strict=True)))
    assert [(s.thread, s.begin, s.end) for s in profile.spans] == [
        ("a", 0.0, 2.0),
        ("b", 4.0, 6.0),
    ]
    assert profile.wall == 6.0
    assert profile.productive == pytest.approx((2.0 + 2.0) / (2 * 6.0))


def test_cpu_time_counts_decoders_and_each_process_once(profiler: Profiler, clock: Clock) -> None:
    """The driver's profile is of the same process as that of the only worker."""
    with profiler.of("decode", "transport"):
        clock.wait(1.0)
    with profiler.of("hear"):
        clock.work(2.0)
    driver = Profiler(lambda: clock.wall, lambda: clock.cpu)
    texts = [
        (ONLY_PROCESS, document(profiler, "host 1", (5.0, 7.0))),
        (DRIVER, document(driver, "host 1", (4.0, 7.0))),
    ]
    profile = Profile.of(texts)
    assert profile.cpu == 5.0 + 7.0
    assert profile.stages["decode"].cpu == 7.0
    assert profile.runner == 5.0 - 2.0
    assert profile.cpu_overhead == pytest.approx(3.0 / 12.0)


def test_cpu_time_of_the_start_can_be_left_out() -> None:
    profiler = Profiler()
    before = json.loads(profiler.as_text())["cpu"][0]
    sum(range(10**6))
    profiler.restart_cpu()
    assert json.loads(profiler.as_text())["cpu"][0] <= before + 0.05


def test_no_measurements_are_an_empty_profile() -> None:
    profile = Profile.of([])
    assert profile.rows() == []
    assert (profile.wall, profile.productive, profile.overhead, profile.cpu_overhead) == (
        0,
        0,
        0,
        0,
    )


def many_threads(profiler: Profiler, clock: Clock, count: int) -> Profile:
    for stage in ("decode", "see", "features", "record", "queue"):
        with profiler.of(stage):
            clock.work(1.0)
    return joined(profiler, *[f"process {n}" for n in range(count)])


@pytest.mark.parametrize("count", [1, MOST_THREADS + 5])
def test_the_chart_is_drawn(profiler: Profiler, clock: Clock, tmp_path: Path, count: int) -> None:
    draw(many_threads(profiler, clock, count), tmp_path / "profile.png")
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["profile.png"]


def test_without_matplotlib_the_remedy_is_named(
    profiler: Profiler, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="install it for the chart"):
        draw(many_threads(profiler, clock, 1), tmp_path / "profile.png")
