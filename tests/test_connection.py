"""One request: its pace, what its errors mean, words of servers."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from av_tagger import connection
from av_tagger.connection import Broken, PacedReader, Patience, Refused, connection_errors, shown
from av_tagger.errors import UsageError


class Clock:
    """Every reading of the clock is `step` seconds after the one before."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Drip(io.RawIOBase):
    """One byte per read."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        given = min(1, self.left)
        buffer[:given] = b"x" * given
        self.left -= given
        return given


def read_all(size: int, seconds_per_byte: float, monkeypatch: pytest.MonkeyPatch) -> bytes:
    clock = Clock(seconds_per_byte)
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=clock))
    patience = Patience(slow_seconds=60.0, least_bytes=100)
    return io.BufferedReader(PacedReader(Drip(size), patience), buffer_size=1).read()


def test_a_slow_drip_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TimeoutError, match="only 61 bytes within 60 s"):
        read_all(10_000, 1.0, monkeypatch)


def test_a_slow_connection_that_is_fast_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read_all(1000, 0.5, monkeypatch)) == 1000


def test_the_end_of_a_short_answer_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read_all(3, 10.0, monkeypatch)) == 3


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError(1, "SSL")])
def test_what_breaks_on_the_way_may_be_repeated(error: Exception) -> None:
    with pytest.raises(Broken, match="the connection broke"), connection_errors():
        raise error


def test_what_is_no_http_is_refused() -> None:
    with pytest.raises(Refused, match="something that is not HTTP"), connection_errors():
        raise ValueError("Port could not be cast to integer")


def test_words_of_a_server_are_one_short_line() -> None:
    assert shown("a\r\n\tb\x1b[31m \x00") == "a b [31m"
    assert shown("x" * 1000) == "x" * connection.LONGEST_REASON + "..."


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "weights",
        "http://",
        "http://host:99999/x",
        "http://[::1/x",
        "http:///x",
    ],
)
def test_addresses_that_cannot_be_asked(address: str) -> None:
    with pytest.raises(UsageError, match=r"is not an http or https address.*AV_TAGGER_MIRROR"):
        connection.check_address(address)


@pytest.mark.parametrize(
    "address", ["http://host/x", "https://user@host:8443/a/b", "http://[::1]/x"]
)
def test_addresses_that_can(address: str) -> None:
    connection.check_address(address)
