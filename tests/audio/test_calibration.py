"""Calibrations: the arithmetic, joining several, and the file with all that can be wrong in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from av_tagger.audio.calibration import (
    Calibration,
    CalibrationNotes,
    EmbeddingHead,
    Source,
    floored_logit,
    joined,
    logit,
    sigmoid,
)
from av_tagger.audio.calibration_file import KEY, load_calibration, save_calibration
from av_tagger.errors import UsageError, WeightsError


def calibration(name: str = "yamnet", labels: tuple[str, ...] = ("Dog", "Car")) -> Calibration:
    n = len(labels)
    return Calibration(
        parts=(name,),
        labels=labels,
        sources=(Source(0),),
        weights=np.ones((1, n)),
        bias=np.zeros(n),
        thresholds={"f1": np.full(n, 0.4), "precision": np.full(n, 0.8)},
        floor=1e-3,
    )


def with_head() -> Calibration:
    head = EmbeddingHead(("Car",), np.full((1, 3), 0.5, np.float32), np.array([-1.0], np.float32))
    return Calibration(
        parts=("yamnet", "starter"),
        labels=("Dog", "Car"),
        sources=(Source(0), Source(0, head=True), Source(1)),
        weights=np.array([[1.5, 1.0], [0.0, 0.5], [0.0, 0.25]]),
        bias=np.array([0.25, -0.5]),
        thresholds={"f1": np.array([0.25, 0.5]), "precision": np.array([0.75, 0.875])},
        head=head,
        about=CalibrationNotes("Apache-2.0", "a test", {"mAP": 0.5}),
    )


def test_a_floor_makes_all_small_probabilities_the_same_no() -> None:
    values = floored_logit(np.array([0.0, 1e-9, 1e-5, 0.5, 1.0]), 3e-3)
    assert values[0] == pytest.approx(np.log(3e-3))
    np.testing.assert_allclose(values[:3], np.log(3e-3), atol=0.01)
    assert values[3] == pytest.approx(np.log(1.003))
    assert np.isfinite(values).all()


def test_sigmoid_and_logit_are_inverse_and_do_not_overflow() -> None:
    x = np.array([-800.0, -3.0, 0.0, 3.0, 800.0])
    assert np.isfinite(sigmoid(x)).all()
    np.testing.assert_allclose(logit(sigmoid(x))[1:4], x[1:4], rtol=1e-6)


def test_combination_is_a_weighted_sum_of_logits() -> None:
    c = with_head()
    yamnet, head, starter = np.array([0.3, 0.2]), np.array([np.nan, 0.6]), np.array([np.nan, 0.9])
    expected = -0.5 + sum(
        w * np.log(p / (1 - p) + c.floor) for w, p in ((1.0, 0.2), (0.5, 0.6), (0.25, 0.9))
    )
    got = c.combine([yamnet, head, starter])
    assert got[1] == pytest.approx(1 / (1 + np.exp(-expected)))
    assert got[0] == pytest.approx(sigmoid(0.25 + 1.5 * np.log(0.3 / 0.7 + c.floor)))
    frames = c.combine([np.tile(v, (4, 1)) for v in (yamnet, head, starter)])
    np.testing.assert_allclose(frames, np.tile(got, (4, 1)))


def test_joined_is_the_mean_of_calibrated_logits_over_the_ears_that_know_a_class() -> None:
    a = calibration("yamnet")
    b = replace(calibration("starter", ("Car", "Bus")), bias=np.array([1.0, 2.0]))
    both = joined([a, b])
    assert (both.parts, both.labels) == (("yamnet", "starter"), ("Dog", "Car", "Bus"))
    p = [np.array([0.5, 0.2, np.nan]), np.array([np.nan, 0.6, 0.7])]
    alone_a, alone_b = a.combine([p[0][:2]]), b.combine([p[1][1:]])
    got = both.combine(p)
    assert got[0] == pytest.approx(alone_a[0])
    assert got[2] == pytest.approx(alone_b[1])
    assert logit(got)[1] == pytest.approx((logit(alone_a)[1] + logit(alone_b)[0]) / 2)
    np.testing.assert_allclose(both.thresholds["f1"], 0.4)


def test_two_heads_cannot_be_joined() -> None:
    with pytest.raises(UsageError, match="two of these ears have a head"):
        joined([with_head(), with_head()])


def test_wrong_shapes_are_refused() -> None:
    c = calibration()
    with pytest.raises(ValueError, match="expected shape"):
        replace(c, bias=np.zeros(3))
    with pytest.raises(ValueError, match="operating points"):
        replace(c, thresholds={"f1": np.zeros(2)})
    with pytest.raises(ValueError, match="one number per class"):
        replace(c, thresholds={"f1": np.zeros(2), "precision": np.zeros(3)})
    with pytest.raises(ValueError, match="not there"):
        replace(c, sources=(Source(1),))


def test_file_there_and_back(tmp_path: Path) -> None:
    before = with_head()
    save_calibration(tmp_path / "a.safetensors", before)
    after = load_calibration(tmp_path / "a.safetensors")
    assert (after.parts, after.labels, after.sources) == (
        before.parts,
        before.labels,
        before.sources,
    )
    assert (after.floor, after.about) == (before.floor, before.about)
    np.testing.assert_allclose(after.weights, before.weights)
    np.testing.assert_allclose(after.thresholds["precision"], [0.75, 0.875])
    assert after.head is not None
    assert after.head.labels == ("Car",)
    np.testing.assert_allclose(after.head.weight, 0.5)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_file_without_head(tmp_path: Path) -> None:
    save_calibration(tmp_path / "a.safetensors", calibration())
    assert load_calibration(tmp_path / "a.safetensors").head is None


def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(WeightsError, match=r"a\.safetensors: there is no such calibration file"):
        load_calibration(path)
    save_calibration(path, with_head())
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(WeightsError, match="cut short"):
        load_calibration(path)
    save_file({"x": np.zeros(2, np.float32)}, path)
    with pytest.raises(WeightsError, match="is not the calibration of an ear"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.zeros((2, 2), np.float32)}, "do not fit"),
        ({"bias": np.array([np.nan, 0], np.float32)}, "not all numbers are finite"),
        ({"head.bias": np.zeros(2, np.float32)}, "a head of"),
        ({"threshold.f1": None}, "do not fit"),
    ],
)
def test_tensors_that_do_not_fit(
    tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    path = tmp_path / "a.safetensors"
    save_calibration(path, with_head())
    arrays = load_file(path) | change
    metadata = {KEY: _metadata(path)}
    save_file({k: v for k, v in arrays.items() if v is not None}, path, metadata)
    with pytest.raises(WeightsError, match=message):
        load_calibration(path)


def test_a_header_with_an_unknown_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_calibration(path, calibration())
    table = json.loads(_metadata(path)) | {"colour": "red"}
    save_file(load_file(path), path, {KEY: json.dumps(table)})
    with pytest.raises(WeightsError, match="its header cannot be read"):
        load_calibration(path)


def _metadata(path: Path) -> str:
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return str(json.loads(raw[8 : 8 + length])["__metadata__"][KEY])
