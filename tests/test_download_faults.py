"""The connection fails at every read, header and redirect: the right file, or none."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from av_tagger import connection, download
from av_tagger.download import ExpectedFile
from av_tagger.errors import WeightsError, sentence
from av_tagger.state_file import safetensors_shapes
from tests import network
from tests.network import KINDS, Answer, Network

BODY = save({"w": np.arange(200, dtype=np.float32), "b": np.ones(7, np.float32)}, {"n": "toy"})
ADDRESS = "http://weights.example/toy.safetensors"
SERVERS: dict[str, Answer] = {
    "plain": network.serving(BODY),
    "redirect": network.redirecting(network.serving(BODY)),
    "chunked": network.chunked(BODY),
    "unsized": network.unsized(BODY),
}
MOST_OPERATIONS = 200


def check(path: Path) -> None:
    if safetensors_shapes(path) is None:
        raise WeightsError(sentence(path, "is cut short", "fetch it again"))


KNOWN = ExpectedFile(hashlib.sha256(BODY).hexdigest(), len(BODY))
UNKNOWN = ExpectedFile(check=check)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PATIENCE", replace(download.PATIENCE, pause_seconds=0))
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def fetched(server: Network, target: Path, expected: ExpectedFile) -> str:
    """The message if there is none; otherwise the file is the right one."""
    download._unreachable.clear()
    with pytest.MonkeyPatch.context() as patch:
        server.install(patch)
        try:
            download.fetch([ADDRESS], target, expected, by_hand="get it by hand")
        except WeightsError as error:
            return checked(str(error), target)
    assert target.read_bytes() == BODY
    assert leftovers(target) == set() if expected.sha256 else {".sha256"}
    return ""


def checked(message: str, target: Path) -> str:
    """No file, one sentence, nothing left but what the next attempt continues from."""
    assert not target.exists()
    assert message.startswith("toy.safetensors: cannot be downloaded (weights.example: ")
    assert message.endswith("; get it by hand")
    assert message.isprintable()
    assert len(message) < 400
    assert leftovers(target) <= {".part", ".part.etag"}
    return message


def leftovers(target: Path) -> set[str]:
    return {p.name.removeprefix(target.name) for p in target.parent.iterdir()} - {"", ".lock"}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_a_fault_at_every_operation(tmp_path: Path, server: str, kind: str, lasting: bool) -> None:
    """Changed bytes are found by a checksum only; TLS finds them on the way."""
    modes = [KNOWN] if kind == "flip" else [KNOWN, UNKNOWN]
    for number, expected in enumerate(modes):
        for at in range(MOST_OPERATIONS):
            target = tmp_path / f"{number}" / f"{at}" / "toy.safetensors"
            broken = Network(SERVERS[server], kind, at, lasting)
            message = fetched(broken, target, expected)
            if broken.operations <= at:
                assert message == ""
                break
            if message:  # whatever is left does not stand in the way of the next attempt
                assert fetched(Network(SERVERS[server]), target, expected) == ""
            assert lasting or kind == "flip" or at == 0 or message == "", f"{kind} at {at}"
        else:
            pytest.fail("the download did not end")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("ftp://weights.example/toy", "redirects to ftp, not to http or https"),
        ("file:///etc/passwd", "the server answers 302"),
        ("data:,x", "the server answers 302"),
        ("/toy.safetensors", "infinite loop"),
        ("http://[::1/toy", "not HTTP"),
        ("http://weights.example:port/toy", "the connection broke"),
        ("https://", ""),
        ("", ""),
        ("\x07 \x1b[31m", ""),
    ],
)
def test_redirects_lead_to_http_or_nowhere(tmp_path: Path, location: str, words: str) -> None:
    server = Network(network.redirecting(network.serving(BODY), location))
    assert words in fetched(server, tmp_path / "toy.safetensors", KNOWN)


def test_the_body_of_a_redirect_is_not_read(tmp_path: Path) -> None:
    def endless(path: str, headers: dict[str, str]) -> bytes:
        if path == "/toy.safetensors":
            return network.http("302 Found", {"Location": "/elsewhere"}, bytes(1 << 20))
        return network.serving(BODY)(path, headers)

    server = Network(endless)
    assert fetched(server, tmp_path / "toy.safetensors", KNOWN) == ""
    assert server.operations < MOST_OPERATIONS


HEADERS: list[tuple[str, dict[str, str], str]] = [
    ("200 OK", {"Content-Length": "-5"}, "invalid Content-Length ('-5')"),
    ("200 OK", {"Content-Length": "1e3"}, "invalid Content-Length"),
    ("200 OK", {"Content-Length": "9" * 5000}, "invalid Content-Length"),
    ("200 OK", {"Content-Length": str(1 << 40)}, "more than such a file can have"),
    ("200 OK", {"Content-Length": "0"}, "the server sent nothing"),
    ("204 No Content", {}, "the server answers 204 No Content"),
    ("206 Partial Content", {"Content-Range": "bytes 7-9/10"}, "another range"),
    ("301 Moved", {}, "the server answers 301 Moved"),
    ("404 Not\x1b[31m Found", {}, "the server answers 404 Not [31m Found"),
    ("500 " + "x" * 5000, {}, "the server answers 500 xxx"),
    ("999 Strange", {}, "the server answers 999 Strange"),
    ("Hello", {}, "the connection broke"),
]


@pytest.mark.parametrize(("status", "headers", "words"), HEADERS, ids=lambda v: str(v)[:30])
def test_answers_that_make_no_sense(
    tmp_path: Path, status: str, headers: dict[str, str], words: str
) -> None:
    server = Network(lambda path, asked: network.http(status, headers, BODY))
    assert words in fetched(server, tmp_path / "toy.safetensors", UNKNOWN)


def test_two_lengths_that_differ(tmp_path: Path) -> None:
    def answer(path: str, headers: dict[str, str]) -> bytes:
        del path, headers
        return b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"

    message = fetched(Network(answer), tmp_path / "toy.safetensors", UNKNOWN)
    assert "invalid Content-Length" in message


@pytest.mark.parametrize("expected", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_an_endless_body_is_cut_off(tmp_path: Path, expected: ExpectedFile) -> None:
    expected = replace(expected, most=10_000)
    server = Network(network.unsized(BODY + bytes(10 << 20)))
    message = fetched(server, tmp_path / "toy.safetensors", expected)
    assert f"sends more than {expected.size or 10_000} bytes" in message
    assert leftovers(tmp_path / "toy.safetensors") == set()
    assert server.operations * network.PIECE < 3 * connection.CHUNK


def test_content_is_checked_before_a_file_gets_its_name(tmp_path: Path) -> None:
    target = tmp_path / "toy.safetensors"
    message = fetched(Network(network.serving(b"PK\x03\x04 a pickle")), target, UNKNOWN)
    assert "its file is another one: it is cut short" in message
    assert download.recorded_sha256(target) == ""


def test_a_wrong_file_that_was_recorded_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "toy.safetensors"
    target.write_bytes(b"bad")
    download.record_sha256(target)
    assert fetched(Network(network.serving(BODY)), target, UNKNOWN) == ""


@pytest.mark.parametrize("left", [b"", b"   \n", b"\xff\xfe", b'"v1"\r\nX: y', b"x" * 100_000])
def test_records_that_make_no_sense_are_ignored(tmp_path: Path, left: bytes) -> None:
    target = tmp_path / "toy.safetensors"
    target.write_bytes(b"bad")
    (tmp_path / "toy.safetensors.sha256").write_bytes(left)
    download.part_of(target).write_bytes(BODY[:100])
    (tmp_path / "toy.safetensors.part.etag").write_bytes(left)
    server = Network(network.serving(BODY))
    assert fetched(server, target, UNKNOWN) == ""
    assert "range" not in server.requests[0][1]


def test_a_part_with_wrong_bytes_is_downloaded_again(tmp_path: Path) -> None:
    target = tmp_path / "toy.safetensors"
    download.part_of(target).write_bytes(b"wrong" * 20)
    server = Network(network.serving(BODY))
    assert fetched(server, target, KNOWN) == ""
    assert [asked.get("range") for _, asked in server.requests] == ["bytes=100-", None]


@pytest.mark.parametrize("expected", [KNOWN, UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize(
    "wrong", [{"Content-Range": "bytes 5-999/1000"}, {"Content-Range": "items"}, {"ETag": '"v2"'}]
)
def test_a_continuation_that_does_not_fit_starts_again(
    tmp_path: Path, expected: ExpectedFile, wrong: dict[str, str]
) -> None:
    """After half a file comes another range than asked for, or a part of another version."""
    half, rest = BODY[:400], BODY[400:]
    whole = {"ETag": '"v1"', "Content-Length": str(len(BODY))}
    right = {"ETag": '"v1"', "Content-Range": f"bytes 400-{len(BODY) - 1}/{len(BODY)}"}
    part = right | {"Content-Length": str(len(rest))} | wrong
    answers = [
        network.http("200 OK", whole, half),
        network.http("206 Partial Content", part, b"x" * len(rest)),
        network.http("200 OK", whole, BODY),
    ]
    server = Network(lambda path, headers: answers.pop(0))
    assert fetched(server, tmp_path / "toy.safetensors", expected) == ""
    assert [asked.get("range") for _, asked in server.requests] == [None, "bytes=400-", None]
