"""CRC-32C: published values, and a bit-by-bit reference for all lengths around the pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.crc32c import LONGEST_PIECE, crc32c, masked_crc32c

# RFC 3720, appendix B.4, and the usual check value.
PUBLISHED = {
    b"123456789": 0xE3069283,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    b"": 0,
}


def bit_by_bit(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_published_values() -> None:
    assert crc32c(list(PUBLISHED)).tolist() == list(PUBLISHED.values())
    assert [int(crc32c([data])[0]) for data in PUBLISHED] == list(PUBLISHED.values())


@pytest.mark.parametrize("around", [0, 4, 8, 64, LONGEST_PIECE, 3 * LONGEST_PIECE])
def test_lengths_around_pieces(around: int) -> None:
    data = np.random.default_rng(around).bytes(around + 6)
    blocks = [data[:n] for n in range(max(0, around - 5), around + 6)]
    assert crc32c(blocks).tolist() == [bit_by_bit(block) for block in blocks]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8))
def test_against_the_reference(blocks: list[bytes]) -> None:
    assert crc32c(blocks).tolist() == [bit_by_bit(block) for block in blocks]


def test_views_and_masks() -> None:
    data = b"xx123456789"
    crc = PUBLISHED[b"123456789"]
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc32c([memoryview(data)[2:]]).tolist() == [masked]
