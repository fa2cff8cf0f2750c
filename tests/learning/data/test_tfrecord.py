"""TFRecord files: checksums, protocol buffers, and damaged files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from av_tagger.crc32c import crc32c, masked_crc32c
from av_tagger.errors import StorageError
from av_tagger.learning.data.tfrecord import (
    parse_feature,
    read_records,
    read_sequences,
)
from tests.learning.tfrecords import block, example, framed, masked, slow_crc, varint, vectors


def test_checksums_equal_the_published_values() -> None:
    blocks = [
        b"123456789",
        b"\0" * 32,
        b"\xff" * 32,
        bytes(range(32)),
        b"",
        b"a",
    ]  # RFC 3720 B.4 and the usual check value
    expected = [0xE3069283, 0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0, 0xC1D04330]
    assert crc32c(blocks).tolist() == expected
    assert masked_crc32c([b"123456789"]).tobytes() == masked(b"123456789")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
def test_parallel_checksums_equal_single_ones(blocks: list[bytes]) -> None:
    assert crc32c(blocks).tolist() == [slow_crc(b) for b in blocks]


def test_an_example_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "one.tfrecord"
    file.write_bytes(framed(example("vid", [3, 500], vectors(1, 2))))
    (found,) = read_sequences(file)
    assert found.context["video_id"].bytes == (b"vid",)
    assert found.context["labels"].integers == (3, 500)
    assert found.context["start_time_seconds"].floats == (30.0,)
    assert [f.bytes[0] for f in found.lists["audio_embedding"]] == vectors(1, 2)


def test_unpacked_and_negative_numbers_are_read() -> None:
    single = block(3, varint(1 << 3) + varint(7) + varint(1 << 3) + varint((1 << 64) - 2))
    assert parse_feature(single).integers == (7, -2)
    assert parse_feature(block(2, varint(1 << 3 | 5) + struct.pack("<f", 0.5))).floats == (0.5,)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (3, "the length of record 0 is damaged"),
        (200, "record 0 is damaged"),
        (-2, "record 1 is damaged"),
    ],
)
def test_a_changed_byte_is_detected(tmp_path: Path, place: int, said: str) -> None:
    file = tmp_path / "two.tfrecord"
    records = [framed(example("vid", [3], vectors(i, 2))) for i in range(2)]
    data = bytearray(b"".join(records))
    data[place] ^= 4
    file.write_bytes(bytes(data))
    with pytest.raises(StorageError, match=said):
        read_records(file)
