"""av-tag doctor --self-test: it passes on a right installation and fails on wrong networks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from av_tagger import weights
from av_tagger.cli import selftest
from av_tagger.cli.selftest import SCENES, Check
from av_tagger.clip import Waveform
from av_tagger.labels import dcase2017
from av_tagger.scores import Scores, Status
from tests.cli.conftest import AvTag

LABELS = dcase2017().labels


class FixedEar:
    """Gives every sound the same scores."""

    rate = 20_000

    def __init__(self, scores: np.ndarray, labels: tuple[str, ...] = LABELS) -> None:
        self.scores, self.labels = scores, labels

    def hear(self, sounds: list[Waveform]) -> list[Scores]:
        return [Scores(self.labels, self.scores, Status.OK) for _ in sounds]


def checks(scores: np.ndarray, labels: tuple[str, ...] = LABELS) -> dict[str, Check]:
    ear = FixedEar(scores, labels)
    tagger: Any = SimpleNamespace(parts=SimpleNamespace(ear=ear, labels=(*LABELS, "Clock")))
    return {check.subject: check for check in selftest._ear(tagger)}


def test_an_ear_that_says_the_same_of_every_sound_fails() -> None:
    found = checks(np.linspace(0, 0.4, 17))
    assert not found["ear: sounds"].passed
    assert "only at place" in found["ear: sounds"].found
    assert found["ear: silence"].passed
    assert not checks(np.full(17, 0.9))["ear: silence"].passed, "tags in silence"


def test_only_the_classes_of_the_test_count() -> None:
    """An ear of hundreds of classes says Silence in silence, and may prefer Music."""
    scores = np.r_[np.linspace(0, 0.4, 17), np.full(500, 0.9)]
    many = checks(scores, (*LABELS, *(f"other {i}" for i in range(500))))
    assert many == checks(scores[:17])
    other = checks(np.array([0.9]), ("Dog",))
    assert other["ear: sounds"] == Check(
        "ear: sounds", "knows none of the made sounds: not tested", True
    )


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_a_failed_check_is_the_exit_code(
    passed: bool, code: int, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        selftest, "run", lambda given: iter([Check("ear: sounds", "5 of 5", passed)])
    )
    done = av_tag("doctor", "--self-test")
    assert done.code == code
    assert ("install av_tagger again" in done.out) is not passed
    assert max(map(len, done.lines)) <= 80


def test_every_scene_is_one_of_the_classes() -> None:
    assert set(SCENES) <= set(LABELS)


@pytest.mark.slow
def test_the_shipped_networks_pass(tmp_path: Path) -> None:
    if weights.locate("crnn.starter") is None:
        pytest.skip("the starter weights are not in this checkout")
    found = list(selftest.run({"ear": "starter", "offline": True}))
    assert [check for check in found if not check.passed] == []
    assert {"ear: sounds", "decoder"} <= {check.subject for check in found}
