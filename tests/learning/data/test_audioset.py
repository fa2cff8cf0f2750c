"""TFRecords that the tests write themselves, byte by byte, read back and packed; damage is named."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import StorageError, TableError, UsageError
from av_tagger.labels import ClassList, SoundClass, audioset
from av_tagger.learning.data.audioset import pack_tfrecords, read_segments
from av_tagger.learning.data.embedding_store import open_store
from av_tagger.learning.data.tfrecord import (
    parse_feature,
    read_records,
    read_sequences,
)
from av_tagger.learning.prepare import Sources, read_data
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train

# A writer of its own, by the published descriptions: it shares nothing with the reader


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


CLIPS = [("aaa", (0, 526), 10), ("-b_", (137,), 9), ("ccc", (0, 137), 1), ("ddd", (5,), 10)]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "features" / "bal_train"
    folder.mkdir(parents=True)
    for part in range(2):
        clips = CLIPS[2 * part : 2 * part + 2]
        records = [
            framed(example(name, labels, vectors(2 * part + i, n)))
            for i, (name, labels, n) in enumerate(clips)
        ]
        (folder / f"{part}.tfrecord").write_bytes(b"".join(records))
    return folder


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    ids = audioset().ids
    path = tmp_path / "segments.csv"
    lines = [
        "# Segments csv created Sun Mar  5 10:54:31 2017",
        "# num_ytids=3",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    lines += [
        f'ddd, 30.000, 40.000, "{ids[3]},{ids[137]}"',
        f'gone, 0.000, 10.000, "{ids[0]}"',
        f'-b_, 0.000, 10.000, "{ids[1]}"',
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_example_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "one.tfrecord"
    file.write_bytes(framed(example("vid", [3, 500], vectors(1, 2))))
    (found,) = read_sequences(file)
    assert found.context["video_id"].bytes == (b"vid",)
    assert found.context["labels"].integers == (3, 500)
    assert found.context["start_time_seconds"].floats == (30.0,)
    assert [f.bytes[0] for f in found.lists["audio_embedding"]] == vectors(1, 2)


def test_numbers_may_stand_one_by_one_and_be_negative() -> None:
    single = block(3, varint(1 << 3) + varint(7) + varint(1 << 3) + varint((1 << 64) - 2))
    assert parse_feature(single).integers == (7, -2)
    assert parse_feature(block(2, varint(1 << 3 | 5) + struct.pack("<f", 0.5))).floats == (0.5,)


def test_a_release_is_packed_once_and_mapped(release: Path, tmp_path: Path) -> None:
    store = pack_tfrecords(sorted(release.glob("*.tfrecord")), tmp_path / "store")
    assert store.names.tolist() == ["aaa", "-b_", "ccc", "ddd"]
    assert np.diff(store.first).tolist() == [10, 9, 1, 10]
    assert isinstance(store.rows, np.memmap)
    assert b"".join(vectors(1, 9)) == store.rows[10:19].tobytes()
    bags = store.bags(audioset())
    assert bags.rows is store.rows
    assert [np.flatnonzero(row).tolist() for row in bags.targets] == [
        [0, 526],
        [137],
        [0, 137],
        [5],
    ]
    assert bags.labels[0] == "Speech"
    inputs, lengths = bags.fetch(np.array([2, 0]), None)
    assert inputs.shape == (2, 10, 128)
    assert inputs.dtype == np.uint8
    assert lengths.tolist() == [1, 10]
    assert not inputs[0, 1:].any()
    again = open_store(tmp_path / "store")
    assert again.sha256 == store.sha256
    assert again.bags(audioset()).sha256 == bags.sha256


def test_a_list_chooses_clips_and_gives_their_labels(
    release: Path, listed: Path, tmp_path: Path
) -> None:
    store = pack_tfrecords(sorted(release.glob("*.tfrecord")), tmp_path / "store")
    bags = store.bags(audioset(), read_segments(listed))
    assert [np.flatnonzero(row).tolist() for row in bags.targets] == [[1], [3, 137]]
    assert bags.rows.tobytes() == b"".join(vectors(1, 9)) + b"".join(vectors(3))
    with pytest.raises(UsageError, match="none of the clips"):
        store.bags(audioset(), read_segments(listed)[1:2])


def test_fewer_classes_may_be_asked_for(release: Path, tmp_path: Path) -> None:
    store = pack_tfrecords(sorted(release.glob("*.tfrecord")), tmp_path / "store")
    few = ClassList((audioset().classes[137], SoundClass("Nothing of the kind")))
    assert store.bags(few).targets.tolist() == [[0, 0], [1, 0], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("cut", "said"),
    [(-1, "ends in record 1"), (-1300, "ends in record 1"), (5, "ends in the header")],
)
def test_a_file_that_is_cut_short(release: Path, tmp_path: Path, cut: int, said: str) -> None:
    file = release / "0.tfrecord"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(StorageError, match=rf"0\.tfrecord: {said}"):
        pack_tfrecords([file], tmp_path / "store")
    assert list(tmp_path.glob("*store*")) == []  # whole or not at all


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (3, "the length of record 0 is damaged"),
        (200, "record 0 is damaged"),
        (-2, "record 1 is damaged"),
    ],
)
def test_a_changed_byte_is_found(release: Path, place: int, said: str) -> None:
    file = release / "0.tfrecord"
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(bytes(data))
    with pytest.raises(StorageError, match=said):
        read_records(file)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"\x0b", "not a SequenceExample .*unknown encoding 3"),
        (b"\x0a\x7f", "extends past"),
        (b"\x0a\xff", "not a SequenceExample"),
        (block(1, entry("labels", of_integers(1))), "without a video_id"),
        (example("x", [1], []), "x has no audio_embedding"),
        (example("x", [527], [b"ab"]), "label outside 0 ... 526: 527"),
        (example("x", [1], [b"ab", b"a"]), "different widths"),
    ],
)
def test_records_that_are_whole_but_something_else(
    tmp_path: Path, record: bytes, said: str
) -> None:
    (tmp_path / "odd.tfrecord").write_bytes(framed(record))
    with pytest.raises(StorageError, match=said):
        pack_tfrecords([tmp_path / "odd.tfrecord"], tmp_path / "store")


def test_a_store_that_lost_something_says_so(release: Path, tmp_path: Path) -> None:
    folder = pack_tfrecords(sorted(release.glob("*.tfrecord")), tmp_path / "store").folder
    rows = (folder / "rows.bin").read_bytes()
    (folder / "rows.bin").write_bytes(rows[:-128])
    with pytest.raises(StorageError, match="29 embeddings where its index has 30"):
        open_store(folder)
    (folder / "index.npz").unlink()
    with pytest.raises(StorageError, match="not a complete store"):
        open_store(folder)


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("aaa, thirty, 40.0, /m/x\n")
    with pytest.raises(TableError, match="line 1"):
        read_segments(path)
    path.write_text("# nothing\n")
    with pytest.raises(UsageError, match="lists no segment"):
        read_segments(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_segments(tmp_path / "nowhere.csv")


def test_from_tfrecords_to_a_trained_network(release: Path, listed: Path, tmp_path: Path) -> None:
    tiny = [
        "architecture.extractor_settings.widths=[8]",
        "batch=4",
        "length.iterations=2",
        "length.epoch_steps=2",
        "keep.average=[1, 2]",
    ]
    recipe = read_recipe("att/feature-attention", tiny)
    sources = Sources((release,), (listed,), media=release.parent, store=tmp_path / "cache")
    data = read_data(sources, audioset(), recipe)
    assert (len(data.training), len(data.validation), data.ids[0]) == (4, 2, "/m/09x0r")
    assert np.isfinite(
        train(recipe, data, tmp_path / "run", TrainingOptions(device="cpu")).validation.loss
    )
    packed = sorted(f.name for f in (tmp_path / "cache").iterdir())
    assert len(packed) == 1  # both sources read the same files, once
    held = read_data(
        Sources((release,), store=tmp_path / "cache", hold_out=0.3), audioset(), recipe
    )
    assert (len(held.training), len(held.validation)) == (3, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds no \*\.tfrecord"):
        read_data(
            Sources((release,), (tmp_path / "empty",), store=tmp_path / "cache"), audioset(), recipe
        )


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
def test_against_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf

    context = {
        "video_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"vid"])),
        "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=[0, 300])),
    }
    rows = [tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for v in vectors(0)]
    lists = tf.train.FeatureLists(
        feature_list={"audio_embedding": tf.train.FeatureList(feature=rows)}
    )
    whole = tf.train.SequenceExample(
        context=tf.train.Features(feature=context), feature_lists=lists
    )
    with tf.io.TFRecordWriter(str(tmp_path / "tf.tfrecord")) as out:
        out.write(whole.SerializeToString())
    store = pack_tfrecords([tmp_path / "tf.tfrecord"], tmp_path / "store")
    assert store.rows.tobytes() == b"".join(vectors(0))
    assert np.flatnonzero(store.bags(audioset()).targets[0]).tolist() == [0, 300]
