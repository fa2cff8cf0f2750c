"""The user's Hugging Face cache: what timm has downloaded is not downloaded again."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from av_tagger import hub_cache, weights
from av_tagger.labels import dcase2017
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eyes import resolve
from av_tagger.video.fetch import fetch_recogniser

ADDRESS = "https://huggingface.co/timm/inception_v4.tf_in1k/resolve/main/model.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The layout that huggingface_hub writes, with one model in it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "hub" / "models--timm--inception_v4.tf_in1k"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    save_file({"weight": torch.zeros(3)}, snapshot / "model.safetensors")
    return snapshot / "model.safetensors"


def test_a_file_in_the_cache_is_found(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(weights.entry("inception_v4"), check="")  # the file here is a stand-in
    monkeypatch.setitem(weights.CATALOGUE, "inception_v4", known)
    assert hub_cache.find(ADDRESS) == hub
    assert weights.locate("inception_v4") == hub
    assert fetch_recogniser(offline=True) == hub
    assert weights.check("inception_v4") is weights.State.WHOLE


def test_our_own_folders_come_first(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path))
    own = tmp_path / weights.entry("inception_v4").filename
    own.write_bytes(hub.read_bytes())
    assert weights.locate("inception_v4") == own


def test_what_is_not_in_the_cache_is_not_found(hub: Path) -> None:
    hub.unlink()
    assert hub_cache.find(ADDRESS) is None
    assert hub_cache.find(ADDRESS.replace("inception_v4", "resnet50")) is None
    assert weights.locate("inception_v4") is None


def test_other_hosts_have_no_such_cache(hub: Path) -> None:
    assert hub_cache.find("https://example.org/timm/inception_v4.tf_in1k/model.safetensors") is None
    assert all(hub_cache.find(url) is None for url in weights.entry("efficientat.mn10").urls)


def test_the_eye_uses_it_under_its_own_name(hub: Path) -> None:
    source = resolve(EyeSettings(recogniser="inception_v4"), dcase2017())
    assert source.recogniser is not None
    assert source.recogniser.file is not None
    assert source.recogniser.file.path == hub
    assert source.recogniser.file.filename == "inception_v4.tf_in1k.safetensors"
    assert source.info.weights is not None
    assert source.info.weights.startswith("inception_v4.tf_in1k.safetensors, ")


def test_without_the_library_there_is_no_cache(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", None)
    assert hub_cache.find(ADDRESS) is None
