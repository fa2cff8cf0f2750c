"""CRC-32C (Castagnoli) in numpy, the checksum of TensorFlow's and LevelDB's files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
LONGEST_PIECE = 4096  # bytes


def crc32c(blocks: Sequence[bytes | memoryview]) -> Words:
    """One checksum per block. Blocks are cut into pieces; all pieces advance two bytes per step.

    Leading zeros do not change a register of zero, so blocks are padded at the front to whole
    pieces. The start value 0xFFFFFFFF is folded into the first four bytes.
    """
    longest = max(map(len, blocks), default=0)
    piece = min(LONGEST_PIECE, max(8, 1 << (longest - 1).bit_length()))
    counts = [max(1, -(-max(4, len(block)) // piece)) for block in blocks]
    rows = np.zeros((sum(counts), piece), np.uint8)
    end = 0
    for block, count in zip(blocks, counts, strict=True):
        flat = rows[end : end + count].reshape(-1)
        flat[len(flat) - len(block) :] = np.frombuffer(block, np.uint8)
        end += count
        if len(block) >= 4:
            flat[len(flat) - len(block) :][:4] ^= 0xFF
    registers = _registers(rows).tolist()
    joined = []
    for block, count in zip(reversed(blocks), reversed(counts), strict=True):
        own = registers[len(registers) - count :]
        del registers[len(registers) - count :]
        joined.append(_short(block) if len(block) < 4 else _join(own, piece))
    return np.array(joined[::-1], np.uint32) ^ np.uint32(0xFFFFFFFF)


def masked_crc32c(blocks: Sequence[bytes | memoryview]) -> Words:
    """CRC-32C per block as the files store it: ((crc >> 15) | (crc << 17)) + 0xa282ead8."""
    crc = crc32c(blocks)
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)  # modulo 2**32, as arrays wrap


def _registers(rows: NDArray[np.uint8]) -> Words:
    """The register after each row of bytes, from a register of zero."""
    steps = np.ascontiguousarray(rows.view("<u2").T)
    table, register = _table_of_pairs(), np.zeros(len(rows), np.uint32)
    for step in steps:
        register = table[(register ^ step) & np.uint32(0xFFFF)] ^ (register >> np.uint32(16))
    return register


def _join(registers: Sequence[int], piece: int) -> int:
    """Combine the registers of consecutive pieces: shift by one piece of zeros, then add."""
    first, second, third, fourth = _shift_tables(piece)
    joined = 0
    for register in registers:
        low, high = joined & 0xFFFF, joined >> 16
        joined = (
            first[low & 0xFF] ^ second[low >> 8] ^ third[high & 0xFF] ^ fourth[high >> 8] ^ register
        )
    return joined


def _short(block: bytes | memoryview) -> int:
    register, table = 0xFFFFFFFF, _table_of_bytes()
    for byte in bytes(block):
        register = int(table[(register ^ byte) & 0xFF]) ^ (register >> 8)
    return register


@cache
def _shift_tables(piece: int) -> list[list[int]]:
    """For each of the four bytes of a register: what it becomes after a piece of zeros."""
    table = _table_of_bytes()
    registers = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32))[:, None]
    for _ in range(piece):
        registers = table[registers & 0xFF] ^ (registers >> np.uint32(8))
    return [[int(value) for value in row] for row in registers]


@cache
def _table_of_bytes() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


@cache
def _table_of_pairs() -> Words:
    """Two bytes at once: the second byte's table applied to what the first left."""
    single = _table_of_bytes()
    pairs = np.arange(65536, dtype=np.uint32)
    for _ in range(2):
        pairs = single[pairs & 0xFF] ^ (pairs >> np.uint32(8))
    return pairs
