"""AudioSet's release: TFRecord files packed into a store, segments lists, training on them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import StorageError, TableError, UsageError
from av_tagger.labels import ClassList, SoundClass, audioset
from av_tagger.learning.data.audioset import pack_tfrecords, read_segments
from av_tagger.learning.data.embedding_store import open_store
from av_tagger.learning.prepare import Sources, read_data
from av_tagger.learning.recipe import read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from tests.learning.tfrecords import block, entry, example, framed, of_integers, vectors

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


def test_a_release_is_packed_and_memory_mapped(release: Path, tmp_path: Path) -> None:
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


def test_a_segments_list_selects_clips_and_their_labels(
    release: Path, listed: Path, tmp_path: Path
) -> None:
    store = pack_tfrecords(sorted(release.glob("*.tfrecord")), tmp_path / "store")
    bags = store.bags(audioset(), read_segments(listed))
    assert [np.flatnonzero(row).tolist() for row in bags.targets] == [[1], [3, 137]]
    assert bags.rows.tobytes() == b"".join(vectors(1, 9)) + b"".join(vectors(3))
    with pytest.raises(UsageError, match="none of the clips"):
        store.bags(audioset(), read_segments(listed)[1:2])


def test_bags_can_have_fewer_classes(release: Path, tmp_path: Path) -> None:
    store = pack_tfrecords(sorted(release.glob("*.tfrecord")), tmp_path / "store")
    few = ClassList((audioset().classes[137], SoundClass("Nothing of the kind")))
    assert store.bags(few).targets.tolist() == [[0, 0], [1, 0], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("cut", "said"),
    [(-1, "ends in record 1"), (-1300, "ends in record 1"), (5, "ends in the header")],
)
def test_an_incomplete_file_is_an_error(release: Path, tmp_path: Path, cut: int, said: str) -> None:
    file = release / "0.tfrecord"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(StorageError, match=rf"0\.tfrecord: {said}"):
        pack_tfrecords([file], tmp_path / "store")
    assert list(tmp_path.glob("*store*")) == []  # whole or not at all


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"\x0b", "not a SequenceExample .*unknown kind 3"),
        (b"\x0a\x7f", "reaches past"),
        (b"\x0a\xff", "not a SequenceExample"),
        (block(1, entry("labels", of_integers(1))), "without a video_id"),
        (example("x", [1], []), "x has no audio_embedding"),
        (example("x", [527], [b"ab"]), "label outside 0 ... 526: 527"),
        (example("x", [1], [b"ab", b"a"]), "different widths"),
    ],
)
def test_records_of_other_content_are_errors(tmp_path: Path, record: bytes, said: str) -> None:
    (tmp_path / "odd.tfrecord").write_bytes(framed(record))
    with pytest.raises(StorageError, match=said):
        pack_tfrecords([tmp_path / "odd.tfrecord"], tmp_path / "store")


def test_an_incomplete_store_is_an_error(release: Path, tmp_path: Path) -> None:
    folder = pack_tfrecords(sorted(release.glob("*.tfrecord")), tmp_path / "store").folder
    rows = (folder / "rows.bin").read_bytes()
    (folder / "rows.bin").write_bytes(rows[:-128])
    with pytest.raises(StorageError, match="29 embeddings where its index has 30"):
        open_store(folder)
    (folder / "index.npz").unlink()
    with pytest.raises(StorageError, match="not a complete store"):
        open_store(folder)


def test_unreadable_lists_are_errors(tmp_path: Path) -> None:
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
