"""Stages are told to whoever watches in this thread, and to nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from av_tagger.stages import stage, watched


def test_who_watches_is_told() -> None:
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
