"""When the next group of records may begin."""

from __future__ import annotations

import pytest

from av_tagger.runner.pending import GROUP_SECONDS, USUAL_AHEAD, GroupTimer


@pytest.mark.parametrize(("ahead", "share"), [(USUAL_AHEAD, 1.0), (1000, 1.0), (16, 0.25)])
def test_a_group_waits_for_the_rest_of_the_time_after_the_last_one(
    ahead: int, share: float
) -> None:
    now, slept = 50.0, list[float]()
    timer = GroupTimer(ahead, lambda: now, slept.append)
    timer.wait()
    assert slept == []
    timer.restart()
    timer.wait()
    assert slept == [pytest.approx(share * GROUP_SECONDS)]
    now += 10 * GROUP_SECONDS
    timer.wait()
    assert len(slept) == 1
