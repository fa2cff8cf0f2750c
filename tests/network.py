"""A server in memory behind real urllib and http.client; its connections break on purpose."""

from __future__ import annotations

import io
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

PIECE = 128  # bytes that one read of a socket gives

Answer = Callable[[str, dict[str, str]], bytes]  # path and headers of a request to a whole answer

FAULTS: dict[str, Callable[[], BaseException]] = {
    "reset": lambda: ConnectionResetError(104, "Connection reset by peer"),
    "timeout": lambda: TimeoutError("timed out"),
    "tls": lambda: ssl.SSLError(1, "[SSL: DECRYPTION_FAILED] decryption failed or bad record mac"),
}
KINDS = (*FAULTS, "end", "flip")


@dataclass
class Network:
    """Connects to `answer`; operation number `at` (connect, send, read) has a fault."""

    answer: Answer
    kind: str = "none"
    at: int = -1
    lasting: bool = False  # every operation from `at` on has it
    operations: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def faulty(self) -> bool:
        """Count one operation; raise its fault, or say that it must be played by the caller."""
        here, self.operations = self.operations, self.operations + 1
        if here != self.at and not (self.lasting and here > self.at >= 0):
            return False
        if self.kind in FAULTS:
            error = FAULTS[self.kind]()
            raise error
        return True

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(socket, "create_connection", self.connect)

    def connect(self, *_: Any, **__: Any) -> Socket:
        if self.faulty() and self.kind == "end":
            raise ConnectionRefusedError(111, "Connection refused")
        return Socket(self)


class Socket:
    """What http.client uses of a socket."""

    def __init__(self, network: Network) -> None:
        self.network, self.request = network, b""

    def sendall(self, data: bytes) -> None:
        self.network.faulty()
        self.request += data

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        head = self.request.decode("latin-1").split("\r\n")
        path = re.sub(r"https?://[^/]*", "", head[0].split()[1])
        fields = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in fields}
        self.network.requests.append((path, headers))
        return io.BufferedReader(Raw(self.network, self.network.answer(path, headers)))

    def setsockopt(self, *_: Any) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Raw(io.RawIOBase):
    """The bytes of an answer in small pieces."""

    def __init__(self, network: Network, answer: bytes) -> None:
        self.network, self.left = network, answer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        fault = self.network.faulty()
        if fault and self.network.kind == "end":
            return 0
        piece = bytearray(self.left[: min(PIECE, len(buffer))])
        self.left = self.left[len(piece) :]
        if fault and piece:
            piece[len(piece) // 2] ^= 0x55
        buffer[: len(piece)] = piece
        return len(piece)


def http(status: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def serving(body: bytes, etag: str = '"v1"') -> Answer:
    """A server that knows ranges, as those of releases and model hubs do."""

    def answer(path: str, headers: dict[str, str]) -> bytes:
        del path
        found = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        start = int(found[1]) if found and headers.get("if-range", etag) == etag else 0
        ours = {"ETag": etag, "Content-Length": str(len(body) - start)}
        if start:
            ours["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return http("206 Partial Content" if start else "200 OK", ours, body[start:])

    return answer


def chunked(body: bytes) -> Answer:
    """No length, no ranges: pieces that say how long they are."""

    def answer(path: str, headers: dict[str, str]) -> bytes:
        del path, headers
        pieces = [body[i : i + 300] for i in range(0, len(body), 300)]
        coded = b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in pieces)
        return http("200 OK", {"Transfer-Encoding": "chunked"}, coded + b"0\r\n\r\n")

    return answer


def unsized(body: bytes) -> Answer:
    """The end of the connection is the end of the file."""
    return lambda path, headers: http("200 OK", {}, body)


def redirecting(behind: Answer, location: str = "/elsewhere") -> Answer:
    """The first path leads to another, as with releases and model hubs."""

    def answer(path: str, headers: dict[str, str]) -> bytes:
        if path == "/toy.safetensors":
            return http("302 Found", {"Location": location, "Content-Length": "5"}, b"moved")
        return behind(path, headers)

    return answer
