"""A writer of TFRecord files, from the published formats; it shares no code with the reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np


def slow_crc(data: bytes) -> int:
    """CRC-32C bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = slow_crc(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(record: bytes) -> bytes:
    head = struct.pack("<Q", len(record))
    return head + masked(head) + record + masked(record)


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def of_bytes(*values: bytes) -> bytes:
    return block(1, b"".join(block(1, v) for v in values))


def of_floats(*values: float) -> bytes:
    return block(2, block(1, struct.pack(f"<{len(values)}f", *values)))


def of_integers(*values: int) -> bytes:
    return block(3, block(1, b"".join(varint(v) for v in values)))


def entry(name: str, body: bytes) -> bytes:
    return block(1, block(1, name.encode()) + block(2, body))


def example(video: str, labels: Sequence[int], vectors: Sequence[bytes]) -> bytes:
    context = entry("video_id", of_bytes(video.encode())) + entry("labels", of_integers(*labels))
    context += entry("start_time_seconds", of_floats(30.0)) + entry(
        "end_time_seconds", of_floats(40.0)
    )
    return block(1, context) + block(
        2, entry("audio_embedding", b"".join(block(1, of_bytes(v)) for v in vectors))
    )


def vectors(seed: int, count: int = 10, width: int = 128) -> list[bytes]:
    return [
        row.tobytes()
        for row in np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)
    ]
