"""The made collection of the search benchmark: as large as asked for, the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from av_tagger.bench.find import (
    EVENTS_PER_CLIP,
    QUERIES,
    WIDTH,
    made_results,
    made_rows,
    noise,
    recall,
)
from av_tagger.collection.names import Names
from av_tagger.collection.query import parse, terms
from av_tagger.collection.vectors import BLOCK, VectorIndex, build
from av_tagger.labels import audioset
from av_tagger.reports.schema import from_json
from av_tagger.scores import Tagged


def test_results_have_as_many_events_as_asked_for() -> None:
    lines = list(made_results(500))
    assert len(lines) == 500 / EVENTS_PER_CLIP
    outcomes = [from_json(json.loads(line)) for line in lines]
    assert all(isinstance(one, Tagged) for one in outcomes)
    events = [e for one in outcomes if isinstance(one, Tagged) for t in one.tags for e in t.events]
    assert len(events) == 500
    assert all(0 <= e.start < e.end <= 60 for e in events)
    files = {one.clip.name for one in outcomes}
    assert len(files) == len(lines)


def test_results_are_the_same_each_time_and_few_classes_are_frequent() -> None:
    lines = list(made_results(2000))
    assert lines == list(made_results(2000))
    outcomes = [from_json(json.loads(line)) for line in lines]
    labels = [t.label for one in outcomes if isinstance(one, Tagged) for t in one.tags]
    first = labels.count(audioset().labels[0])
    assert first > len(lines) / 2
    assert len(set(labels)) > 100


def test_the_queries_name_classes_that_exist() -> None:
    names = Names(frozenset(audioset().labels))
    for text in QUERIES:
        for term in terms(parse(text)):
            assert names.meaning(term).labels, text


def test_rows_come_in_blocks_and_are_finite() -> None:
    blocks = list(made_rows(BLOCK + 10))
    assert [len(files) for files, _, _ in blocks] == [BLOCK, 10]
    files, seconds, values = blocks[1]
    assert values.shape == (10, WIDTH)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert (files[0], int(seconds[0])) == (f"films/{BLOCK // 100}", BLOCK % 100)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VectorIndex:
    folder: Path = tmp_path_factory.mktemp("rows") / "made.like"
    build(made_rows(1500), folder, "made")
    return VectorIndex(folder)


def test_recall_is_one_where_all_rows_are_compared(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("av_tagger.collection.vectors.CANDIDATES", 1500)
    (query,) = index.whole(np.array([7]))
    query = query + noise(np.random.default_rng(0))
    assert recall(index, query) == pytest.approx(1.0, abs=0.02), "but for equal ones"


def test_recall_falls_where_too_few_are_compared(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    (query,) = index.whole(np.array([7]))
    monkeypatch.setattr("av_tagger.collection.vectors.CANDIDATES", 1)
    monkeypatch.setattr(
        index, "short", np.random.default_rng(0).integers(-9, 9, index.short.shape, np.int8)
    )
    assert recall(index, query) < 0.5
