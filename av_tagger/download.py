"""Downloads one file: resumed, verified, and there completely or not at all.

The client of huggingface_hub does the same for one hub; this one serves every address, mirrors and
proxies, and says within a second that a host cannot be reached.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from av_tagger.errors import UsageError, WeightsError
from av_tagger.exclusive import exclusive

Progress = Callable[[int, int | None], None]
CHUNK = 1 << 18


@dataclass(frozen=True)
class ExpectedFile:
    """What is known about the file before the download; empty: unknown."""

    sha256: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Patience:
    """Timeouts and retries."""

    probe_seconds: float = 0.7  # for a connection
    read_seconds: float = 15.0  # without any byte
    attempts: int = 3  # per address
    pause_seconds: float = 0.5  # before the second attempt; doubled for each further attempt
    remember_seconds: float = 60.0  # that a host could not be reached


class Broken(Exception):
    """An attempt that failed and may be repeated."""


class Refused(Exception):
    """An address that does not give the file; repeating is useless."""


PATIENCE = Patience()
_unreachable: dict[str, float] = {}  # host:port -> time of the failed connection


def fetch(
    addresses: Sequence[str],
    target: Path,
    expected: ExpectedFile,
    progress: Progress | None = None,
    by_hand: str = "",
) -> None:
    """Download from the first address that works. Parallel processes download a file once."""
    reasons: list[str] = []
    with exclusive(target):
        if target.is_file() and _is_whole(target, expected):
            return
        for address in addresses:
            try:
                _fetch_from(address, target, expected, progress)
            except (Broken, Refused) as error:
                reasons.append(f"{urllib.parse.urlsplit(address).hostname}: {error}")
            else:
                return
    raise WeightsError(
        f"{target.name}: cannot be downloaded ({'; '.join(reasons)})"
        + (f"; {by_hand}" if by_hand else "")
    )


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_sha256(path: Path) -> str:
    """The checksum that was recorded at the download; empty if there is none."""
    record = _record_of(path)
    return (
        record.read_text(encoding="ascii").split()[0]
        if record.is_file() and record.stat().st_size
        else ""
    )


def record_sha256(path: Path) -> None:
    """Write the file's checksum beside it, for `recorded_sha256` to read."""
    _record_of(path).write_text(f"{sha256_of(path)}  {path.name}\n", encoding="ascii")


def is_reachable(address: str, seconds: float) -> bool:
    """Whether the host or its proxy accepts a connection in time, name lookup included."""
    host, port = _endpoint(address)
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


def _fetch_from(
    address: str, target: Path, expected: ExpectedFile, progress: Progress | None
) -> None:
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise UsageError(f"{address}: is not http or https; correct $AV_TAGGER_MIRROR")
    _probe(address)
    for attempt in range(PATIENCE.attempts):
        if attempt:
            time.sleep(PATIENCE.pause_seconds * 2 ** (attempt - 1))
        try:
            _attempt(address, part_of(target), expected, progress)
        except Broken:
            if attempt + 1 == PATIENCE.attempts:
                raise
        else:
            return _accept(target, expected)
    return None


def _probe(address: str) -> None:
    host = "{}:{}".format(*_endpoint(address))
    known = _unreachable.get(host)
    if known is not None and time.monotonic() - known < PATIENCE.remember_seconds:
        raise Refused("could not be reached a moment ago")
    if not is_reachable(address, PATIENCE.probe_seconds):
        _unreachable[host] = time.monotonic()
        raise Refused(f"cannot be reached within {PATIENCE.probe_seconds:g} s")
    _unreachable.pop(host, None)


def _attempt(address: str, part: Path, expected: ExpectedFile, progress: Progress | None) -> None:
    """One request. What has arrived is kept; the next attempt continues from there."""
    have = _resumable(part, expected)
    try:
        with urllib.request.urlopen(  # noqa: S310
            _request(address, part, have), timeout=PATIENCE.read_seconds
        ) as answer:
            have = (
                have
                if answer.status == http.HTTPStatus.PARTIAL_CONTENT and _continues(answer, have)
                else 0
            )
            _write(answer, part, have, expected, progress)
    except urllib.error.HTTPError as error:
        _raise_for(error, part)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise Broken(f"the connection broke ({error or type(error).__name__})") from error


def _request(address: str, part: Path, have: int) -> urllib.request.Request:
    request = urllib.request.Request(address, headers={"User-Agent": "av-tagger"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
        if etag := _etag(part):
            request.add_header("If-Range", etag)
    return request


def _resumable(part: Path, expected: ExpectedFile) -> int:
    """Bytes to continue from: none unless ETag or checksum prove that the file is the same."""
    if not part.is_file() or not (expected.sha256 or _etag(part)):
        return 0
    size = part.stat().st_size
    return 0 if expected.size is not None and size >= expected.size else size


def _continues(answer: http.client.HTTPResponse, have: int) -> bool:
    if (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
        return True
    raise Broken("the server sent another range than requested")


def _write(
    answer: http.client.HTTPResponse,
    part: Path,
    have: int,
    expected: ExpectedFile,
    progress: Progress | None,
) -> None:
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length and length.isdigit() else expected.size
    if expected.size is not None and total != expected.size:
        raise Refused(f"offers {total} bytes where the file has {expected.size}")
    if total is not None and shutil.disk_usage(part.parent).free < total - have:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _etag_file(part).write_text(_strong_etag(answer), encoding="utf-8")
    with part.open("ab" if have else "wb") as file:
        for chunk in iter(lambda: answer.read(CHUNK), b""):
            file.write(chunk)
            have += len(chunk)
            if progress is not None:
                progress(have, total)
        os.fsync(file.fileno())
    if total is not None and have != total:
        raise Broken(f"the connection ended after {have} of {total} bytes")


def _raise_for(error: urllib.error.HTTPError, part: Path) -> None:
    error.close()
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.unlink(missing_ok=True)
        raise Broken("the earlier part does not fit and is downloaded again")
    if error.code >= 500 or error.code in (
        http.HTTPStatus.REQUEST_TIMEOUT,
        http.HTTPStatus.TOO_MANY_REQUESTS,
    ):
        raise Broken(f"the server answers {error.code} {error.reason}")
    raise Refused(f"the server answers {error.code} {error.reason}")


def _accept(target: Path, expected: ExpectedFile) -> None:
    part = part_of(target)
    digest = sha256_of(part)
    if expected.sha256 and digest != expected.sha256:
        _forget(part)
        raise Refused(
            f"its file is another one (sha256 {digest[:12]}..., expected {expected.sha256[:12]}...)"
        )
    if not expected.sha256:
        _record_of(target).write_text(f"{digest}  {target.name}\n", encoding="ascii")
    part.replace(target)
    _forget(part)


def _is_whole(target: Path, expected: ExpectedFile) -> bool:
    """Another process may have downloaded it meanwhile."""
    known = expected.sha256 or recorded_sha256(target)
    return bool(known) and sha256_of(target) == known


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _etag_file(part).unlink(missing_ok=True)


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _etag(part: Path) -> str:
    file = _etag_file(part)
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _strong_etag(answer: http.client.HTTPResponse) -> str:
    """The ETag; weak ones (W/) do not guarantee the same bytes."""
    etag = answer.headers.get("ETag") or ""
    return "" if etag.startswith("W/") else etag


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _endpoint(address: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EFBIG,
)
