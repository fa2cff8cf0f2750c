"""The file of answers: synced, replayed, undone, and whole after a crash at any byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from av_tagger.errors import StorageError, UsageError
from av_tagger.review.answers import NAME, AnswerLog, ReviewAnswer


def answers(folder: Path) -> list[tuple[str, str]]:
    return [(a.key, a.answer) for a in AnswerLog.read(folder).answers.values()]


def test_answers_are_kept_and_undone(tmp_path: Path) -> None:
    log = AnswerLog.open(tmp_path)
    assert log.undo() is None
    log.add(ReviewAnswer("a", 0, "yes", reviewer="Ann"))
    log.add(ReviewAnswer("b", 0, "no"))
    undone = log.undo()
    assert undone is not None
    assert undone.key == "b"
    log.add(ReviewAnswer("c", 1, "other", "Train"))
    log.close()
    again = AnswerLog.read(tmp_path)
    assert answers(tmp_path) == [("a", "yes"), ("c", "other")]
    assert [a.number for a in again.answers.values()] == [1, 4]
    assert again.answers[1].reviewer == "Ann"
    assert again.answers[4].time > 1.7e9


def test_each_answer_is_synced_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd)))
    log = AnswerLog.open(tmp_path)
    log.add(ReviewAnswer("a", 0, "yes"))
    assert synced == [log.path.stat().st_size]
    log.close()


def test_a_line_that_was_cut_off_is_removed_at_every_length(tmp_path: Path) -> None:
    log = AnswerLog.open(tmp_path)
    for key in "ab":
        log.add(ReviewAnswer(key, 0, "yes"))
    log.close()
    path = tmp_path / NAME
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        assert answers(tmp_path) == [("a", "yes")]
    log = AnswerLog.open(tmp_path)
    log.add(ReviewAnswer("c", 0, "no"))
    log.close()
    assert answers(tmp_path) == [("a", "yes"), ("c", "no")]


def test_damaged_lines_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    log = AnswerLog.open(tmp_path)
    log.add(ReviewAnswer("a", 0, "yes"))
    log.close()
    bad = '{"key": 5, "part": 0, "answer": "yes"}\nnot json\n{"key": "b", "part": 0}\n[1]\n'
    with (tmp_path / NAME).open("a") as file:
        file.write(bad)
    found = AnswerLog.read(tmp_path)
    assert (len(found.answers), found.damaged, found.lines) == (1, 4, 5)


def test_a_disk_error_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AnswerLog.open(tmp_path)
    log.add(ReviewAnswer("a", 0, "yes"))
    size = log.path.stat().st_size

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            log.add(ReviewAnswer("b", 0, "yes"))
    assert log.path.stat().st_size == size
    log.add(ReviewAnswer("c", 0, "no"))
    log.close()
    assert answers(tmp_path) == [("a", "yes"), ("c", "no")]


def test_two_reviews_of_one_folder_are_refused(tmp_path: Path) -> None:
    log = AnswerLog.open(tmp_path)
    with pytest.raises(UsageError, match="another av-tag review"):
        AnswerLog.open(tmp_path)
    log.close()
    AnswerLog.open(tmp_path).close()


def test_the_file_of_answers_is_no_link_to_elsewhere(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("kept")
    (tmp_path / NAME).symlink_to(target)
    with pytest.raises(StorageError):
        AnswerLog.open(tmp_path)
    assert target.read_text() == "kept"


@pytest.mark.parametrize(
    "words", [("a", 0, "maybe"), ("a", 0, "other"), ("a", 0, "yes", "Bus"), ("a", "0", "yes")]
)
def test_answers_that_mean_nothing_are_refused(words: tuple[str, int, str]) -> None:
    with pytest.raises((ValueError, TypeError)):
        ReviewAnswer(*words)
