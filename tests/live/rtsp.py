"""A small RTSP server on this machine: RTP over the same connection, PCMU sound in real time."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Self

import numpy as np

RATE, PACKET = 8000, 160  # 20 ms
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:track1\r\n"
)


def mu_law(samples: np.ndarray) -> bytes:
    """16-bit samples in [-1, 1] to G.711 mu-law."""
    value = np.clip(samples, -1, 1)
    size = np.log1p(255 * np.abs(value)) / np.log(256)
    code = np.minimum((size * 128).astype(int), 127)
    return bytes((~(np.where(value < 0, 0x80, 0) | code) & 0xFF).astype(np.uint8))


@dataclass
class RtspServer:
    """Serves `sound` once per connection; `drop_after` seconds it breaks the connection off."""

    sound: np.ndarray
    drop_after: tuple[float, ...] = ()  # for one connection after another; then never
    refuse: bool = False
    silent: bool = False  # plays nothing
    pace: float = 1.0  # seconds of time per second of sound
    connections: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.url = f"rtsp://127.0.0.1:{self._socket.getsockname()[1]}/live"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(0.2)
        while not self._stop.is_set():
            request = self._request(connection)
            if not request:
                return
            method = request.split()[0]
            number = next(x for x in request.splitlines() if x.lower().startswith("cseq"))
            connection.sendall(self._answer(method, number).encode())
            if method == "PLAY" and not self.refuse:
                self.connections += 1
                self._play(connection)
                return

    def _request(self, connection: socket.socket) -> str:
        data = b""
        while not data.endswith(b"\r\n\r\n") and not self._stop.is_set():
            try:
                part = connection.recv(4096)
            except TimeoutError:
                continue
            if not part:
                return ""
            data += part
        return data.decode(errors="replace")

    def _answer(self, method: str, number: str) -> str:
        head, body = f"RTSP/1.0 200 OK\r\n{number}\r\n", ""
        if self.refuse and method != "OPTIONS":
            return (
                f"RTSP/1.0 401 Unauthorized\r\n{number}\r\n"
                'WWW-Authenticate: Basic realm="x"\r\n\r\n'
            )
        if method == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        if method == "DESCRIBE":
            body = SDP
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        if method == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        if method in ("SETUP", "PLAY"):
            head += "Session: 1\r\n"
        return head + "\r\n" + body

    def _play(self, connection: socket.socket) -> None:
        if self.silent:
            self._stop.wait(30)
            return
        turn = self.connections - 1
        limit = self.drop_after[turn] if turn < len(self.drop_after) else float("inf")
        began = time.monotonic()
        for n in range(len(self.sound) // PACKET):
            if self._stop.is_set() or n * PACKET / RATE >= limit:
                return
            payload = mu_law(self.sound[n * PACKET : (n + 1) * PACKET])
            header = struct.pack(">BBHII", 0x80, 0, n & 0xFFFF, n * PACKET, 7)
            packet = header + payload
            connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
            ahead = n * PACKET / RATE * self.pace - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
