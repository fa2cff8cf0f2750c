"""TFRecord files of SequenceExamples without TensorFlow: framing, CRC-32C, protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.crc32c import masked_crc32c
from av_tagger.errors import StorageError, sentence
from av_tagger.protobuf import as_bytes, fields, varint

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


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def parse_sequence(record: bytes) -> SequenceExample:
    """SequenceExample {1: context Features, 2: FeatureLists}, both maps by name."""
    context: dict[str, Feature] = {}
    lists: dict[str, list[Feature]] = {}
    for number, value in fields(record):
        for _, entry in fields(as_bytes(value)):
            name, body = _entry(entry)
            if number == 1:
                context[name] = parse_feature(body)
            elif number == 2:
                lists[name] = [parse_feature(as_bytes(feature)) for _, feature in fields(body)]
    return SequenceExample(context, lists)


def parse_feature(message: bytes) -> Feature:
    """Feature {1: BytesList, 2: FloatList, 3: Int64List}; numbers may be packed."""
    values: dict[int, list[bytes | int]] = {1: [], 2: [], 3: []}
    for kind, body in fields(message):
        if kind in values:
            values[kind] += [value for _, value in fields(as_bytes(body))]
    floats = [f for v in values[2] for f in _floats(as_bytes(v))]
    integers = [i for v in values[3] for i in ([v] if isinstance(v, int) else _varints(v))]
    return Feature(
        tuple(as_bytes(v) for v in values[1]), tuple(floats), tuple(_signed(i) for i in integers)
    )


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = varint(packed, at)
        yield value


def _floats(packed: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _entry(value: bytes | int) -> tuple[str, bytes]:
    """A map entry {1: key, 2: value}."""
    name, body = "", b""
    for number, part in fields(as_bytes(value)):
        if number == 1:
            name = as_bytes(part).decode()
        elif number == 2:
            body = as_bytes(part)
    return name, body
