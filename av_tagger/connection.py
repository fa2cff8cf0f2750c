"""One HTTP request: http and https only, also after redirects, and never slower than a limit."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from av_tagger.errors import UsageError, in_line

CHUNK = 1 << 18
SCHEMES = ("http", "https")
MOST_DIGITS = 15  # of a Content-Length
LONGEST_REASON = 120  # characters of a server's own words


class Broken(Exception):
    """An attempt that failed and may be repeated."""


class Refused(Exception):
    """An address that does not give the file; repeating is useless."""


@dataclass(frozen=True)
class Patience:
    """Timeouts and retries."""

    probe_seconds: float = 0.7  # for a connection
    read_seconds: float = 15.0  # without any byte
    slow_seconds: float = 60.0  # of waiting, in which `least_bytes` must arrive
    least_bytes: int = 60_000
    attempts: int = 3  # per address
    pause_seconds: float = 0.5  # before the second attempt; doubled for each further attempt
    remember_seconds: float = 60.0  # that a host could not be reached


class PacedReader(io.RawIOBase):
    """The bytes of a connection; a TimeoutError where too few arrive in the time of waiting.

    A timeout of the socket starts again with every byte, so a slow drip would never end.
    """

    def __init__(self, raw: Any, patience: Patience) -> None:
        self._raw, self._patience = raw, patience
        self._waited, self._got = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = time.monotonic()
        count: int | None = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self._got += count or 0
        limit = self._patience
        if count and self._got < limit.least_bytes and self._waited > limit.slow_seconds:
            raise TimeoutError(f"only {self._got} bytes within {limit.slow_seconds:g} s")
        if self._got >= limit.least_bytes:
            self._waited, self._got = 0.0, 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Status line, headers and body are all read at the pace of a `PacedReader`."""

    def __init__(self, sock: Any, *arguments: Any, patience: Patience, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        whole: Any = self.fp
        self.fp = io.BufferedReader(PacedReader(whole.detach(), patience))


class _Http(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, patience: Patience, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.response_class: Any = partial(_Response, patience=patience)


class _Https(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, patience: Patience, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.response_class: Any = partial(_Response, patience=patience)


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self.patience = patience

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        kind: Any = _Http
        return self.do_open(kind, request, patience=self.patience)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self.patience = patience

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        kind: Any = _Https
        return self.do_open(kind, request, patience=self.patience)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The body of a redirect is not read: it could be endless."""
        fp.close()
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in SCHEMES:
            raise Refused(f"redirects to {shown(scheme)}, not to http or https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_address(request: urllib.request.Request, patience: Patience) -> http.client.HTTPResponse:
    """The answer with status and headers; its body is read by `chunks`.

    HTTPError is an answer that is none of 2xx; close it.
    """
    opener = urllib.request.OpenerDirector()  # no handlers of files, FTP or data URLs
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HttpHandler(patience),
        _HttpsHandler(patience),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    with connection_errors():
        answer: http.client.HTTPResponse = opener.open(request, timeout=patience.read_seconds)
    return answer


def chunks(answer: http.client.HTTPResponse, length: int | None) -> Iterator[bytes]:
    """The body in pieces, each as soon as it is there; up to `length`, or to its end."""
    left = CHUNK if length is None else length
    while left:
        with connection_errors():
            piece = answer.read1(min(CHUNK, left))
        if not piece:
            return
        left -= len(piece) if length is not None else 0
        yield piece


@contextlib.contextmanager
def connection_errors() -> Iterator[None]:
    """What breaks on the way is Broken, what a server gets wrong is Refused."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        said = shown(str(error)) or type(error).__name__
        raise Broken(f"the connection broke ({said})") from error
    except ValueError as error:  # an address or header that cannot be read
        raise Refused(f"answers with something that is not HTTP ({shown(str(error))})") from error


def content_length(answer: http.client.HTTPResponse) -> int | None:
    """The announced length of the body; None where there is none."""
    given = {text.strip() for text in answer.headers.get_all("Content-Length") or ()}
    if not given or answer.chunked:
        return None
    text = given.pop()
    if given or re.fullmatch(rf"[0-9]{{1,{MOST_DIGITS}}}", text) is None:
        raise Refused(f"sends an invalid Content-Length ({shown(text)!r})")
    return int(text)


def shown(text: str) -> str:
    """The words of a server, for a message."""
    return in_line(text, LONGEST_REASON)


def is_reachable(address: str, seconds: float) -> bool:
    """Whether the host or its proxy accepts a connection in time, name lookup included."""
    host, port = endpoint(address)
    opened = threading.Event()

    def connect() -> None:
        with (
            contextlib.suppress(OSError, UnicodeError),
            socket.create_connection((host, port), timeout=seconds),
        ):
            opened.set()

    prober = threading.Thread(target=connect, daemon=True)
    prober.start()
    prober.join(seconds)
    return opened.is_set()


def check_address(address: str) -> None:
    """Refuse what is no http or https address; only $AV_TAGGER_MIRROR can give such."""
    try:
        parts = urllib.parse.urlsplit(address)
        usable = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{address}: is not an http or https address; correct $AV_TAGGER_MIRROR")


def endpoint(address: str) -> tuple[str, int]:
    """Host and port that a request for the address connects to: those of its proxy, if any."""
    parts = urllib.parse.urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
