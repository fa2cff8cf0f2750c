"""TensorFlow checkpoints (tensor bundles) read without TensorFlow: index table and data shard.

Lengths are checked against the input, blocks and tensors against their CRC-32C. Memory is bounded
by the size of the input. Supported: uncompressed LevelDB tables, one shard, float32 tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from av_tagger.crc32c import masked_crc32c
from av_tagger.protobuf import as_bytes, as_int, fields, varint

FOOTER = 48  # bytes: two block handles, padding, and the magic number
MAGIC = 0xDB4775248B80FB57
TRAILER = 5  # bytes after every block: its compression and its checksum
LONGEST_KEY = 1024
MOST_ENTRIES = 100_000
MOST_DIMENSIONS = 8
FLOAT32 = 1
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


class CheckpointError(ValueError):
    """The input is not a checkpoint that can be read, or it is damaged."""


@dataclass(frozen=True)
class TensorEntry:
    """A BundleEntryProto: where a tensor lies in the data shard."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = 0
    sliced: bool = False


def read_checkpoint(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Float32 variables by name, without the suffix `/.ATTRIBUTES/VARIABLE_VALUE`."""
    try:
        entries = {name: _entry(value) for name, value in read_table(index).items() if name}
    except (ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(str(error)) from error
    floats = {name.removesuffix(SUFFIX): e for name, e in entries.items() if e.dtype == FLOAT32}
    for name, entry in floats.items():
        _check_entry(name, entry, len(data))
    if sum(entry.size for entry in floats.values()) > len(data):
        raise CheckpointError("tensors overlap in the data shard")
    return _tensors(floats, memoryview(data))


def read_table(table: bytes) -> dict[str, bytes]:
    """The keys and values of a LevelDB table; the empty key holds a checkpoint's header."""
    found = {key.decode(): value for key, value in table_entries(table)}
    _check_header(found.get("", b""))
    return found


def table_entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a LevelDB table in their order."""
    footer = table[-FOOTER:]
    if len(footer) < FOOTER or int.from_bytes(footer[-8:], "little") != MAGIC:
        raise CheckpointError("the index does not end like a LevelDB table")
    _, at = _handle(footer, 0)
    root, _ = _handle(footer, at)
    count = 0
    for _, handle in _block_entries(_block(table, root)):
        for entry in _block_entries(_block(table, _handle(handle, 0)[0])):
            yield entry
            count += 1
            if count > MOST_ENTRIES:
                raise CheckpointError(f"the index has more than {MOST_ENTRIES} entries")


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """A block's offset and size, and the position after them."""
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(table: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    if offset + size + TRAILER > len(table) - FOOTER:
        raise CheckpointError("a block reaches past the end of the index")
    block, end = table[offset : offset + size + 1], offset + size + 1
    if int(masked_crc32c([block])[0]) != int.from_bytes(table[end : end + 4], "little"):
        raise CheckpointError(f"the checksum of the index block at {offset} does not match")
    if block[-1]:
        raise CheckpointError("the index is compressed")
    return block[:-1]


def _block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Prefix-compressed entries: shared, unshared and value length, then the bytes."""
    restarts = int.from_bytes(block[-4:], "little") if len(block) >= 4 else -1
    end = len(block) - 4 * (restarts + 1)
    if restarts < 0 or end < 0:
        raise CheckpointError("an index block has no restart offsets")
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or shared + unshared > LONGEST_KEY or at + unshared + length > end:
            raise CheckpointError("an index entry does not fit its block")
        key = key[:shared] + block[at : at + unshared]
        at += unshared + length
        yield key, block[at - length : at]


def _check_header(header: bytes) -> None:
    """BundleHeaderProto {1: shards, 2: endianness, 0 for little}."""
    values = {number: as_int(value) for number, value in fields(header) if number in (1, 2)}
    if values.get(1) != 1 or values.get(2, 0) != 0:
        raise CheckpointError("only checkpoints of one little-endian shard are read")


def _entry(message: bytes) -> TensorEntry:
    """BundleEntryProto {1: dtype, 2: shape, 3: shard, 4: offset, 5: size, 6: CRC, 7: slices}."""
    values = dict(fields(message))
    dtype, shard, offset, size, checksum = (as_int(values.get(n, 0)) for n in (1, 3, 4, 5, 6))
    shape = tuple(
        _dimension(as_bytes(d)) for n, d in fields(as_bytes(values.get(2, b""))) if n == 2
    )
    return TensorEntry(dtype, shape, shard, offset, size, checksum, sliced=7 in values)


def _dimension(message: bytes) -> int:
    """TensorShapeProto.Dim {1: size}."""
    return next((as_int(value) for number, value in fields(message) if number == 1), 0)


def _check_entry(name: str, entry: TensorEntry, length: int) -> None:
    if entry.shard or entry.sliced or len(entry.shape) > MOST_DIMENSIONS:
        raise CheckpointError(f"{name} is stored in parts")
    if entry.size != 4 * math.prod(entry.shape) or entry.offset + entry.size > length:
        raise CheckpointError(
            f"{name} does not fit the data: shape {entry.shape}, {entry.size} bytes"
        )


def _tensors(entries: dict[str, TensorEntry], data: memoryview) -> dict[str, NDArray[np.float32]]:
    parts = [data[e.offset : e.offset + e.size] for e in entries.values()]
    stored = np.array([e.checksum for e in entries.values()], np.uint32)
    for name, right in zip(entries, masked_crc32c(parts) == stored, strict=True):
        if not right:
            raise CheckpointError(f"the checksum of {name} does not match")
    named = zip(entries.items(), parts, strict=True)
    return {name: np.frombuffer(part, "<f4").reshape(e.shape) for (name, e), part in named}
