"""TFRecord files of SequenceExamples, read without TensorFlow: frames with their masked CRC-32C, and just enough protocol buffers."""

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
    """A list of values of one kind; the other kinds are empty."""

    bytes: tuple[bytes, ...] = ()
    floats: tuple[float, ...] = ()
    integers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sequence:
    """A `tf.SequenceExample`: features of the whole, and lists of features along time."""

    context: dict[str, Feature]
    lists: dict[str, list[Feature]]


def read_sequences(path: Path) -> Iterator[Sequence]:
    """Every example of a file, after all of the file has been found whole."""
    for number, record in enumerate(read_records(path)):
        try:
            yield parse_sequence(record)
        except (ValueError, IndexError, struct.error, UnicodeDecodeError) as error:
            raise StorageError(
                sentence(path, f"record {number} is no SequenceExample ({error})", AGAIN)
            ) from error


def read_records(path: Path) -> list[bytes]:
    """The records of a TFRecord file: 8 bytes of length, 4 of its checksum, the data, 4 of theirs, again and again."""
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
            raise StorageError(
                sentence(path, f"record {wrong[0]} is damaged (its checksum does not fit)", AGAIN)
            )
    return bodies


def _spans(path: Path, data: bytes) -> Iterator[tuple[int, int]]:
    at = number = 0
    while at < len(data):
        if at + 12 > len(data):
            raise StorageError(
                sentence(path, f"is cut short in the head of record {number}", AGAIN)
            )
        (length,) = struct.unpack_from("<Q", data, at)
        if masked_crc32c([data[at : at + 8]])[0] != _u32(
            data, at + 8
        ):  # or a wild length would look like a short file
            raise StorageError(
                sentence(
                    path,
                    f"is no TFRecord file, or record {number} is damaged (its length does not fit)",
                    AGAIN,
                )
            )
        start, end = at + 12, at + 12 + length
        if end + 4 > len(data):
            raise StorageError(sentence(path, f"is cut short in record {number}", AGAIN))
        yield start, end
        at, number = end + 4, number + 1


def masked_crc32c(blocks: list[bytes]) -> NDArray[np.uint32]:
    """CRC-32C of each block, rotated and shifted as TFRecord wants it: ((crc >> 15) | (crc << 17)) + 0xa282ead8."""
    crc = crc32c(blocks)
    turned = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return turned + np.uint32(0xA282EAD8)  # modulo 2**32, as arrays wrap


def crc32c(blocks: list[bytes]) -> NDArray[np.uint32]:
    """CRC-32C (Castagnoli) of many blocks side by side: two bytes of every block a step, the longest blocks first."""
    lengths = np.array([len(b) for b in blocks], np.int64)
    order = np.argsort(-lengths, kind="stable")
    lanes = np.zeros((int(lengths.max(initial=0) + 1) // 2, len(blocks)), "<u2")  # (steps, blocks)
    for lane, block in enumerate(order):
        even = len(blocks[block]) // 2
        lanes[:even, lane] = np.frombuffer(blocks[block], "<u2", even)
    crc, table, pairs = (
        np.full(len(blocks), 0xFFFFFFFF, np.uint32),
        _table_of_pairs(),
        lengths[order] // 2,
    )
    busy = len(blocks)
    for step, row in enumerate(lanes):
        while busy and pairs[busy - 1] <= step:
            busy -= 1
        now = crc[:busy]
        crc[:busy] = table[(now ^ row[:busy]) & np.uint32(0xFFFF)] ^ (now >> np.uint32(16))
    single = _table_of_bytes()
    for odd in np.flatnonzero(lengths[order] % 2):  # the odd last byte
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
    """Two bytes at once: the second's table applied to what the first left."""
    single = _table_of_bytes()
    pairs = np.arange(65536, dtype=np.uint32)
    for _ in range(2):
        pairs = single[pairs & 0xFF] ^ (pairs >> 8)
    return pairs


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


# Protocol buffers: a message is a run of (key, value); the key's lowest three bits say how the value is written.

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def parse_sequence(record: bytes) -> Sequence:
    """SequenceExample {1: context Features, 2: FeatureLists}; both are maps from names."""
    context: dict[str, Feature] = {}
    lists: dict[str, list[Feature]] = {}
    for number, value in fields(record):
        for _, entry in fields(_message(value)):
            name, body = _entry(entry)
            if number == 1:
                context[name] = parse_feature(body)
            elif number == 2:
                lists[name] = [parse_feature(_message(feature)) for _, feature in fields(body)]
    return Sequence(context, lists)


def parse_feature(message: bytes) -> Feature:
    """Feature {1: BytesList, 2: FloatList, 3: Int64List}; each is a list under 1, numbers packed or one by one."""
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
    """The fields of a message: numbers for varints, bytes for all else."""
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
            raise ValueError(f"a field of unknown kind {kind}")
        if at + size > len(message):
            raise ValueError("a field reaches past its message")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    byte = message[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        at += 1
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
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
        raise ValueError("a number where a message should be")  # noqa: TRY004 - a defect of the data, not of a caller
    return value


def _entry(value: bytes | int) -> tuple[str, bytes]:
    """An entry of a map {1: key, 2: value}."""
    name, body = "", b""
    for number, part in fields(_message(value)):
        if number == 1:
            name = _message(part).decode()
        elif number == 2:
            body = _message(part)
    return name, body
