"""The official files, if they are beside the checkout: published counts, perfect scores."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from av_tagger.dcase import (
    clip_key,
    find_clips,
    read_class_list,
    read_download_list,
    read_strong,
    read_weak,
    write_events,
    write_tags,
)
from av_tagger.evaluation.report import evaluate_events, evaluate_officially, evaluate_tags
from av_tagger.labels import dcase2017

if TYPE_CHECKING:
    from pathlib import Path

# Labels of the test set, class by class, in the official order.
TEST_COUNTS = (30, 30, 30, 30, 30, 30, 32, 35, 31, 35, 30, 60, 32, 31, 60, 30, 50)


@pytest.fixture
def files(shared: Path) -> Path:
    return shared / "data" / "dcase2017"


@pytest.fixture
def weak(files: Path) -> Path:
    return files / "groundtruth_weak_label_testing_set.csv"


@pytest.fixture
def strong(files: Path) -> Path:
    return files / "groundtruth_strong_label_testing_set.csv"


def test_the_official_class_list_equals_ours(files: Path) -> None:
    official = read_class_list(files / "sound_event_list_17_classes.txt")
    assert official.labels == dcase2017().labels
    assert official.ids == dcase2017().ids


def test_counts_per_class_and_clip(files: Path, weak: Path) -> None:
    truth = read_weak(weak)
    counts = Counter(label for labels in truth.values() for label in labels)
    assert len(truth) == 488
    assert tuple(counts[label] for label in dcase2017().labels) == TEST_COUNTS
    assert counts.total() == 606
    listed = {clip.key: clip.labels for clip in read_download_list(files / "testing_set.csv")}
    assert listed.keys() == truth.keys()
    assert {key: set(labels) for key, labels in listed.items()} == {
        key: set(labels) for key, labels in truth.items()
    }


def test_the_strong_list_has_the_same_clips(weak: Path, strong: Path) -> None:
    events = read_strong(strong)
    assert events.keys() == read_weak(weak).keys()
    assert sum(len(found) for found in events.values()) == 688 - 36  # rows less those `0 0`


def test_perfect_predictions_score_100(weak: Path, strong: Path, tmp_path: Path) -> None:
    write_tags(tmp_path / "a.csv", read_weak(weak))
    write_events(tmp_path / "b.csv", read_strong(strong))
    ours = evaluate_tags(tmp_path / "a.csv", weak, dcase2017()).scores
    official = evaluate_officially(tmp_path / "a.csv", weak, dcase2017()).scores
    for averages in (ours.micro, ours.macro, official.micro, official.macro):
        assert (averages.precision, averages.recall, averages.f1) == (1.0, 1.0, 1.0)
    assert official.files == 488
    events = evaluate_events(tmp_path / "b.csv", strong, dcase2017()).scores
    assert (events.error_rate, events.overall.f1) == (0.0, 1.0)
    assert ours.coverage.share == events.coverage.share == 1.0


def test_missing_clips_count_except_officially(weak: Path, tmp_path: Path) -> None:
    """The official script ignores them; by default every label of the truth counts."""
    truth = read_weak(weak)
    half = dict(list(truth.items())[::2])
    write_tags(tmp_path / "a.csv", half)
    right = sum(len(labels) for labels in half.values())
    assert 0 < right < 606
    official = evaluate_officially(tmp_path / "a.csv", weak, dcase2017()).scores
    ours = evaluate_tags(tmp_path / "a.csv", weak, dcase2017()).scores
    assert official.micro.f1 == 1.0
    assert ours.micro.f1 == pytest.approx(2 * right / (2 * right + (606 - right)))
    assert ours.micro.recall == pytest.approx(right / 606)
    assert (ours.coverage.answered, ours.coverage.clips) == (244, 488)


def test_names_with_a_leading_y_match_nothing_officially(weak: Path, tmp_path: Path) -> None:
    rows = weak.read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*(f"Y{row}" for row in rows[:-1]), rows[-1]]))
    assert evaluate_tags(tmp_path / "a.csv", weak, dcase2017()).scores.micro.f1 == 1.0
    official = evaluate_officially(tmp_path / "a.csv", weak, dcase2017()).scores
    only = read_weak(weak)[clip_key(rows[-1].split("\t")[0])]
    assert sorted(official.classes) == sorted(only)  # only one clip matches
    assert official.micro.recall == 1 / len(only)


def test_every_listed_clip_is_found_among_audio_files(files: Path, tmp_path: Path) -> None:
    listed = read_download_list(files / "testing_set.csv")
    for clip in listed[:-3]:
        (tmp_path / f"Y{clip.key}.wav").write_bytes(b"")
    found = find_clips(listed, [tmp_path])
    assert len(found.clips) == 485
    assert found.missing == tuple(listed[-3:])
