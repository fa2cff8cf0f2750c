"""Downloads one file: resumed, verified, and there completely or not at all.

The client of huggingface_hub does the same for one hub; this one serves every address, mirrors and
proxies, and says within a second that a host cannot be reached.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from av_tagger.connection import (
    Broken,
    Patience,
    Refused,
    check_address,
    chunks,
    content_length,
    endpoint,
    is_reachable,
    open_address,
    shown,
)
from av_tagger.errors import WeightsError
from av_tagger.exclusive import exclusive

Progress = Callable[[int, int | None], None]
ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')  # a strong one; weak ones allow other bytes
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ExpectedFile:
    """What is known about the file before the download; empty: unknown.

    `check` raises WeightsError for content that cannot be this file. It looks at the file before
    that gets its name, and at a file of this name that is there already.
    """

    sha256: str = ""
    size: int | None = None
    most: int = 1 << 30  # bytes, where the size is not known
    check: Callable[[Path], None] | None = None


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
    found = SHA256.match(_text_of(_record_of(path)))
    return found[0] if found else ""


def record_sha256(path: Path) -> None:
    """Write the file's checksum beside it, for `recorded_sha256` to read."""
    _record_of(path).write_text(f"{sha256_of(path)}  {path.name}\n", encoding="ascii")


def _fetch_from(
    address: str, target: Path, expected: ExpectedFile, progress: Progress | None
) -> None:
    check_address(address)
    _probe(address)
    for attempt in range(PATIENCE.attempts):
        if attempt:
            time.sleep(PATIENCE.pause_seconds * 2 ** (attempt - 1))
        try:
            whole = _attempt(address, part_of(target), expected, progress)
            return _accept(target, expected, whole)
        except Broken:
            if attempt + 1 == PATIENCE.attempts:
                raise
    return None


def _probe(address: str) -> None:
    host = "{}:{}".format(*endpoint(address))
    known = _unreachable.get(host)
    if known is not None and time.monotonic() - known < PATIENCE.remember_seconds:
        raise Refused("could not be reached a moment ago")
    if not is_reachable(address, PATIENCE.probe_seconds):
        _unreachable[host] = time.monotonic()
        raise Refused(f"cannot be reached within {PATIENCE.probe_seconds:g} s")
    _unreachable.pop(host, None)


def _attempt(address: str, part: Path, expected: ExpectedFile, progress: Progress | None) -> bool:
    """One request; whether a whole file of announced size came with it.

    What has arrived is kept for the next attempt.
    """
    have = _resumable(part, expected)
    try:
        answer = open_address(_request(address, part, have), PATIENCE)
    except urllib.error.HTTPError as error:
        _raise_for(error, part)
    with answer:
        start = _start(answer, part, have, expected)
        sized = _write(answer, part, start, expected, progress)
    return sized and not start


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


def _start(answer: http.client.HTTPResponse, part: Path, have: int, expected: ExpectedFile) -> int:
    """The byte with which the body begins."""
    if answer.status == http.HTTPStatus.OK:
        return 0
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        raise Refused(f"the server answers {answer.status} {shown(answer.reason)}")
    ranged = (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")
    same = bool(expected.sha256) or _strong_etag(answer) == _etag(part)
    if have and ranged and same:
        return have
    _forget(part)
    raise Broken("the server sent another range than requested")


def _write(
    answer: http.client.HTTPResponse,
    part: Path,
    have: int,
    expected: ExpectedFile,
    progress: Progress | None,
) -> bool:
    """The body behind the first `have` bytes; never more than announced, expected or plausible.

    Whether the size was known.
    """
    length = content_length(answer)
    total = _total(length, have, expected)
    if total is not None and shutil.disk_usage(part.parent).free < total - have:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if not have:
        part.unlink(missing_ok=True)  # before its ETag changes
    _etag_file(part).write_text(_strong_etag(answer), encoding="ascii")
    most = expected.most if total is None else total
    with part.open("ab" if have else "wb") as file:
        for chunk in chunks(answer, length):
            have += len(chunk)
            if have > most:
                break
            file.write(chunk)
            if progress is not None:
                progress(have, total)
        os.fsync(file.fileno())
    if have > most:
        _forget(part)
        raise Refused(f"sends more than {most} bytes")
    if total is not None and have != total:
        raise Broken(f"the connection ended after {have} of {total} bytes")
    if not have:
        raise Broken("the server sent nothing")
    return total is not None


def _total(length: int | None, have: int, expected: ExpectedFile) -> int | None:
    """The size of the whole file, if anything tells it."""
    total = expected.size if length is None else have + length
    if expected.size is not None and total != expected.size:
        raise Refused(f"offers {total} bytes where the file has {expected.size}")
    if expected.size is None and total is not None and total > expected.most:
        raise Refused(f"offers {total} bytes, more than such a file can have")
    return total


def _raise_for(error: urllib.error.HTTPError, part: Path) -> NoReturn:
    error.close()
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        _forget(part)
        raise Broken("the earlier part does not fit and is downloaded again")
    said = f"the server answers {error.code} {shown(str(error.reason))}"
    if error.code >= 500 or error.code in (
        http.HTTPStatus.REQUEST_TIMEOUT,
        http.HTTPStatus.TOO_MANY_REQUESTS,
    ):
        raise Broken(said)
    raise Refused(said)


def _accept(target: Path, expected: ExpectedFile, whole: bool) -> None:
    """Give the file its name if it is the right one.

    What is wrong can be an earlier part, or a connection that ended early: then it is repeated.
    """
    part = part_of(target)
    digest = sha256_of(part)
    wrong = _why_wrong(part, digest, expected)
    if wrong:
        _forget(part)
        raise Refused(wrong) if whole else Broken(wrong)
    if not expected.sha256:
        _record_of(target).write_text(f"{digest}  {target.name}\n", encoding="ascii")
    part.replace(target)
    _forget(part)


def _why_wrong(path: Path, digest: str, expected: ExpectedFile) -> str:
    if expected.sha256 and digest != expected.sha256:
        wanted = expected.sha256[:12]
        return f"its file is another one (sha256 {digest[:12]}..., expected {wanted}...)"
    try:
        if expected.check is not None:
            expected.check(path)
    except WeightsError as error:
        reason, _, _ = str(error).removeprefix(f"{path}: ").partition("; ")
        return f"its file is another one: it {reason}"
    return ""


def _is_whole(target: Path, expected: ExpectedFile) -> bool:
    """Another process may have downloaded it meanwhile."""
    known = expected.sha256 or recorded_sha256(target)
    digest = sha256_of(target) if known else ""
    return bool(known) and digest == known and not _why_wrong(target, digest, expected)


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _etag_file(part).unlink(missing_ok=True)


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _etag(part: Path) -> str:
    text = _text_of(_etag_file(part))
    return text if ETAG.fullmatch(text) else ""


def _strong_etag(answer: http.client.HTTPResponse) -> str:
    """The ETag; weak ones (W/) do not guarantee the same bytes."""
    etag = answer.headers.get("ETag") or ""
    return etag if ETAG.fullmatch(etag) else ""


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _text_of(path: Path) -> str:
    """The first characters of a small file; empty without it."""
    if not path.is_file():
        return ""
    with path.open(encoding="ascii", errors="replace") as file:
        return file.read(300)
