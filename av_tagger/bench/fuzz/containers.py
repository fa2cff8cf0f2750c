"""Where numbers and elements lie: MP4 boxes, EBML, RIFF, Ogg pages, ADTS frames, zip entries."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from av_tagger.bench.fuzz.mutate import Number, Structure

BOXES_OF_BOXES = frozenset(
    re.findall(rb"\w+", b"moov trak mdia minf stbl edts dinf mvex moof traf udta ilst mfra")
)
EBML_PARENTS = frozenset(
    map(
        bytes.fromhex,
        re.findall(
            r"\w+",
            "1a45dfa3 18538067 1549a966 1654ae6b ae e0 e1 1f43b675 a0 1c53bb6b bb b7 114d9b74 "
            "4dbb 1254c367 7373 63c0 67c8",
        ),
    )
)
MOST = 2000  # numbers and elements of one file that are looked at
WORDS = 64  # bytes of a box or chunk that are taken for numbers
DEEPEST = 12


def mp4(data: bytes) -> Structure:
    """Boxes at every depth; the first bytes of each are taken for numbers of four bytes."""
    numbers: list[Number] = []
    elements: list[tuple[int, int]] = []

    def walk(start: int, end: int, depth: int) -> None:
        while start + 8 <= end and len(elements) < MOST and depth < DEEPEST:
            size, name = struct.unpack_from(">I4s", data, start)
            stop = min(end, start + max(size, 8))
            elements.append((start, stop))
            numbers.append(Number(start, 4))
            if name in BOXES_OF_BOXES:
                walk(start + 8, stop, depth + 1)
            else:
                last = min(stop, start + 8 + WORDS) - 3
                numbers.extend(Number(at, 4) for at in range(start + 8, last, 4))
            start = stop

    walk(0, len(data), 0)
    return Structure(tuple(numbers), tuple(elements))


def ebml(data: bytes) -> Structure:
    """Elements at every depth: their sizes, and all values of up to eight bytes."""
    numbers: list[Number] = []
    elements: list[tuple[int, int]] = []

    def walk(start: int, end: int, depth: int) -> None:
        while start < end and len(elements) < MOST and depth < DEEPEST:
            width = _vint_width(data, start)
            name, at = data[start : start + width], start + width
            size_width = _vint_width(data, at)
            if not width or not size_width or at + size_width > end:
                return
            size = int.from_bytes(data[at : at + size_width], "big") & ((1 << 7 * size_width) - 1)
            inside, stop = at + size_width, min(end, at + size_width + size)
            elements.append((start, stop))
            numbers.append(Number(at, size_width))
            if name in EBML_PARENTS:
                walk(inside, stop, depth + 1)
            elif inside < stop <= inside + 8:
                numbers.append(Number(inside, stop - inside))
            start = stop

    walk(0, len(data), 0)
    return Structure(tuple(numbers), tuple(elements))


def _vint_width(data: bytes, at: int) -> int:
    """Bytes of a number of variable length; 0 where there is none."""
    first = data[at] if at < len(data) else 0
    return 9 - first.bit_length() if first else 0


def riff(data: bytes) -> Structure:
    """Chunks with their sizes; the fields of `fmt ` have two and four bytes."""
    numbers = [Number(4, 4, "little")]
    elements: list[tuple[int, int]] = []
    start = 12
    while start + 8 <= len(data) and len(elements) < MOST:
        name, size = struct.unpack_from("<4sI", data, start)
        stop = min(len(data), start + 8 + size + size % 2)
        elements.append((start, stop))
        numbers.append(Number(start + 4, 4, "little"))
        if name == b"fmt ":
            widths = ((0, 2), (2, 2), (4, 4), (8, 4), (12, 2), (14, 2), (16, 2), (18, 2), (20, 4))
            numbers += [
                Number(start + 8 + at, width, "little")
                for at, width in widths
                if start + 8 + at + width <= stop
            ]
        start = stop
    return Structure(tuple(n for n in numbers if n.start + n.length <= len(data)), tuple(elements))


def ogg(data: bytes) -> Structure:
    """Pages with the numbers of their headers, and the first bytes of the first packets."""
    starts = _all(b"OggS", data)
    fields = ((4, 1), (5, 1), (6, 8), (14, 4), (18, 4), (26, 1), (27, 1))
    numbers = [
        Number(start + at, width, "little")
        for start in starts
        for at, width in fields
        if start + at + width <= len(data)
    ]
    for start in starts[:3]:
        inside = start + 28
        numbers += [
            Number(at, 4, "little") for at in range(inside, min(inside + WORDS, len(data) - 4), 4)
        ]
    return Structure(tuple(numbers), _between(starts, len(data)))


def with_ogg_checksums(data: bytes) -> bytes:
    """Every page gets the checksum of what is in it: otherwise damage is skipped unread."""
    found = bytearray(data)
    for start, end in _between(_all(b"OggS", data), len(data)):
        if end - start < 27:
            continue
        segments = found[start + 26]
        length = 27 + segments + sum(found[start + 27 : min(end, start + 27 + segments)])
        page = found[start : min(end, start + length)]
        page[22:26] = bytes(4)
        struct.pack_into("<I", found, start + 22, _ogg_crc(page))
    return bytes(found)


def _ogg_crc(page: bytes | bytearray) -> int:
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
    return crc


def _crc_row(value: int) -> int:
    for _ in range(8):
        value = (value << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if value >> 31 else 0)
    return value


_CRC = tuple(_crc_row(byte << 24) for byte in range(256))


def adts(data: bytes) -> Structure:
    """Frames of AAC with their headers of seven bytes."""
    starts: list[int] = []
    at = 0
    while at + 7 <= len(data) and data[at] == 0xFF and data[at + 1] & 0xF0 == 0xF0:
        starts.append(at)
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        at += max(7, length)
    numbers = [Number(start + k, 1) for start in starts[:MOST] for k in range(1, 7)]
    return Structure(tuple(numbers), _between(starts, len(data)))


def zipped(data: bytes) -> Structure:
    """Entries and directories of a zip archive: a wheel, a torch file, an array archive."""
    signatures = {b"PK\3\4": (4, 26), b"PK\1\2": (4, 42), b"PK\5\6": (4, 18)}
    starts = sorted(at for name in signatures for at in _all(name, data))
    numbers = [
        Number(start + at, 2, "little")
        for start in starts
        for at in range(*signatures[data[start : start + 4]], 2)
        if start + at + 2 <= len(data)
    ]
    return Structure(tuple(numbers), _between(starts, len(data)))


def pages(data: bytes) -> Structure:
    """Numbers of the head of a database or another file of binary tables."""
    last = min(len(data), 512)
    return Structure(
        tuple(Number(at, 2) for at in range(0, last - 1, 2)), tuple(_blocks(len(data)))
    )


def _blocks(size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, 4096):
        yield start, min(size, start + 4096)


def _all(mark: bytes, data: bytes) -> list[int]:
    return [found.start() for found in re.finditer(re.escape(mark), data)][:MOST]


def _between(starts: list[int], end: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip(starts, [*starts[1:], end], strict=True)) if starts else ()
