"""Replies of the server: text, JSON, pictures, and files of which a part is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from av_tagger.errors import StorageError, sentence

PIECE = 1 << 18  # bytes in memory at a time


@dataclass(frozen=True)
class Reply:
    """Content with its headers."""

    content: bytes = b""
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: bytes, kind: str, code: int = 200) -> Reply:
        return cls(content, code, {"Content-Type": kind, "Content-Length": str(len(content))})

    @classmethod
    def of_text(cls, text: str, code: int = 200) -> Reply:
        return cls.of(text.encode(), "text/plain; charset=utf-8", code)

    @classmethod
    def of_json(cls, data: Any, code: int = 200) -> Reply:
        text = json.dumps(data, ensure_ascii=True, allow_nan=False)
        return cls.of(text.encode("ascii"), "application/json", code)


@dataclass(frozen=True)
class FileReply(Reply):
    """A file, of which browsers ask for parts: a jump in a film reads only what it plays."""

    path: Path = Path()
    kind: str = ""

    def part(self, asked: str | None) -> tuple[int, dict[str, str], Iterator[bytes]]:
        """Code, headers and the bytes of the part that the header `Range` asks for."""
        try:
            size = self.path.stat().st_size
            span = _span(asked, size)
            headers = {"Content-Type": self.kind, "Accept-Ranges": "bytes"}
            if span is None:
                headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
                return 416, headers, iter(())
            first, last, code = span
            headers["Content-Length"] = str(last - first + 1)
            if code == 206:
                headers["Content-Range"] = f"bytes {first}-{last}/{size}"
            return code, headers, _read(self.path, first, last - first + 1)
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            raise StorageError(sentence(self.path, reason, "check the file")) from error


def _span(asked: str | None, size: int) -> tuple[int, int, int] | None:
    """First and last byte, and the code; None for a part that the file does not have.

    A header that is no single range of bytes is passed over, as HTTP says.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (asked or "").replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return 0, size - 1, 200
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, size - 1, 206) if length else None
    if last and int(last) < int(first):
        return 0, size - 1, 200
    end = min(int(last) if last else size - 1, size - 1)
    return (int(first), end, 206) if int(first) <= end else None


def _read(path: Path, first: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while length > 0 and (piece := file.read(min(PIECE, length))):
            length -= len(piece)
            yield piece
