"""Training data: checks, warnings and identity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.teacher import TeacherTargets
from av_tagger.learning.data.training import TrainingData


def bags(targets: list[list[float]], labels: tuple[str, ...] = ("a", "b", "c")) -> EmbeddingBags:
    n = len(targets)
    table = np.array(targets, np.float32).reshape(n, len(labels))
    return EmbeddingBags(np.zeros((n, 4), np.uint8), np.arange(n + 1), table, labels)


GOOD = bags([[1, 0, 0], [0, 1, 0]])


def test_classes_without_clips_have_a_warning_each() -> None:
    data = TrainingData(GOOD, bags([[1, 0, 0]]), notes=("a note",))
    assert data.unlearnt == ("c",)
    assert data.unmeasured == ("b",)  # c cannot be learnt: one warning is enough
    assert data.warnings == [
        "class 'c' has no training clip: it cannot be learnt and will not be tagged",
        "class 'b' has no validation clip: its threshold cannot be tuned and stays 0.5",
        "a note",
    ]


def test_unknown_labels_do_not_hide_positive_clips() -> None:
    nan = float("nan")
    assert TrainingData(bags([[1, nan, 0], [nan, nan, nan]]), GOOD).unlearnt == ("b", "c")


@pytest.mark.parametrize(
    ("training", "validation", "said"),
    [
        (bags([[0, 0, 0]]), GOOD, "no training clip has any of the classes"),
        (bags([[float("nan"), 0, 0]]), GOOD, "no training clip has any of the classes"),
        (bags([]), GOOD, "training data have no usable clip"),
        (GOOD, bags([]), "validation data have no usable clip"),
        (GOOD, bags([[1, 0]], ("a", "b")), "different classes"),
    ],
)
def test_unusable_data_are_refused(
    training: EmbeddingBags, validation: EmbeddingBags, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        TrainingData(training, validation)


def test_the_identity_has_a_checksum_per_part() -> None:
    teacher = TeacherTargets("t", np.zeros((2, 5), np.float16), np.zeros((2, 3), np.float32))
    data = TrainingData(GOOD, GOOD)
    taught = replace(data, teacher=teacher)
    assert set(data.identity) == {"training data", "validation data"}
    assert taught.identity == data.identity | {"teacher scores": teacher.sha256}


def test_a_teacher_scores_every_training_clip() -> None:
    teacher = TeacherTargets("t", np.zeros((1, 5), np.float16), np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="every training clip"):
        TrainingData(GOOD, GOOD, teacher=teacher)
