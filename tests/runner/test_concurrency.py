"""Numbers of processes and threads fit the machine; flags win over them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from av_tagger.runner import concurrency as module
from av_tagger.runner.concurrency import (
    CPU_BATCH,
    GATHER_SECONDS,
    GIB,
    GPU_BATCH,
    MOST_DECODERS,
    Concurrency,
    describe,
    for_machine,
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 cores and 64 GiB."""
    monkeypatch.setattr(module, "available_cores", lambda: 16)
    monkeypatch.setattr(module, "physical_memory", lambda: 64 * GIB)


@pytest.mark.usefixtures("machine")
def test_a_cpu_has_one_inference_thread_per_core() -> None:
    found = for_machine(Concurrency(), "cpu")
    assert (found.inference_threads, found.threads, found.decoders) == (16, 1, 16)
    assert (found.batch, found.memory_bytes) == (CPU_BATCH, 4 * GIB)
    assert found.gather_seconds == 0.0


@pytest.mark.usefixtures("machine")
def test_a_gpu_has_two_inference_threads() -> None:
    found = for_machine(Concurrency(), "cuda:0")
    assert (found.inference_threads, found.threads, found.decoders) == (2, 4, 16)
    assert (found.batch, found.memory_bytes) == (GPU_BATCH, 8 * GIB)
    assert found.gather_seconds == GATHER_SECONDS, "it fills its batches"


@pytest.mark.usefixtures("machine")
def test_processes_share_a_machine() -> None:
    found = for_machine(Concurrency(), "cuda:0", sharing=4)
    assert (found.decoders, found.memory_bytes) == (4, 2 * GIB)
    crowd = for_machine(Concurrency(), "cpu", sharing=100)
    assert (crowd.decoders, crowd.inference_threads, crowd.memory_bytes) == (1, 1, GIB // 2)


@pytest.mark.usefixtures("machine")
def test_given_numbers_are_kept() -> None:
    given = Concurrency(3, 5, 7, 9, 11)
    assert for_machine(given, "cpu") == given
    assert for_machine(Concurrency(decoders=3), "cpu").decoders == 3
    chosen = replace(for_machine(Concurrency(), "cpu"), gather_seconds=1.0)
    assert for_machine(chosen, "cuda") == chosen


def test_even_a_large_machine_has_a_bounded_number_of_decoders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "available_cores", lambda: 256)
    assert for_machine(Concurrency(), "cuda").decoders == MOST_DECODERS


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"decoders": -1}, "must not be negative"),
        ({"memory_bytes": -1}, "must not be negative"),
        ({"ahead": 0}, "at least 1"),
        ({"clip_limit": 0}, "time limits must be above 0"),
        ({"window_limit": -1.0}, "time limits must be above 0"),
    ],
)
def test_impossible_numbers_are_refused(wrong: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Concurrency(**wrong)  # type: ignore[arg-type]


@pytest.mark.usefixtures("machine")
def test_the_numbers_are_described_in_one_line() -> None:
    assert describe(for_machine(Concurrency(decoders=1), "cuda:0"), "cuda:0") == (
        "1 decoding process, 2 inference threads with 4 threads each on cuda:0, "
        "batches of 8 windows, at most 8.0 GiB of decoded windows"
    )
