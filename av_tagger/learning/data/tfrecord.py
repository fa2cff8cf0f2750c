"""TFRecord files of SequenceExamples without TensorFlow: framing, CRC-32C, protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import StorageError, sentence

AGAIN = "fetch the file again"
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Feature:
    """A list of bytes, floats or integers; the other two are empty."""

    bytes: tuple[bytes, ...] = ()
    floats: tuple[float, ...] = ()
    integers: tuple[int, ...] = ()


@dataclass(frozen=True)
class SequenceExample:
    """A `tf.SequenceExample`: features of the whole, and lists of features over time."""

    context: dict[str, Feature]
    lists: dict[str, list[Feature]]


def read_sequences(path: Path) -> Iterator[SequenceExample]:
    """The examples of a file; all checksums are verified first."""
    for number, record in enumerate(read_records(path)):
        try:
            yield parse_sequence(record)
        except (ValueError, IndexError, struct.error, UnicodeDecodeError) as error:
            reason = f"record {number} is not a SequenceExample ({error})"
            raise StorageError(sentence(path, reason, AGAIN)) from error


def read_records(path: Path) -> list[bytes]:
    """The records of a TFRecord file: length (8 bytes), its CRC (4), data, CRC of the data (4)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(
            sentence(path, f"cannot be read ({error.strerror})", "check the path")
        ) from error
    spans = list(_spans(path, data))
    heads = [data[start - 12 : start - 4] for start, _ in spans]
    bodies = [data[start:end] for start, end in spans]
    claimed = [(_u32(data, start - 4), _u32(data, end)) for start, end in spans]
    for which, blocks in enumerate((heads, bodies)):
        wrong = np.flatnonzero(
            masked_crc32c(blocks) != np.array([pair[which] for pair in claimed], np.uint32)
        )
        if len(wrong):
            reason = f"record {wrong[0]} is damaged (wrong checksum)"
            raise StorageError(sentence(path, reason, AGAIN))
    return bodies


def _spans(path: Path, data: bytes) -> Iterator[tuple[int, int]]:
    at = number = 0
    while at < len(data):
        if at + 12 > len(data):
            raise StorageError(sentence(path, f"ends in the header of record {number}", AGAIN))
        (length,) = struct.unpack_from("<Q", data, at)
        # Without this check a damaged length would look like a file that ends too early.
        if masked_crc32c([data[at : at + 8]])[0] != _u32(data, at + 8):
            reason = f"is not a TFRecord file, or the length of record {number} is damaged"
            raise StorageError(sentence(path, reason, AGAIN))
        start, end = at + 12, at + 12 + length
        if end + 4 > len(data):
            raise StorageError(sentence(path, f"ends in record {number}", AGAIN))
        yield start, end
        at, number = end + 4, number + 1


def masked_crc32c(blocks: list[bytes]) -> NDArray[np.uint32]:
    """CRC-32C of each block, masked for TFRecord: ((crc >> 15) | (crc << 17)) + 0xa282ead8."""
    crc = crc32c(blocks)
    turned = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return turned + np.uint32(0xA282EAD8)  # arrays wrap: modulo 2**32


def crc32c(blocks: list[bytes]) -> NDArray[np.uint32]:
    """CRC-32C (Castagnoli) of many blocks in parallel, two bytes of each per step."""
    lengths = np.array([len(b) for b in blocks], np.int64)
    order = np.argsort(-lengths, kind="stable")
    lanes = np.zeros((int(lengths.max(initial=0) + 1) // 2, len(blocks)), "<u2")  # (steps, blocks)
    for lane, block in enumerate(order):
        even = len(blocks[block]) // 2
        lanes[:even, lane] = np.frombuffer(blocks[block], "<u2", even)
    crc, table = np.full(len(blocks), 0xFFFFFFFF, np.uint32), _table_of_pairs()
    pairs = lengths[order] // 2  # the longest blocks first
    busy = len(blocks)
    for step, row in enumerate(lanes):
        while busy and pairs[busy - 1] <= step:
            busy -= 1
        now = crc[:busy]
        crc[:busy] = table[(now ^ row[:busy]) & np.uint32(0xFFFF)] ^ (now >> np.uint32(16))
    single = _table_of_bytes()
    for odd in np.flatnonzero(lengths[order] % 2):  # a last single byte
        crc[odd] = single[(int(crc[odd]) ^ blocks[order[odd]][-1]) & 0xFF] ^ (int(crc[odd]) >> 8)
    found = np.empty_like(crc)
    found[order] = crc ^ np.uint32(0xFFFFFFFF)
    return found


@cache
def _table_of_bytes() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


@cache
def _table_of_pairs() -> NDArray[np.uint32]:
    """The table for two bytes at once."""
    single = _table_of_bytes()
    pairs = np.arange(65536, dtype=np.uint32)
    for _ in range(2):
        pairs = single[pairs & 0xFF] ^ (pairs >> 8)
    return pairs


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


# Protocol buffers: a message is a sequence of (key, value); the lowest three bits of a key are
# the encoding of its value.

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def parse_sequence(record: bytes) -> SequenceExample:
    """SequenceExample {1: context Features, 2: FeatureLists}, both maps by name."""
    context: dict[str, Feature] = {}
    lists: dict[str, list[Feature]] = {}
    for number, value in fields(record):
        for _, entry in fields(_message(value)):
            name, body = _entry(entry)
            if number == 1:
                context[name] = parse_feature(body)
            elif number == 2:
                lists[name] = [parse_feature(_message(feature)) for _, feature in fields(body)]
    return SequenceExample(context, lists)


def parse_feature(message: bytes) -> Feature:
    """Feature {1: BytesList, 2: FloatList, 3: Int64List}; numbers may be packed."""
    values: dict[int, list[bytes | int]] = {1: [], 2: [], 3: []}
    for kind, body in fields(message):
        if kind in values:
            values[kind] += [value for _, value in fields(_message(body))]
    floats = [f for v in values[2] for f in _floats(_message(v))]
    integers = [i for v in values[3] for i in ([v] if isinstance(v, int) else _varints(v))]
    return Feature(
        tuple(_message(v) for v in values[1]), tuple(floats), tuple(_signed(i) for i in integers)
    )


def fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message: integers for varints, bytes for everything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == LENGTH:
            size, at = _varint(message, at)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"a field has the unknown encoding {kind}")
        if at + size > len(message):
            raise ValueError("a field extends past its message")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Seven bits per byte, lowest first; the highest bit is set if more follow."""
    byte = message[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        at += 1
        if shift > 63:
            raise ValueError("an integer of more than ten bytes")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift += 7
    return value, at + 1


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _floats(packed: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _message(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("an integer in place of a message")  # noqa: TRY004 - a defect of the data
    return value


def _entry(value: bytes | int) -> tuple[str, bytes]:
    """A map entry {1: key, 2: value}."""
    name, body = "", b""
    for number, part in fields(_message(value)):
        if number == 1:
            name = _message(part).decode()
        elif number == 2:
            body = _message(part)
    return name, body
