"""Downloads from a local server that works, fails, hangs or sends something else."""

from __future__ import annotations

import errno
import hashlib
import http.server
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from av_tagger import download
from av_tagger.download import ExpectedFile
from av_tagger.errors import StorageError, UsageError, WeightsError
from tests.ports import closed_port
from tests.waiting import LIMIT

BODY = bytes(range(256)) * 4000  # a megabyte
SHA = hashlib.sha256(BODY).hexdigest()
WHOLE = ExpectedFile(SHA, len(BODY))
UNKNOWN = ExpectedFile()


@dataclass
class Server:
    """What it will do, one word a request (the last one for ever), and what it was asked."""

    script: list[str] = field(default_factory=lambda: ["serve"])
    etag: str = '"v1"'
    ended: threading.Event = field(default_factory=threading.Event)
    ranges: list[str | None] = field(default_factory=list)
    address: str = ""

    def next(self) -> str:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    plan: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.plan.ranges.append(asked)
        getattr(self, "_" + self.plan.next())(int(asked[6:-1]) if asked else 0)

    def _send(
        self, data: bytes, start: int, *, cut: int | None = None, ranged: bool = True
    ) -> None:
        fits = ranged and start and self.headers.get("If-Range", self.plan.etag) == self.plan.etag
        begin = start if fits else 0
        self.send_response(206 if fits else 200)
        if fits:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("ETag", self.plan.etag)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data[begin:] if cut is None else data[begin : begin + cut])
        self.close_connection = True

    def _serve(self, start: int) -> None:
        self._send(BODY, start)

    def _cut(self, start: int) -> None:
        self._send(BODY, start, cut=300_000)

    def _other(self, start: int) -> None:
        self._send(b"x" + BODY[1:], start)

    def _shorter(self, start: int) -> None:
        self._send(BODY[:-1], start)

    def _rangeless(self, start: int) -> None:
        self._send(BODY, start, ranged=False)

    def _hang(self, start: int) -> None:
        self.plan.ended.wait(LIMIT)
        self.close_connection = True

    def _slow(self, start: int) -> None:
        time.sleep(0.3)
        self._send(BODY, start)

    def _missing(self, start: int) -> None:
        self.send_error(404)

    def _broken(self, start: int) -> None:
        self.send_error(500)

    def _unfit(self, start: int) -> None:
        self.send_error(416 if start else 200)

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what some tests are about."""


@pytest.fixture
def server() -> Iterator[Server]:
    plan = Server()
    with Quiet(("127.0.0.1", 0), type("Bound", (Handler,), {"plan": plan})) as running:
        plan.address = f"http://127.0.0.1:{running.server_port}/ear.safetensors"
        threading.Thread(
            target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        yield plan
        plan.ended.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = replace(download.PATIENCE, probe_seconds=LIMIT, read_seconds=LIMIT)
    monkeypatch.setattr(download, "PATIENCE", replace(patient, pause_seconds=0.01))
    monkeypatch.setattr(download, "_unreachable", {})
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "ear.safetensors"


def give_up_after(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(download, "PATIENCE", replace(download.PATIENCE, read_seconds=seconds))


def get(server: Server, target: Path, expected: ExpectedFile = WHOLE) -> bytes:
    download.fetch([server.address], target, expected, by_hand="do it by hand")
    return target.read_bytes()


def leftovers(target: Path) -> set[str]:
    return {p.name.removeprefix(target.name) for p in target.parent.iterdir()} - {"", ".lock"}


def test_a_whole_file_with_progress(server: Server, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    download.fetch([server.address], target, WHOLE, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [d for d, _ in seen] == sorted({d for d, _ in seen})
    assert leftovers(target) == set()


def test_an_unknown_checksum_is_recorded(server: Server, target: Path) -> None:
    assert get(server, target, UNKNOWN) == BODY
    assert download.recorded_sha256(target) == SHA
    assert leftovers(target) == {".sha256"}


@pytest.mark.parametrize("expected", [WHOLE, UNKNOWN])
def test_a_broken_connection_is_continued(
    server: Server, target: Path, expected: ExpectedFile
) -> None:
    server.script = ["cut", "cut", "serve"]
    assert get(server, target, expected) == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_the_next_run_continues_the_download(server: Server, target: Path) -> None:
    server.script = ["cut", "missing"]
    with pytest.raises(WeightsError, match="404"):
        get(server, target)
    assert download.part_of(target).stat().st_size == 300_000
    server.script = ["serve"]
    assert get(server, target) == BODY
    assert server.ranges[-1] == "bytes=300000-"


def test_another_version_on_the_server_starts_again(server: Server, target: Path) -> None:
    target.parent.mkdir()
    download.part_of(target).write_bytes(b"old" * 1000)
    download.part_of(target).with_name(target.name + ".part.etag").write_text('"v0"')
    assert get(server, target, UNKNOWN) == BODY
    assert server.ranges == ["bytes=3000-"]


def test_a_part_of_unknown_origin_is_not_continued(server: Server, target: Path) -> None:
    target.parent.mkdir()
    download.part_of(target).write_bytes(b"old" * 1000)
    assert get(server, target, UNKNOWN) == BODY
    assert server.ranges == [None]


@pytest.mark.parametrize(
    "script",
    [["cut", "rangeless"], ["cut", "unfit", "serve"], ["broken", "serve"], ["hang", "serve"]],
)
def test_failures_that_are_repeated(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch, script: list[str]
) -> None:
    server.script = script
    if "hang" in script:
        give_up_after(monkeypatch, 2.0)
    assert get(server, target) == BODY


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (["missing"], "127.0.0.1: the server answers 404"),
        (["broken"], "the server answers 500"),
        (["hang"], "the connection broke"),
        (["other"], "its file is another one"),
        (["shorter"], f"offers {len(BODY) - 1} bytes where the file has {len(BODY)}"),
    ],
)
def test_failures_say_what_to_do_by_hand(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch, script: list[str], message: str
) -> None:
    server.script = script
    if "hang" in script:
        give_up_after(monkeypatch, 0.2)
    with pytest.raises(WeightsError, match=message) as caught:
        get(server, target)
    assert str(caught.value).startswith("ear.safetensors: cannot be downloaded")
    assert str(caught.value).endswith("do it by hand")
    assert not target.exists()
    assert len(server.ranges) == (1 if script[0] in ("missing", "other", "shorter") else 3)


def test_a_wrong_file_is_not_kept(server: Server, target: Path) -> None:
    server.script = ["other"]
    with pytest.raises(WeightsError):
        get(server, target)
    assert leftovers(target) == set()


def test_the_second_address_is_tried(server: Server, target: Path) -> None:
    server.script = ["missing", "serve"]
    download.fetch([server.address, server.address], target, WHOLE)
    assert target.read_bytes() == BODY


def test_an_unreachable_host_is_probed_once(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = download.is_reachable
    monkeypatch.setattr(download, "is_reachable", lambda a, s: asked.append(a) or real(a, s))
    with closed_port() as port:
        address = f"http://127.0.0.1:{port}/ear.safetensors"
        for message in ("cannot be reached within 60 s", "could not be reached a moment ago"):
            with pytest.raises(WeightsError, match=message):
                download.fetch([address], target, WHOLE)
    assert asked == [address]


def test_a_name_lookup_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released, ended = threading.Event(), threading.Event()

    def look_up(*_: Any, **__: Any) -> None:
        released.wait()
        ended.set()
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", look_up)
    assert not download.is_reachable("http://example.invalid/x", 0.05)
    assert not ended.is_set(), "it waited for the lookup"
    released.set()
    assert ended.wait(LIMIT)


def test_a_proxy_is_probed_instead_of_the_host(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.address.rsplit("/", 1)[0])
    assert download.is_reachable("http://weights.example/x", LIMIT)


def test_two_at_a_time_download_once(server: Server, target: Path) -> None:
    server.script = ["slow"]
    failures: list[BaseException] = []

    def one() -> None:
        try:
            get(server, target)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(server.ranges) == 1
    assert target.read_bytes() == BODY


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match=r"cache: cannot be written .*AV_TAGGER_CACHE"):
        get(server, tmp_path / "cache" / "ear.safetensors")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere"
)
def test_a_folder_that_may_not_be_written(server: Server, target: Path) -> None:
    target.parent.mkdir(mode=0o555)
    with pytest.raises(StorageError, match="permissions"):
        get(server, target)


def test_a_read_only_disk(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="Read-only file system"):
        get(server, target)


def test_a_disk_that_is_too_small_is_found_out_first(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
        get(server, target)
    assert leftovers(target) == set()


def test_a_disk_that_fills_up_during_the_download(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="free some space"):
        get(server, target)
    assert not target.exists()


def test_only_http_and_https(target: Path) -> None:
    with pytest.raises(UsageError, match="http or https"):
        download.fetch(["file:///etc/passwd"], target, WHOLE)
