"""Weights: search order, states, messages."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from av_tagger import download, weights
from av_tagger.errors import UsageError, WeightsError
from av_tagger.weights import State, WeightsFile

CONTENT = save({"w": torch.arange(5.0)}, {"note": "made by a test"})
SHA = hashlib.sha256(CONTENT).hexdigest()
TOY = WeightsFile(
    "toy",
    "toy.safetensors",
    ("http://127.0.0.1:9/toy.safetensors",),
    licence="CC0-1.0",
    about="a toy",
)


@pytest.fixture(autouse=True)
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of one toy, and empty folders of the test's own."""
    monkeypatch.setattr(weights, "CATALOGUE", {"toy": TOY})
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "site" / "av_tagger" / "weights.py"))
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AV_TAGGER_MIRROR", raising=False)
    monkeypatch.setattr(download, "_unreachable", {})


def known(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> None:
    monkeypatch.setattr(
        weights, "CATALOGUE", {"toy": WeightsFile("toy", "toy.safetensors", TOY.urls, **facts)}
    )


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.safetensors").write_bytes(content)
    return folder / "toy.safetensors"


def test_the_order_of_the_folders(tmp_path: Path) -> None:
    assert weights.locate("toy") is None
    for folder in (
        "cache/weights",
        "site/weights",
        "site/av_tagger/shipped_weights",
        "own",
    ):  # the later one goes before
        path = put(tmp_path / folder)
        assert weights.locate("toy") == path
        assert weights.fetch("toy") == path


def test_several_own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AV_TAGGER_WEIGHTS",
        f"{tmp_path / 'a'}:{tmp_path / 'b'}" if weights.os.pathsep == ":" else f"{tmp_path / 'b'}",
    )
    assert weights.locate("toy") is None
    assert weights.locate("toy") != (path := put(tmp_path / "b"))
    assert weights.locate("toy") == path


def test_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.check("toy") is State.ABSENT
    download.part_of(put(tmp_path / "cache" / "weights")).write_bytes(b"half")
    (tmp_path / "cache" / "weights" / "toy.safetensors").unlink()
    assert weights.check("toy") is State.PARTIAL
    path = put(tmp_path / "own")
    assert weights.check("toy") is State.WHOLE, "the file's own header says so"
    path.write_bytes(CONTENT[:-3])
    assert weights.check("toy") is State.DAMAGED
    path.write_bytes(b"not weights at all")
    assert weights.check("toy") is State.DAMAGED
    path.write_bytes(b"")
    assert weights.check("toy") is State.DAMAGED
    path.write_bytes(CONTENT[:-1] + b"\xff")
    assert weights.check("toy") is State.WHOLE
    known(monkeypatch, sha256=SHA)
    assert weights.check("toy") is State.DAMAGED, "the checksum sees a changed byte"
    path.write_bytes(CONTENT)
    assert weights.check("toy") is State.WHOLE
    known(monkeypatch, size=len(CONTENT) + 1)
    assert weights.check("toy") is State.DAMAGED


def test_a_checksum_recorded_at_the_download_is_checked(tmp_path: Path) -> None:
    path = put(tmp_path / "own")
    (tmp_path / "own" / "toy.safetensors.sha256").write_text(f"{SHA}  toy.safetensors\n")
    assert weights.check("toy") is State.WHOLE
    path.write_bytes(CONTENT[:-1] + b"\xff")
    assert weights.check("toy") is State.DAMAGED


def test_other_formats_cannot_be_verified_without_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "CATALOGUE", {"toy": WeightsFile("toy", "toy.pt")})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "toy.pt").write_bytes(b"anything")
    assert weights.check("toy") is State.UNVERIFIED


def test_the_listing_names_every_file(tmp_path: Path) -> None:
    path = put(tmp_path / "own")
    assert [(row.file.name, row.state, row.path) for row in weights.listing()] == [
        ("toy", State.WHOLE, path)
    ]


def no_socket(*_: Any, **__: Any) -> None:
    raise AssertionError("a socket was opened")


def test_offline_opens_no_socket_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", no_socket)
    monkeypatch.setattr(socket, "create_connection", no_socket)
    with pytest.raises(WeightsError, match="--offline forbids a download") as caught:
        weights.fetch("toy", offline=True)
    for part in (
        TOY.urls[0],
        "toy.safetensors",
        str(tmp_path / "cache" / "weights"),
        "AV_TAGGER_WEIGHTS",
    ):
        assert part in str(caught.value)
    path = put(tmp_path / "own")
    assert weights.fetch("toy", offline=True) == path


def test_unreachable_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be reached") as caught:
        weights.fetch("toy")
    for part in (TOY.urls[0], "toy.safetensors", str(tmp_path / "cache" / "weights")):
        assert part in str(caught.value)


def test_what_comes_with_the_package_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "CATALOGUE", {"toy": WeightsFile("toy", "toy.safetensors")})
    with pytest.raises(WeightsError, match="install the package again"):
        weights.fetch("toy")


def test_a_damaged_file_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    path = put(tmp_path / "own", CONTENT[:-3])
    with pytest.raises(WeightsError, match=r"is damaged.*av-tag weights fetch toy"):
        weights.fetch("toy")
    assert path.read_bytes() == CONTENT[:-3]


def test_the_mirror_is_used_and_a_damaged_cache_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "served" / "folder")
    damaged = put(tmp_path / "cache" / "weights", CONTENT[:-3])

    class Files(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Files, directory=tmp_path / "served")
    ) as server:
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        monkeypatch.setenv("AV_TAGGER_MIRROR", f"http://127.0.0.1:{server.server_port}/folder/")
        seen: list[int] = []
        assert weights.fetch("toy", progress=lambda done, _: seen.append(done)) == damaged
        server.shutdown()
    assert seen[-1] == len(CONTENT)
    assert damaged.read_bytes() == CONTENT
    assert weights.check("toy") is State.WHOLE


def picky(path: Path) -> None:
    """What stands for the content check of an entry without a checksum."""
    if not path.read_bytes().startswith(b"good"):
        raise WeightsError(f"{path}: is not good; fetch it again")


@pytest.mark.parametrize("content", [b"bad", b"good"])
def test_a_wrong_file_without_checksum_does_not_pass_as_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    file = WeightsFile("toy", "toy.pt", TOY.urls, check="tests.test_weights:picky")
    monkeypatch.setattr(weights, "CATALOGUE", {"toy": file})
    path = tmp_path / "cache" / "weights" / "toy.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    download.record_sha256(path)
    if content == b"good":
        assert weights.fetch("toy") == path
        return
    with pytest.raises(WeightsError, match="cannot be reached"):  # it is downloaded again
        weights.fetch("toy")
    with pytest.raises(WeightsError, match=r"toy\.pt: is damaged, and --offline forbids"):
        weights.fetch("toy", offline=True)
    own = tmp_path / "own" / "toy.pt"
    own.parent.mkdir()
    own.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged or incomplete"):  # a user's is kept
        weights.fetch("toy")


def test_a_wrong_file_of_the_right_size_does_not_pass_as_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, sha256=SHA, size=len(CONTENT))
    path = put(tmp_path / "cache" / "weights", CONTENT[:-1] + b"\xff")
    with pytest.raises(WeightsError, match="cannot be reached"):
        weights.fetch("toy")
    path.write_bytes(CONTENT)
    assert weights.fetch("toy") == path


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'toy'"):
        weights.locate("toi")


def test_the_default_cache_is_that_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AV_TAGGER_CACHE")
    assert weights.cache_folder().name == "weights"
    assert "av-tagger" in str(weights.cache_folder())
