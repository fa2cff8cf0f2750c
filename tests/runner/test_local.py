"""How many jobs a process claims at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.clip import Clip
from av_tagger.runner import local
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.flow import Flow
from av_tagger.runner.job import Job
from av_tagger.runner.worker import Worker
from tests.fakes import Decoder, tagger


class Counted:
    """Gives as many jobs as are claimed, a hundred in all."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def claim(self, owner: str, count: int) -> list[Job]:
        del owner
        left = 100 - sum(self.counts)
        self.counts.append(min(count, left))
        return [Job(i, Clip(Path("a.mp4"))) for i in range(self.counts[-1])]


@pytest.mark.parametrize(("seconds", "first"), [(1e9, [2, 4, 8, 16, 16]), (-1.0, [2, 2, 2, 2, 2])])
def test_more_jobs_are_claimed_while_claims_are_used_up_soon(
    seconds: float, first: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CLAIM_SECONDS", seconds)
    flow = Flow(Worker(tagger(), Decoder), Concurrency(decoders=1, inference_threads=1, batch=1))
    journal = Counted()
    jobs = list(local._claims(journal, "me", flow))  # type: ignore[arg-type]
    assert len(jobs) == 100
    assert journal.counts[:5] == first
