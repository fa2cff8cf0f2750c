"""Every fusion method: output, what happens when a branch is missing, and thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.errors import UsageError
from av_tagger.fusion import (
    FUSIONS,
    EarOnly,
    EyeOnly,
    MaxFusion,
    StackedFusion,
    Thresholds,
    Weighing,
    WeightedFusion,
    load_fusion,
)
from av_tagger.fusion.file import build
from av_tagger.labels import dcase2017
from av_tagger.protocols import Fusion
from av_tagger.scores import Activity, Evidence, KeyFrame, Scores, Status

LABELS = ("Car", "Bus", "Train")
NAN = np.nan
ROWS = Thresholds(np.array([0.5, 0.4, 0.3]), np.array([0.7, 0.6, 0.8]), np.array([0.1, 0.2, 0.25]))


def weighted(*weights: float) -> WeightedFusion:
    return WeightedFusion(LABELS, ROWS, weights=np.array(weights))


def said(*probabilities: float, status: Status = Status.OK) -> Scores:
    return Scores(LABELS, np.array(probabilities), status)


def every_kind() -> list[Weighing]:
    stacked = StackedFusion(
        LABELS,
        ROWS,
        ear=np.array([3.0, 1, 2]),
        eye=np.array([1.0, 1, 5]),
        intercept=np.array([-2.0, -1, -3]),
    )
    return [
        weighted(0.2, 0.5, 0.8),
        stacked,
        MaxFusion(LABELS, ROWS),
        EarOnly(LABELS, ROWS),
        EyeOnly(LABELS, ROWS),
    ]


@pytest.mark.parametrize(
    "fusion",
    [*every_kind(), *(make(LABELS) for make in FUSIONS.values())],
    ids=lambda f: type(f).__name__,
)
def test_each_fits_the_socket_and_never_breaks(fusion: Weighing) -> None:
    assert isinstance(fusion, Fusion)
    assert fusion.labels == LABELS
    heard = [
        said(0.1, 0.9, 0.5),
        said(0.3, NAN, NAN),
        Scores.silent(LABELS, Status.NO_TRACK),
        Scores.silent(LABELS, Status.OFF),
    ]
    seen = [
        said(0.2, 0.2, 0.7),
        said(NAN, 0.4, NAN),
        said(0.6, 0.0, 1.0),
        Scores.silent(LABELS, Status.NO_TRACK),
    ]
    fused = fusion.fuse(heard, seen)
    assert len(fused) == 4
    table = np.stack([s.probabilities for s in fused])
    assert np.isfinite(table[0]).all()
    assert ((table[np.isfinite(table)] >= 0) & (table[np.isfinite(table)] <= 1)).all()
    np.testing.assert_array_equal(
        table[1], [0.3, 0.4, NAN]
    )  # class by class the one who has an opinion decides
    np.testing.assert_array_equal(table[2], [0.6, 0.0, 1.0])
    assert np.isnan(table[3]).all()
    assert fusion.fuse([], []) == []
    alone = [fusion.fuse([h], [s])[0].probabilities for h, s in zip(heard, seen, strict=True)]
    np.testing.assert_array_equal(np.stack(alone), table)  # a batch is its clips one by one


def test_the_formula_of_the_paper() -> None:
    fused = weighted(0.2, 0.5, 0.8).fuse([said(1.0, 0.6, 0.5)], [said(0.5, 0.2, 0.0)])[0]
    np.testing.assert_allclose(fused.probabilities, [0.6, 0.4, 0.4])


def test_maximum_ear_and_eye() -> None:
    heard, seen = [said(0.1, 0.9, 0.5)], [said(0.2, 0.2, 0.7)]
    np.testing.assert_array_equal(
        MaxFusion(LABELS, ROWS).fuse(heard, seen)[0].probabilities, [0.2, 0.9, 0.7]
    )
    np.testing.assert_array_equal(
        EarOnly(LABELS, ROWS).fuse(heard, seen)[0].probabilities, [0.1, 0.9, 0.5]
    )
    np.testing.assert_array_equal(
        EyeOnly(LABELS, ROWS).fuse(heard, seen)[0].probabilities, [0.2, 0.2, 0.7]
    )


def test_stacking_is_the_logistic_function_and_does_not_overflow() -> None:
    stacked = StackedFusion(
        LABELS,
        ROWS,
        ear=np.array([2.0, 4000, -4000]),
        eye=np.array([1.0, 0, 0]),
        intercept=np.array([-1.0, 0, 0]),
    )
    fused = stacked.fuse([said(0.5, 1.0, 1.0)], [said(0.3, 0.3, 0.3)])[0].probabilities
    np.testing.assert_allclose(fused, [1 / (1 + np.exp(-0.3)), 1.0, 0.0], atol=1e-15)


def test_thresholds_are_picked_class_by_class() -> None:
    fusion = weighted(0.2, 0.5, 0.8)
    np.testing.assert_array_equal(
        fusion.thresholds(said(0.1, 0.1, 0.1), said(0.1, 0.1, 0.1)), [0.5, 0.4, 0.3]
    )
    np.testing.assert_array_equal(
        fusion.thresholds(said(0.1, NAN, 0.1), said(NAN, 0.1, 0.1)), [0.7, 0.2, 0.3]
    )
    np.testing.assert_array_equal(
        fusion.thresholds(said(0.1, 0.1, 0.1), Scores.silent(LABELS, Status.NO_TRACK)),
        [0.7, 0.6, 0.8],
    )
    np.testing.assert_array_equal(
        fusion.thresholds(Scores.silent(LABELS, Status.OFF), said(0.1, 0.1, 0.1)), [0.1, 0.2, 0.25]
    )


def test_decide_is_fuse_and_thresholds_together() -> None:
    fusion = weighted(0.2, 0.5, 0.8)
    rng = np.random.default_rng(0)
    h, s = rng.random((50, 3)), rng.random((50, 3))
    h[rng.random(h.shape) < 0.2], s[rng.random(s.shape) < 0.2] = NAN, NAN
    heard, seen = [said(*row) for row in h], [said(*row) for row in s]
    one_by_one = [
        f.probabilities >= fusion.thresholds(a, b)
        for f, a, b in zip(fusion.fuse(heard, seen), heard, seen, strict=True)
    ]
    np.testing.assert_array_equal(fusion.decide(h, s), np.stack(one_by_one))
    assert fusion.decide(h, s).any()


def test_the_fused_scores_keep_timeline_evidence_and_say_when_degraded() -> None:
    activity = Activity(np.zeros((4, 3), np.float32), 10.0)
    heard = Scores(LABELS, np.array([0.1, 0.2, 0.3]), Status.OK, activity=activity)
    evidence = {"Bus": (Evidence(1.0, "minibus", 0.4, 0.9),)}
    seen = Scores(
        LABELS,
        np.array([0.1, 0.2, 0.3]),
        Status.DEGRADED,
        evidence=evidence,
        keyframes=(KeyFrame(1.0, 0.5),),
    )
    fused = weighted(0.5, 0.5, 0.5).fuse([heard], [seen])[0]
    assert fused.activity is activity
    assert fused.evidence == evidence
    assert fused.keyframes == seen.keyframes
    assert fused.status is Status.DEGRADED


@pytest.mark.parametrize(
    ("ear", "eye", "status"),
    [
        (Status.NO_TRACK, Status.OFF, Status.NO_TRACK),
        (Status.OFF, Status.NO_WEIGHTS, Status.NO_WEIGHTS),
        (Status.OFF, Status.OFF, Status.OFF),
    ],
)
def test_without_any_witness_the_status_says_why(ear: Status, eye: Status, status: Status) -> None:
    fused = weighted(0.5, 0.5, 0.5).fuse(
        [Scores.silent(LABELS, ear)], [Scores.silent(LABELS, eye)]
    )[0]
    assert fused.status is status
    assert not fused.has_opinion


def test_one_missing_witness_leaves_the_others_status() -> None:
    fused = weighted(0.5, 0.5, 0.5).fuse(
        [said(0.1, 0.2, 0.3)], [Scores.silent(LABELS, Status.NO_TRACK)]
    )[0]
    assert fused.status is Status.OK


def test_witnesses_of_other_classes_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="same classes"):
        weighted(0.5, 0.5, 0.5).fuse([Scores(LABELS[::-1], np.zeros(3))], [said(0, 0, 0)])


def test_other_threshold_rows_can_be_put_in() -> None:
    fusion = weighted(0.2, 0.5, 0.8).with_thresholds(ear=np.array([0.9, 0.9, 0.9]))
    np.testing.assert_array_equal(fusion.rows.ear, [0.9, 0.9, 0.9])
    np.testing.assert_array_equal(fusion.rows.both, ROWS.both)
    assert isinstance(fusion, WeightedFusion)


def test_the_papers_weights_are_the_default_for_the_17_classes() -> None:
    """AV §3.4: the eye gets 0.8 on seven classes, 0.2 on the others; a_k is the ear's share."""
    labels = dcase2017().labels
    fusion = load_fusion("paper", labels)
    assert isinstance(fusion, WeightedFusion)
    seven = {"ambulance", "bicycle", "bus", "car passing by", "fire engine", "skateboard", "truck"}
    expected = [
        0.2 if any(label.casefold().startswith(name) for name in seven) else 0.8 for label in labels
    ]
    np.testing.assert_array_equal(fusion.weights, expected)
    assert expected.count(0.2) == 7
    assert fusion.neutral == ()


def test_classes_that_a_file_does_not_know_are_even_handed_and_named() -> None:
    fusion = load_fusion("paper", ("Dog", "Bus", "Rain"))
    assert isinstance(fusion, WeightedFusion)
    np.testing.assert_array_equal(fusion.weights, [0.5, 0.2, 0.5])
    np.testing.assert_array_equal(fusion.rows.ear, [0.5, 0.5, 0.5])
    assert fusion.neutral == ("Dog", "Rain")


def test_neutral_stacking_asks_for_the_mean_to_pass_one_half() -> None:
    neutral = build("stacked", ("x",), {})
    for h, s in ((0.9, 0.2), (0.2, 0.7), (0.5, 0.5)):
        assert (neutral.combine(np.array([[h]]), np.array([[s]])) >= 0.5) == (h + s >= 1)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(UsageError, match="did you mean 'paper'"):
        load_fusion("papr", LABELS)
