"""The local server of a review: this machine only, a token in every address, nothing cached."""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.review.page import policy
from av_tagger.review.replies import FileReply, Reply

HOST = "127.0.0.1"
MOST_BYTES = 20_000  # of a request's body
IDLE_SECONDS = 60.0  # of a connection
LINGER_SECONDS, MOST_DRAINED = 2.0, 1 << 20  # of a body that was refused and is still sent


@dataclass(frozen=True)
class Asked:
    """A request that was let in: the words of its address, and the fields of its JSON."""

    words: list[str]
    fields: dict[str, Any]


Route = Callable[[Asked], Reply]


@dataclass(frozen=True)
class Routes:
    """What can be asked, by the first word after the token."""

    get: Mapping[str, Route]
    post: Mapping[str, Route]


@dataclass
class ReviewServer:
    """Listens on 127.0.0.1; port 0 is a free one."""

    routes: Routes
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    http: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"server_of": self})
        try:
            self.http = _Http((HOST, self.port), handler)
        except OSError as error:
            raise UsageError(
                f"port {self.port} cannot be opened ({error.strerror}); choose another --port"
            ) from error
        self.port = self.http.server_address[1]

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/{self.token}/"

    def serve(self) -> None:
        """Until `stop` or Ctrl-C."""
        try:
            self.http.serve_forever(poll_interval=0.2)
        finally:
            self.http.server_close()

    def stop(self) -> None:
        self.http.shutdown()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False  # another program must not take over the port

    def shutdown_request(self, request: Any) -> None:
        """Take what a client still sends: closing on it would reset the connection, and the client
        could lose the answer.
        """
        until, left = time.monotonic() + LINGER_SECONDS, MOST_DRAINED
        with suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            while left > 0 and (seconds := until - time.monotonic()) > 0:
                request.settimeout(seconds)
                piece = request.recv(1 << 16)
                if not piece:
                    break
                left -= len(piece)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes a connection early is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server_of: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "av-tag", ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        self._answer(self.server_of.routes.get)

    def do_HEAD(self) -> None:
        self._answer(self.server_of.routes.get)

    def do_POST(self) -> None:
        self._answer(self.server_of.routes.post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base
        """Nothing: addresses hold the token."""

    def _answer(self, routes: Mapping[str, Route]) -> None:
        try:
            body = self._routed(routes)
        except AvTaggerError as error:
            body = Reply.of_json({"error": str(error)}, 422)
        except (ValueError, TypeError, LookupError, RecursionError):
            body = Reply.of_text("the request cannot be read", 400)
        self._send(body)

    def _routed(self, routes: Mapping[str, Route]) -> Reply:
        if not self._is_local():
            return self._refused("this server answers to 127.0.0.1 only", 421)
        token, *words = urlsplit(self.path).path.removeprefix("/").split("/")
        expected = self.server_of.token.encode()
        if not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), expected):
            return self._refused("the address needs its token; use the one that av-tag printed")
        if not self._is_ours():
            return self._refused("requests of other pages are refused")
        route = routes.get(words[0] if words else "?")
        if route is None:
            return self._refused("there is no such page", 404)
        return route(Asked(words[1:], self._fields() if self.command == "POST" else {}))

    def _refused(self, text: str, code: int = 403) -> Reply:
        self.close_connection = True  # a body may wait that was not read
        return Reply.of_text(text, code)

    def _is_local(self) -> bool:
        """Against names that an attacker lets point to this machine (DNS rebinding)."""
        port = self.server_of.port
        hosts = self.headers.get_all("Host") or []
        return hosts in ([f"{HOST}:{port}"], [f"localhost:{port}"])

    def _is_ours(self) -> bool:
        """Browsers name the page that asks; a request that changes something is JSON."""
        port = self.server_of.port
        origins = (None, f"http://{HOST}:{port}", f"http://localhost:{port}")
        site = self.headers.get("Sec-Fetch-Site", "none")
        json_ = self.command != "POST" or self.headers.get_content_type() == "application/json"
        return self.headers.get("Origin") in origins and site in ("same-origin", "none") and json_

    def _fields(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not (length.isdecimal() and len(length) <= 9 and int(length) <= MOST_BYTES):
            self.close_connection = True  # what is not read is not the next request
            raise ValueError("too long, or of unknown length")
        found = json.loads(self.rfile.read(int(length)))
        if not isinstance(found, dict):
            raise TypeError("an object is expected")
        return found

    def _send(self, body: Reply) -> None:
        code, headers = body.code, dict(body.headers)
        pieces: Iterator[bytes]
        if isinstance(body, FileReply):
            code, headers, pieces = body.part(self.headers.get("Range"))
        else:
            pieces = iter((body.content,))
        self.send_response(code)
        for name, value in (_SAFE | {"Content-Security-Policy": policy()} | headers).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            for piece in pieces:
                self.wfile.write(piece)


_SAFE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
