"""Fixtures for all tests; a test fails on network access and on logged errors."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from av_tagger import download
from tests import ROOT

SHARED = ROOT.parent / "shared"

os.environ.setdefault("MPLBACKEND", "Agg")


SLOW_SECONDS = 3600  # a slow test's limit


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow"):
            if not config.getoption("--slow"):
                item.add_marker(pytest.mark.skip(reason="takes minutes; run with --slow"))
            elif item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need a GPU where there is none; with AV_TAGGER_GPU=1 they fail instead."""
    if item.get_closest_marker("gpu") is None:  # not `keywords`: these have names of folders, too
        return
    import torch

    if not torch.cuda.is_available():
        outcome = pytest.fail if os.environ.get("AV_TAGGER_GPU") else pytest.skip
        outcome("there is no CUDA device that torch can use")


@pytest.fixture
def shared() -> Path:
    """The folder of optional real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the optional data in ../shared is missing")
    return SHARED


def pytest_configure(config: pytest.Config) -> None:
    """Examples of Hypothesis: the same in every run, but with --slow; however long they take.

    Use a cache folder of its own from the start, before any module-wide fixture is made.
    """
    settings.register_profile(
        "any machine",
        deadline=None,
        derandomize=not config.getoption("--slow"),
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("any machine")
    patience = replace(download.PATIENCE, probe_seconds=60.0)  # for a server in the same process
    download.PATIENCE = patience
    folder = tempfile.mkdtemp(prefix="av-tagger-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["AV_TAGGER_CACHE"] = folder
    os.environ["HF_HUB_CACHE"] = f"{folder}/hub"
    for name in ("AV_TAGGER_WEIGHTS", "AV_TAGGER_MIRROR", "AV_TAGGER_OFFLINE"):
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow connections to this machine only; pip asks an index only in tests marked `index`."""
    if request.node.get_closest_marker("index") is None:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in (
            "127.0.0.1",
            "::1",
            "localhost",
        ):
            raise AssertionError(f"a test opened a network connection: {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def no_logged_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that logged an error, unless it checked the log and called `caplog.clear()`."""
    yield
    logged = [
        r.getMessage()
        for when in ("setup", "call")
        for r in caplog.get_records(when)
        if r.levelno >= logging.ERROR
    ]
    assert not logged, f"errors were logged: {logged}"


@pytest.fixture
def depths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with files 1,500 levels below it, and beyond what a path can name."""
    if sys.platform != "linux":
        pytest.skip("other systems name no such paths")
    top = tmp_path / "top"
    top.mkdir()
    (top / "a.wav").touch()
    monkeypatch.chdir(top)
    for level in range(2500):
        if level == 1500:
            Path("deep.wav").touch()
        Path("d").mkdir()
        os.chdir("d")
    Path("lost.wav").touch()
    yield top
    os.chdir(tmp_path)
    subprocess.run(["rm", "-rf", str(top)], check=True)
