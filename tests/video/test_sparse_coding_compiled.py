"""The compiled search: the same answers, a cache that another process fills, and no wait when it is
cold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from av_tagger.errors import MissingExtra
from av_tagger.video.sparse_coding import bounds, plain
from av_tagger.video.sparse_coding import compiled as room
from av_tagger.video.sparse_coding import pick as picking
from av_tagger.video.sparse_coding.problem import Effort, cost, normalised
from tests.waiting import until

LONG_ENOUGH = 240.0  # seconds, for a compilation on a busy machine


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[room.Compiled]:
    """A process that has compiled nothing yet."""
    mine = room.Compiled()
    monkeypatch.setattr(picking, "compiled", mine)
    room.folder.cache_clear()
    yield mine
    room.folder.cache_clear()


@pytest.fixture(scope="module")
def search() -> room.Search:
    """The compiled search, compiled by another process into the cache and loaded from there, once
    for this module.
    """
    room.folder.cache_clear()
    assert room.warm_in_background()
    assert room.warm_in_background(), "a second call finds the first at work"
    until(room.ready, "the warming process leaves compiled code", LONG_ENOUGH)
    found = room.Compiled().load()
    assert found is not None
    return found


@pytest.fixture
def cold(fresh: room.Compiled, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is ready; what would be started is noted."""
    started: list[str] = []

    def note() -> bool:
        started.append("warming")
        return True

    monkeypatch.setattr(room, "ready", lambda: False)
    monkeypatch.setattr(room, "warm_in_background", note)
    return started


def points(b: int, n: int) -> np.ndarray:
    x = np.random.default_rng(n).normal(size=(b, n, 3))
    return np.stack(
        [normalised(D)[0] for D in np.sqrt(((x[:, :, None] - x[:, None]) ** 2).sum(-1))]
    )


def test_the_same_steps_as_numpy(search: room.Search) -> None:
    rng = np.random.default_rng(0)
    twice = [0, 0, 1, 1, 2, 3, 4, 5, 5]
    batch = [
        *points(40, 30),
        *rng.random((40, 12, 12)) + 0.5,
        *points(20, 6)[:, twice][:, :, twice],
    ]
    for D in map(np.ascontiguousarray, batch):
        for count in (1, 2, 4):
            rows, v = search(D, count, 200, 1e-6)
            ours, prices = plain.search(D, count, 200, 1e-6)
            assert np.array_equal(rows, ours)
            mine, other = bounds.count_bound(D, v, count), bounds.count_bound(D, prices, count)
            closed = cost(D, ours) - other <= 1e-6 * cost(D, ours)
            assert mine == pytest.approx(
                other, rel=2e-6 if closed else 0.02
            )  # an open gap is a long walk, and rounding leads it astray


def test_the_worth_of_rows_in_both_forms(
    search: room.Search, fresh: room.Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiled form is used for proofs, too, once it is loaded."""
    D = points(1, 40)[0]
    _, v = search(D, 3, 200, 1e-6)
    numpy_form = fresh.gains(D, v)
    assert fresh.gains is bounds.gains
    fresh.load()
    assert fresh.gains is not bounds.gains
    np.testing.assert_allclose(fresh.gains(D, v), numpy_form, rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(bounds, "gains", lambda *_: pytest.fail("the compiled form is there"))
    assert picking.pick(D[None], 3)[0].gap <= 1e-6


def test_thousands_of_matrices_to_proof(search: room.Search) -> None:
    from itertools import combinations

    batch = np.random.default_rng(1).integers(0, 6, (3000, 7, 7)).astype(float)
    best = np.min(
        [batch[:, list(rows)].min(axis=1).sum(axis=1) for rows in combinations(range(7), 3)], axis=0
    )
    found = []
    for D, scale in map(normalised, batch):
        rows, v = search(D, 3, 500, 1e-6)
        found.append((cost(D, rows) * scale, bounds.count_bound(D, v, 3) * scale))
    objective, lower = np.array(found).T
    assert np.all(lower <= best + 1e-9)
    assert np.all(objective >= best - 1e-9)
    closed = objective - lower <= 1e-6 * objective
    assert np.all(objective[closed] <= best[closed] * (1 + 1e-6))
    assert closed.mean() > 0.5


def test_the_cache_lies_in_our_folder_and_the_setting_of_numba_is_untouched(
    search: room.Search,
) -> None:
    import numba

    assert list(room.folder().rglob("kernel.search*.nbi"))
    assert str(room.folder()) != numba.config.CACHE_DIR
    # The code is there a moment before its process takes its mark away.
    until(lambda: not list(room.folder().glob("*.warming")), "the mark is gone", LONG_ENOUGH)
    assert not list(Path(room.__file__).parent.rglob("kernel.search*.nbi"))


def test_constants_of_both_forms(search: room.Search) -> None:
    from av_tagger.video.sparse_coding import kernel

    ours = (kernel._EPSILON, kernel._MOMENTUM, kernel._PATIENCE, kernel._MAX_SWAPS)
    assert ours == (plain.EPSILON, plain.MOMENTUM, plain.PATIENCE, plain.MAX_SWAPS)


def test_a_few_clips_start_nothing_and_many_start_one_process(
    fresh: room.Compiled, cold: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(room, "PATIENCE_SECONDS", 1e6)  # no machine is too slow for a few
        picking.pick(points(2, 10), 3)
    assert cold == []
    fresh.spent(room.PATIENCE_SECONDS)
    assert all(a.gap <= 1e-6 for a in picking.pick(points(2, 10), 3)), (
        "numpy serves while the other process compiles"
    )
    assert cold


def test_when_nothing_can_be_started_numpy_goes_on(
    fresh: room.Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ready", lambda: False)
    monkeypatch.setattr(room, "warm_in_background", lambda: False)
    fresh.spent(room.PATIENCE_SECONDS)
    assert fresh.search() is None
    monkeypatch.setattr(room, "warm_in_background", lambda: pytest.fail("asked again"))
    assert fresh.search() is None


def test_without_numba_numpy_serves(fresh: room.Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_import", lambda: None)
    monkeypatch.setattr(room, "ready", lambda: True)
    fresh.spent(room.PATIENCE_SECONDS)
    assert picking.pick(points(1, 10), 3)[0].gap <= 1e-6
    assert not room.warm()
    with pytest.raises(MissingExtra, match="numba"):
        picking.by_numba(points(1, 10), 3, Effort())


def test_a_home_that_cannot_be_written(
    fresh: room.Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("AV_TAGGER_CACHE", str(blocked))
    place = room.folder()
    assert place.is_dir()
    assert blocked not in place.parents
    assert place.parent.stat().st_mode & 0o077 == 0, (
        "compiled code is loaded from here: nobody else may write"
    )


def test_nowhere_to_write(
    fresh: room.Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("AV_TAGGER_CACHE", str(blocked))
    monkeypatch.setattr(room.tempfile, "TemporaryDirectory", _refuse)
    assert not room.ready()
    assert not room.warm_in_background()
    fresh.spent(room.PATIENCE_SECONDS)
    assert picking.pick(points(1, 10), 3)[0].gap <= 1e-6


def _refuse(*_: object, **__: object) -> None:
    raise OSError("read-only")


def test_a_warming_process_that_died_is_replaced(fresh: room.Compiled, tmp_path: Path) -> None:
    import os

    note = tmp_path / "x.warming"
    assert room._claimed(note)
    assert not room._claimed(note)
    os.utime(note, (0, 0))
    assert room._claimed(note)


def test_beside_a_card_a_batch_is_searched_on_several_cores_without_the_lock(
    search: room.Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two searches of one batch are under way at the same time; the answers are those of one."""
    assert search.targetoptions["nogil"]  # type: ignore[attr-defined]
    both, batch = threading.Barrier(2, timeout=60), points(2, 30)

    def at_once(D: np.ndarray, *given: Any) -> Any:
        both.wait()
        return search(D, *given)

    monkeypatch.setattr(picking.compiled, "search", lambda: at_once)
    found = picking.pick(batch, 4, form=picking.by_cores("cuda"))
    monkeypatch.setattr(picking.compiled, "search", lambda: search)
    for ours, alone in zip(found, picking.pick(batch, 4), strict=True):
        np.testing.assert_array_equal(ours.rows, alone.rows)
        np.testing.assert_array_equal(ours.weights, alone.weights)


def test_beside_a_card_nothing_waits_for_the_compiler(cold: list[str]) -> None:
    """The whole batch is searched on the device meanwhile."""
    batch = points(3, 30)
    for ours, other in zip(
        picking.pick(batch, 4, form=picking.by_cores("cpu")),
        picking.pick(batch, 4, form=picking.by_numpy),
        strict=True,
    ):
        assert ours.objective == pytest.approx(other.objective, rel=1e-6)
    assert len(cold) <= 1
