"""Stages are reported to the profiler of the same thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from av_tagger.stages import stage, watched


def test_stages_are_reported_in_their_own_thread_only() -> None:
    told: list[str] = []

    @contextmanager
    def watch(name: str) -> Iterator[None]:
        told.append(f"{name} begins")
        yield
        told.append(f"{name} ends")

    def elsewhere() -> None:
        with stage("unseen"):
            pass

    with stage("early"):
        pass
    with watched(watch):
        with stage("features"):
            told.append("work")
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
    with stage("late"):
        pass
    assert told == ["features begins", "work", "features ends"]
