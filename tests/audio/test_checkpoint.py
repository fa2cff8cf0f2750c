"""Weights files of ears: round trip, header, and everything that is refused."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.checkpoint import KEY, load_checkpoint, save_checkpoint
from av_tagger.audio.header import EarThresholds, Header, read_header
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import StorageError, WeightsError

ARCHITECTURE = EarArchitecture(
    2,
    extractor_settings={"channels": [4, 6], "pools": [[5, 6], [4, 5]], "units": 5},
    pooling="attention",
    margin=3,
)
HEADER = Header(
    "tiny",
    ARCHITECTURE,
    ("Bus", "Car alarm"),
    ("/m/01bjv", "/m/02mfyn"),
    EarThresholds((0.1, 0.2), (0.3, 0.4), (0.5, 0.6)),
    "Apache-2.0",
    "by a test",
    {"micro_f1": 0.5},
)


def network() -> MilNetwork:
    torch.manual_seed(0)
    built = build_network(ARCHITECTURE)
    built.normalise.set(torch.linspace(-9, -5, 60)[None], torch.linspace(1, 3, 60)[None])
    return built.eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ear.safetensors"
    save_checkpoint(path, network(), HEADER)
    return path


def test_round_trip(file: Path) -> None:
    again, header = load_checkpoint(file, HEADER.labels)
    assert header == HEADER
    assert not again.training
    x = torch.randn(1, 1, 80, 60)
    with torch.inference_mode():
        assert torch.equal(again(x).instances, network()(x).instances)
    assert read_header(file) == HEADER


def test_the_header_can_be_read_without_our_code(file: Path) -> None:
    with safe_open(file, framework="np") as opened:
        table = json.loads(opened.metadata()[KEY])
    assert table["architecture"]["frontend"]["rate"] == 20_000
    assert table["labels"] == ["Bus", "Car alarm"]
    assert table["thresholds"] == {"both": [0.1, 0.2], "ear": [0.3, 0.4], "eye": [0.5, 0.6]}
    assert table["licence"] == "Apache-2.0"
    assert table["made"] == "by a test"
    assert table["normalisation"]["mean"][0][0] == -9.0


def test_no_temporary_file_remains_and_the_file_is_readable(file: Path) -> None:
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208
    assert file.stat().st_mode & 0o444 == 0o444


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="taken"):
        save_checkpoint(tmp_path / "taken" / "x.safetensors", network(), HEADER)


def test_a_header_of_another_network_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="another network"):
        save_checkpoint(
            tmp_path / "x.safetensors",
            network(),
            replace(HEADER, architecture=replace(ARCHITECTURE, pooling="max")),
        )


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("Car alarm", "Bus"), "in another order"),
        (("Bus", "Train"), "does not know the class 'Train'"),
        (("Bus",), "knows 2 classes where 1 are asked for"),
    ],
)
def test_other_classes_are_refused(file: Path, wanted: tuple[str, ...], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load_checkpoint(file, wanted)


def refused(path: Path, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        load_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert ";" in text, "no remedy is given"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "there is no such weights file")
    refused(tmp_path, "there is no such weights file")


@pytest.mark.parametrize("length", [0, 4, 100, -1, -1000])
def test_a_truncated_file_is_refused(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])
    refused(file, "cut short or not a safetensors file")


def test_files_of_other_formats_are_refused(tmp_path: Path) -> None:
    text, pickled = tmp_path / "a.safetensors", tmp_path / "b.pt"
    text.write_text("these are not weights, but a long enough text\n" * 9)
    pickled.write_bytes(pickle.dumps({"state": [1, 2, 3]}))
    for path in (text, pickled):
        refused(path, "cut short or not a safetensors file")


def test_safetensors_of_other_programs_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(2)}, other)
    refused(other, "not the weights of an ear")


def rewritten(file: Path, change: dict[str, torch.Tensor | None], **header: object) -> Path:
    with safe_open(file, framework="pt") as opened:
        table = json.loads(opened.metadata()[KEY]) | header
    tensors = {k: v for k, v in (load_file(file) | change).items() if v is not None}
    save_file(tensors, file, {KEY: json.dumps(table)})
    return file


def test_wrong_tensors_are_refused(file: Path) -> None:
    whole = file.read_bytes()
    cases = [
        (
            {"head.dense.bias": torch.zeros(3)},
            r"the tensor 'head.dense.bias' is \(3,\) where its architecture has \(2,\)",
        ),
        ({"head.dense.bias": None}, "lacks the tensor 'head.dense.bias'"),
        ({"extra": torch.zeros(1)}, "holds the foreign tensor 'extra'"),
        ({"head.dense.bias": torch.tensor([0.0, torch.nan])}, "not finite"),
        ({"normalise.mean": torch.zeros(1, 60)}, "disagree on the normalisation"),
    ]
    for change, message in cases:
        file.write_bytes(whole)
        refused(rewritten(file, change), message)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"labels": ["Bus"]}, "2 classes, the header names 1"),
        ({"labels": ["Bus", "Bus"]}, "twice"),
        ({"version": 2}, "update it"),
        ({"colour": "red"}, "'colour'"),
        ({"architecture": None}, "header cannot be read"),
        ({"thresholds": {"ear": [0.5]}}, "1 entries for 2 classes"),
        ({"architecture": {"classes": 2, "extractor": "transformer"}}, "cannot build"),
    ],
)
def test_wrong_headers_are_refused(file: Path, header: dict[str, object], message: str) -> None:
    refused(rewritten(file, {}, **header), message)


HUGE = 10**8
ABSURD = [
    ({"extractor_settings": {"units": HUGE}}, "units must lie between 0 and 65536"),
    ({"extractor_settings": {"units": 65_000}}, r"the tensor .* where its architecture has"),
    ({"extractor_settings": {"layers": HUGE}}, "layers must lie between 0 and 64"),
    ({"extractor_settings": {"channels": [HUGE, 1]}}, "channels must lie between 0 and 65536"),
    ({"extractor_settings": {"channels": [-1, 1]}}, "channels must be positive"),
    (
        {"extractor_settings": {"channels": [1] * 99, "pools": [[1, 1]] * 99}},
        "channels has more than 64 entries",
    ),
    ({"extractor_settings": {"dropout": 2.0}}, "dropout must be in"),
    ({"margin": HUGE}, "margin must lie between 0 and 1000"),
    ({"classes": HUGE}, "classes must lie between 1 and 100000"),
    ({"frontend": {"mels": HUGE}}, "mels must lie between 1 and 512"),
    ({"frontend": {"fft": HUGE}}, "fft must lie between 1 and 65536"),
    ({"frontend": {"rate": HUGE}}, r"rate must lie between 100 and 1e\+06"),
    ({"frontend": {"rate": 1_000_000, "hop": 1}}, "features a second"),
    ({"frontend": {"power": float("nan")}}, "power: expected a finite, plausible number"),
    ({"residual_norm": float("inf")}, "residual_norm: expected a finite, plausible number"),
]


@pytest.mark.parametrize(("architecture", "message"), ABSURD, ids=lambda v: str(v)[:60])
def test_a_header_cannot_ask_for_absurd_networks(
    file: Path, architecture: dict[str, Any], message: str
) -> None:
    """Refused before anything of that size is allocated."""
    table = HEADER.architecture.to_table()
    for name, value in architecture.items():
        table[name] = table[name] | value if isinstance(table[name], dict) else value
    refused(rewritten(file, {}, architecture=table), message)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 7.0])
def test_thresholds_of_a_header_are_probabilities(file: Path, value: float) -> None:
    table = {"both": [0.5, value], "ear": [], "eye": []}
    refused(rewritten(file, {}, thresholds=table), "both.*(finite|must lie between 0 and 1.01)")


def test_a_header_that_is_nested_without_end_is_refused(file: Path) -> None:
    text = json.dumps({"name": "x"})[:-1] + ', "notes": {"a": ' + "[" * 5000 + "]" * 5000 + "}}"
    save_file({"w": torch.zeros(1)}, file, {KEY: text})
    refused(file, "nested more than 32 levels deep")
    save_file({"w": torch.zeros(1)}, file, {KEY: '{"version": ' + "9" * 5000 + "}"})
    refused(file, "header cannot be read")


def test_a_header_that_is_not_a_table_is_refused(file: Path) -> None:
    for text in ("[1]", "not json", "{}"):
        save_file({"w": torch.zeros(1)}, file, {KEY: text})
        refused(file, "header cannot be read")
