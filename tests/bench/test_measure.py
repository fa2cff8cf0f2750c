"""The measuring tools: turns, medians, CPU time and memory of processes, errors of mains."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from av_tagger.bench.measure import (
    cpu_seconds,
    in_turn,
    medians_in_turn,
    parser,
    peak_mebibytes,
    run_main,
    seconds_of,
)
from av_tagger.errors import UsageError


class FakeClock:
    """A clock that work advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def test_sides_take_turns_after_a_warm_up_of_each() -> None:
    clock, order = FakeClock(), []

    def work(name: str, seconds: float) -> None:
        order.append(name)
        clock.advance(seconds * len(order))

    sides = {"a": lambda: work("a", 1.0), "b": lambda: work("b", 10.0)}
    times = in_turn(sides, 2, clock)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert times == {"a": [3.0, 5.0], "b": [40.0, 60.0]}, "the warm-up is not counted"


def test_medians() -> None:
    clock, costs = FakeClock(), iter([9.0, 1.0, 7.0, 2.0])
    assert medians_in_turn({"a": lambda: clock.advance(next(costs))}, 3, clock) == {"a": 2.0}


def test_seconds_of_one_call() -> None:
    clock = FakeClock()
    assert seconds_of(lambda: clock.advance(2.5), clock) == 2.5


def test_cpu_seconds_are_those_of_other_processes() -> None:
    code = "import sys; sum(range(10_000_000)); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        spent = cpu_seconds([busy.pid])
        assert spent > 0
        assert cpu_seconds([busy.pid, busy.pid]) >= 2 * spent
        assert peak_mebibytes([busy.pid]) > 3
        busy.communicate()
    assert cpu_seconds([]) == 0


def test_peak_memory_grows_with_what_is_held() -> None:
    code = (
        "import numpy as np; from av_tagger.bench.measure import peak_mebibytes as peak;"
        "before = peak(); held = np.ones(100 << 20, np.uint8); print(peak() - before)"
    )
    grown = float(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert 90 < grown < 130
    assert peak_mebibytes() >= peak_mebibytes([os.getpid()]) * 0.99


def test_help_is_the_docstring_as_it_stands() -> None:
    text = parser("One line.\n\n    an example\n").format_help()
    assert "One line.\n\n    an example\n" in text


def test_an_error_of_the_user_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise UsageError("this is wrong; do that")

    with pytest.raises(SystemExit) as ended:
        run_main(fails)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "this is wrong; do that\n"
    run_main(lambda: None)


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_main(lambda: print(1 / 0))
