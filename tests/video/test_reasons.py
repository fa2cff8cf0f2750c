"""From objects to classes: equal to the plain formulas, object by object and class by class."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from av_tagger.video.assign import Assignment, How, evidence, rectify, shares, summarise
from av_tagger.video.reasons import MOST_EVIDENCE, MOST_OBJECTS, Reasons

OBJECTS, CLASSES = 60, 9
LABELS = tuple(f"class {k}" for k in range(CLASSES))
NAMES = [f"object {i}" for i in range(OBJECTS)]


def similarity(seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    table = random.uniform(0, 1, (OBJECTS, CLASSES)).astype(np.float32)
    table[table < 0.6] = 0.0
    table[:, 3] = np.nan  # no visible form
    return table


def seen(frames: int, seed: int, keep: int = 10) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return rectify(random.dirichlet(np.full(OBJECTS, 0.1), frames), keep)


def plain(
    objects: NDArray[np.float64], assignment: Assignment, keep: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(classes,) and (objects, classes), of all objects."""
    if assignment.how == "evidence":
        return evidence(objects, similarity(), assignment)
    given = summarise(objects, keep)[:, None] * shares(similarity(), assignment)
    return given.sum(axis=0).clip(0.0, 1.0), given


@pytest.mark.parametrize("how", ["evidence", "hard", "soft"])
@pytest.mark.parametrize("frames", [1, 4])
def test_only_the_objects_that_are_seen_matter(how: How, frames: int) -> None:
    assignment, times = Assignment(how), 2.0 * np.arange(frames)
    reasons = Reasons(LABELS, NAMES, similarity(), assignment, 10)
    for seed in range(20):
        objects = seen(frames, seed)
        probabilities, told = reasons.explain(objects, times)
        expected, given = plain(objects, assignment, 10)
        np.testing.assert_allclose(probabilities, expected, rtol=1e-12)
        assert list(told) == [LABELS[k] for k in range(CLASSES) if expected[k] > 0]
        for label, found in told.items():
            k = LABELS.index(label)
            best = np.argsort(-given[:, k], kind="stable")[:MOST_EVIDENCE]
            best = [i for i in best if given[i, k] > 0]
            assert [e.object for e in found] == [NAMES[i] for i in best]
            assert [e.seconds for e in found] == [times[objects[:, i].argmax()] for i in best]
            assert [e.probability for e in found] == [objects[:, i].max() for i in best]
            assert [e.similarity for e in found] == [float(similarity()[i, k]) for i in best]


def test_objects_of_a_key_frame_are_named_by_probability() -> None:
    reasons = Reasons(LABELS, NAMES, similarity(), Assignment(), 10)
    objects = seen(3, 7)
    for row, named in zip(objects, reasons.named(objects), strict=True):
        best = np.argsort(-row, kind="stable")[:MOST_OBJECTS]
        assert named == tuple((NAMES[i], row[i]) for i in best if row[i] > 0)


def test_ties_go_to_the_first_object() -> None:
    reasons = Reasons(LABELS, NAMES, np.full((OBJECTS, CLASSES), 0.9, np.float32), Assignment(), 60)
    objects = np.full((1, OBJECTS), 1 / OBJECTS)
    _, told = reasons.explain(objects, np.zeros(1))
    assert [e.object for e in told[LABELS[0]]] == NAMES[:MOST_EVIDENCE]
    assert [name for name, _ in reasons.named(objects)[0]] == NAMES[:MOST_OBJECTS]


def test_a_key_frame_without_objects() -> None:
    reasons = Reasons(LABELS, NAMES, similarity(), Assignment(), 10)
    probabilities, told = reasons.explain(np.zeros((2, OBJECTS)), np.arange(2.0))
    assert np.isnan(probabilities).all()
    assert told == {}
    assert reasons.named(np.zeros((2, OBJECTS))) == [(), ()]
