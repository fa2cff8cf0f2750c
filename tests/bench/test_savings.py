"""What savings cost: coverage by hand, comparisons with the reference, and the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.bench.savings import FAST, REFERENCE, MeasuredFilm, Variant, compare, show
from av_tagger.clip import Clip, Frames, Media
from av_tagger.tagger import Tagger
from tests.fakes import tagger, window

CLIP = Clip(Path("7.mp4"))
POINTS = np.array([0.0, 1.0, 5.0, 6.0])


def measured() -> MeasuredFilm:
    """Four frames on a line, a second apart; two clusters."""
    frames = Frames(np.zeros((4, 4, 4, 3), np.uint8), np.arange(4.0))
    distances = np.abs(POINTS[:, None] - POINTS).astype(np.float32)
    return MeasuredFilm(Media(CLIP, 0.0, 4.0, None, frames), distances, best=2.0)


@pytest.mark.parametrize(
    ("times", "cost"),
    [([0.0, 2.0], 2.0), ([0.0], 12.0), ([1.0], 10.0), ([0.1, 2.9], 2.0), ([0, 1, 2, 3], 0.0)],
)
def test_the_cost_of_chosen_frames_is_the_distance_to_the_nearest(
    times: list[float], cost: float
) -> None:
    """The nearest frame in time is meant, as variants may sample other times."""
    assert measured().cost(times) == pytest.approx(cost)


def opened(red: int) -> Tagger:
    """A tagger that opens one window whose pictures have this red value."""
    fake = tagger()
    media = window(Clip(Path(f"{red}.mp4")))

    def open_one(clip: Clip, request: object) -> list[Media]:
        return [replace(media, clip=clip)]

    return Tagger(replace(fake.parts, open=open_one))  # type: ignore[arg-type]


def variant(red: int) -> Variant:
    return Variant(opened(red), opened(red))


def test_a_variant_is_compared_with_the_reference() -> None:
    """The same window gives the same tags; a redder one is seen as a bicycle."""
    media = window(Clip(Path("0.mp4")))
    film = MeasuredFilm(media, np.ones((3, 3), np.float32) - np.eye(3, dtype=np.float32), 2.0)
    found = {REFERENCE: variant(0), "same": variant(0), FAST: variant(250)}
    compare(film, found)
    assert found["same"].tags == [True]
    assert found["same"].change == [0.0]
    assert found["same"].excess == [0.0]
    assert found["same"].same == [True]
    assert found[FAST].tags == [False]
    assert found[FAST].seen_tags == [False]
    assert found[FAST].change == [pytest.approx(250 / 255)]
    assert all(v.seconds >= 0 for v in found.values())


def test_the_table_has_a_row_per_variant(capsys: pytest.CaptureFixture[str]) -> None:
    row = variant(0)
    row.same, row.tags, row.seen_tags = [True, False], [True, True], [False, False]
    row.excess, row.change, row.seconds = [0.0, 0.02], [0.1, 0.3], 3.0
    show({REFERENCE: row})
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["CPU", "s"]
    assert re_split(line) == [
        REFERENCE,
        "1.50",
        "1 of 2",
        "1.000 %",
        "2.000 %",
        "2 of 2",
        "0 of 2",
        "0.200",
    ]


def re_split(line: str) -> list[str]:
    """Cells of fourteen characters after a name of twelve."""
    return [line[:12].strip(), *(line[i : i + 14].strip() for i in range(12, len(line), 14))]
