"""TensorFlow checkpoints without TensorFlow: our own writer, damaged input, YAMNet's layout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from av_tagger.audio.known import tf_checkpoint
from av_tagger.audio.known.convert import yamnet_arrays
from av_tagger.audio.known.families import NOT_IN_YAMNET
from av_tagger.audio.known.tf_checkpoint import CheckpointError, read_checkpoint
from av_tagger.audio.known.yamnet import Layer, YAMNet
from av_tagger.crc32c import masked_crc32c
from av_tagger.errors import WeightsError
from av_tagger.labels import audioset

Arrays = Mapping[str, NDArray[np.float32]]
HEADER = b"\x08\x01\x1a\x02\x08\x01"  # one shard, little-endian, version 1


def varint(value: int) -> bytes:
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(
    array: NDArray[np.float32], offset: int, *, dtype: int = 1, crc: int | None = None
) -> bytes:
    shape = b"".join(field(2, field(1, n)) for n in array.shape)
    crc = int(masked_crc32c([array.tobytes()])[0]) if crc is None else crc
    numbers = field(1, dtype) + field(2, shape) + field(4, offset) + field(5, array.nbytes)
    return numbers + varint(6 << 3 | 5) + crc.to_bytes(4, "little")


def block(entries: list[tuple[bytes, bytes]], restart_every: int = 16) -> bytes:
    """Keys share what they have in common with the key before; every so often one is whole."""
    out, restarts, last = b"", [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % restart_every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += (
            varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        )
        last = key
    return out + b"".join(n.to_bytes(4, "little") for n in [*restarts, len(restarts)])


def table(entries: list[tuple[bytes, bytes]], per_block: int = 40, compression: int = 0) -> bytes:
    """A LevelDB table: data blocks, an empty meta-index, the index, the footer."""
    out = b""
    handles: list[tuple[bytes, bytes]] = []

    def put(content: bytes) -> bytes:
        nonlocal out
        handle = varint(len(out)) + varint(len(content))
        body = content + bytes([compression])
        out += body + int(masked_crc32c([body])[0]).to_bytes(4, "little")
        return handle

    for i in range(0, len(entries), per_block):
        part = entries[i : i + per_block]
        handles.append((part[-1][0], put(block(part))))
    footer = put(block([])) + put(block(handles, 1))
    return out + footer.ljust(40, b"\0") + tf_checkpoint.MAGIC.to_bytes(8, "little")


def checkpoint(arrays: Arrays, header: bytes = HEADER) -> tuple[bytes, bytes]:
    entries, data = [(b"", header)], bytearray()
    names = sorted(arrays)
    checksums = masked_crc32c([arrays[name].astype("<f4").tobytes() for name in names]).tolist()
    for name, crc in zip(names, checksums, strict=True):
        key = f"{name}/.ATTRIBUTES/VARIABLE_VALUE".encode()
        entries.append((key, entry(arrays[name], len(data), crc=crc)))
        data += arrays[name].astype("<f4").tobytes()
    return table(entries), bytes(data)


ARRAYS = {
    "layer/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "layer/kernel_two": np.ones((3, 1), np.float32),
    "scalar": np.array(2.5, np.float32),
    "zero": np.zeros((0, 4), np.float32),
}


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_there_and_back() -> None:
    assert_same(read_checkpoint(*checkpoint(ARRAYS)), ARRAYS)


def test_many_blocks_and_restarts() -> None:
    arrays = {f"layer_with_weights-{i}/kernel": np.full(i % 7, i, np.float32) for i in range(300)}
    assert_same(read_checkpoint(*checkpoint(arrays)), arrays)


def test_other_kinds_are_left_out() -> None:
    text = (b"_CHECKPOINTABLE_OBJECT_GRAPH", entry(np.zeros(3, np.float32), 0, dtype=7, crc=1))
    number = (b"counter", entry(np.zeros(2, np.float32), 0, dtype=9, crc=1))
    assert read_checkpoint(table([(b"", HEADER), text, number]), b"") == {}


@pytest.mark.parametrize(
    ("index", "data", "reason"),
    [
        (b"", b"", "does not end like a LevelDB table"),
        (b"x" * 100, b"", "does not end like a LevelDB table"),
        (table([(b"", HEADER)], compression=1), b"", "is compressed"),
        (table([(b"", field(1, 2))]), b"", "one little-endian shard"),
        (table([(b"", field(1, 1) + field(2, 1))]), b"", "one little-endian shard"),
        (table([(b"a", b"")]), b"", "one little-endian shard"),
        (checkpoint(ARRAYS)[0], checkpoint(ARRAYS)[1][:-1], "does not fit the data"),
        (
            checkpoint(ARRAYS)[0],
            b"\xff" * len(checkpoint(ARRAYS)[1]),
            "checksum of .* does not match",
        ),
        (
            table(
                [(b"", HEADER), (b"a", field(1, 1) + field(5, 8) + field(2, field(2, field(1, 1))))]
            ),
            bytes(8),
            "does not fit the data",
        ),
        (
            table(
                [(b"", HEADER)] + [(b"%d" % i, entry(np.zeros(4, np.float32), 0)) for i in range(3)]
            ),
            bytes(16),
            "overlap",
        ),
        (
            table([(b"", HEADER), (b"a", entry(np.zeros(2, np.float32), 0) + field(7, b""))]),
            bytes(8),
            "stored in parts",
        ),
    ],
)
def test_refused(index: bytes, data: bytes, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        read_checkpoint(index, data)


def test_a_key_that_grows_without_end() -> None:
    """Prefix compression could make megabytes of keys from a few bytes each."""
    long = [(b"", HEADER), (b"k" * 1100, b"")]
    with pytest.raises(CheckpointError, match="does not fit its block"):
        read_checkpoint(table(long), b"")


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf_checkpoint, "MOST_ENTRIES", 3)
    with pytest.raises(CheckpointError, match="more than 3 entries"):
        read_checkpoint(table([(b"%d" % i, b"") for i in range(5)]), b"")


def test_every_flipped_byte_is_noticed() -> None:
    """Only the footer's padding and the unused meta-index may change without notice."""
    index, data = checkpoint(ARRAYS)
    unnoticed = 0
    for at in range(len(index)):
        damaged = index[:at] + bytes([index[at] ^ 0x55]) + index[at + 1 :]
        try:
            assert_same(read_checkpoint(damaged, data), ARRAYS)
            unnoticed += 1
        except CheckpointError:
            continue
    assert unnoticed <= 5 + 4 + 4 + 40, "the empty meta-index and the padding"
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        with pytest.raises(CheckpointError, match="checksum"):
            read_checkpoint(index, damaged)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_noise_inside_valid_checksums(content: bytes, data: bytes) -> None:
    """Checksums that fit do not make a table: nothing but CheckpointError comes out."""
    body = content + b"\0"
    blocks = body + int(masked_crc32c([body])[0]).to_bytes(4, "little")
    handle = varint(0) + varint(len(content))
    index = blocks + (handle + handle).ljust(40, b"\0") + tf_checkpoint.MAGIC.to_bytes(8, "little")
    with pytest.raises(CheckpointError):
        read_checkpoint(index, data)


# YAMNet.


def published(network: YAMNet) -> dict[str, NDArray[np.float32]]:
    """Our network's weights under the names and in the shapes of the release."""
    base = "layer-1/layer/_func/_yamnet/layer_with_weights-"
    arrays: dict[str, NDArray[np.float32]] = {"keras_api/metrics/0/total": np.array(1, np.float32)}
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, Layer)
        kernel = layer.conv.weight.detach().numpy()
        if i % 2:
            arrays[f"{base}{2 * i}/depthwise_kernel"] = kernel.transpose(2, 3, 0, 1)
        else:
            arrays[f"{base}{2 * i}/kernel"] = kernel.transpose(2, 3, 1, 0)
        norm = (
            ("beta", layer.beta),
            ("moving_mean", layer.mean),
            ("moving_variance", layer.variance),
        )
        for name, value in norm:
            arrays[f"{base}{2 * i + 1}/{name}"] = value.detach().numpy()
    arrays[f"{base}54/kernel"] = network.logits.weight.detach().numpy().T
    arrays[f"{base}54/bias"] = network.logits.bias.detach().numpy()
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def class_map() -> bytes:
    known = [c for c in audioset() if c.id not in NOT_IN_YAMNET]
    lines = [f'{i},{c.id},"{c.label}"' for i, c in enumerate(known)]
    return "\r\n".join(["index,mid,display_name", *lines, ""]).encode()


def members(network: YAMNet, table_of_classes: bytes | None = None) -> dict[str, bytes]:
    index, data = checkpoint(published(network))
    return {
        "variables.index": index,
        "variables.data-00000-of-00001": data,
        "yamnet_class_map.csv": class_map() if table_of_classes is None else table_of_classes,
    }


@pytest.fixture(scope="module")
def network() -> YAMNet:
    torch.manual_seed(5)
    made = YAMNet()
    for tensor in (*made.parameters(), *made.buffers()):
        if tensor.is_floating_point():
            torch.nn.init.normal_(tensor, std=0.05)
    return made


def test_yamnet_there_and_back(network: YAMNet) -> None:
    state = yamnet_arrays(members(network))
    expected = network.state_dict()
    assert set(state) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(state[name], value.numpy())


def test_another_order_of_classes_is_refused(network: YAMNet) -> None:
    lines = class_map().split(b"\r\n")
    lines[3], lines[4] = lines[4], lines[3]
    with pytest.raises(WeightsError, match=r"class map is not YAMNet's \(line 4\)"):
        yamnet_arrays(members(network, b"\r\n".join(lines)))
    with pytest.raises(WeightsError, match=r"class map is not YAMNet's \(line 521\)"):
        yamnet_arrays(members(network, b"\r\n".join(class_map().split(b"\r\n")[:520])))
    with pytest.raises(WeightsError, match="YAMNet's checkpoint cannot be used"):
        yamnet_arrays(members(network, b"\xff\xfe"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layer-1/layer/_func/_yamnet/layer_with_weights-3/gamma": (32,)}, "has 'gamma'"),
        ({"layer-1/layer/_func/_yamnet/layer_with_weights-54/bias": (522,)}, "size mismatch"),
        ({"layer-1/layer/_func/_yamnet/layer_with_weights-4/kernel": (3, 3)}, "has 'kernel'"),
    ],
)
def test_another_network_is_refused(
    network: YAMNet, change: dict[str, tuple[int, ...]], reason: str
) -> None:
    arrays = published(network) | {k: np.zeros(shape, np.float32) for k, shape in change.items()}
    index, data = checkpoint(arrays)
    files = members(network) | {"variables.index": index, "variables.data-00000-of-00001": data}
    with pytest.raises(WeightsError, match=reason):
        yamnet_arrays(files)


def test_a_missing_layer_is_refused(network: YAMNet) -> None:
    arrays = published(network)
    del arrays["layer-1/layer/_func/_yamnet/layer_with_weights-9/beta"]
    index, data = checkpoint(arrays)
    files = members(network) | {"variables.index": index, "variables.data-00000-of-00001": data}
    with pytest.raises(WeightsError, match=r"Missing key.*layers.4.beta"):
        yamnet_arrays(files)
