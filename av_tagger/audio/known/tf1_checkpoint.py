"""TensorFlow 1 checkpoints of one file (version 1): a LevelDB table of tensors, read by itself.

Every block is checked against its CRC-32C. Supported: float32 tensors that are stored whole.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.known.tf_checkpoint import FLOAT32, CheckpointError, table_entries
from av_tagger.errors import WeightsError, sentence
from av_tagger.protobuf import as_bytes, as_int, fields

Arrays = dict[str, NDArray[np.float32]]
META, SLICE = 1, 2  # fields of SavedTensorSlices
NAME, SHAPE, TYPE, DATA = 1, 2, 3, 3  # of a tensor's description, and of its slice
FLOATS = 5  # of TensorProto, packed


def read_tf1_checkpoint(path: Path) -> Arrays:
    """Float32 variables by name."""
    try:
        return parse_tf1_checkpoint(path.read_bytes())
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise WeightsError(sentence(path, reason, "check the path and its permissions")) from error
    except (ValueError, UnicodeDecodeError) as error:
        reason = f"is not a whole TensorFlow 1 checkpoint ({error})"
        raise WeightsError(sentence(path, reason, "download it again")) from error


def parse_tf1_checkpoint(table: bytes) -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {}
    found: Arrays = {}
    for key, value in table_entries(table):
        for number, message in fields(value):
            if not key and number == META:
                shapes = _shapes(as_bytes(message))
            elif number == SLICE:
                name, values = _slice(as_bytes(message))
                if name in shapes:
                    found[name] = _shaped(name, values, shapes[name])
    missing = sorted(shapes.keys() - found.keys())
    if not shapes or missing:
        raise CheckpointError(f"has no values of {missing[0]}" if missing else "has no header")
    return found


def _shapes(meta: bytes) -> dict[str, tuple[int, ...]]:
    """Shapes of float32 tensors, from SavedTensorSliceMeta {1: tensors}."""
    found = {}
    for number, message in fields(meta):
        if number == 1:
            parts = dict(fields(as_bytes(message)))
            if as_int(parts.get(TYPE, 0)) == FLOAT32:
                name = as_bytes(parts[NAME]).decode()
                found[name] = _shape(as_bytes(parts.get(SHAPE, b"")))
    return found


def _shape(message: bytes) -> tuple[int, ...]:
    """TensorShapeProto {2: dimensions {1: size}}."""
    sizes = [dict(fields(as_bytes(d))) for number, d in fields(message) if number == 2]
    return tuple(as_int(size.get(1, 0)) for size in sizes)


def _slice(message: bytes) -> tuple[str, NDArray[np.float32]]:
    """SavedSlice {1: name, 3: TensorProto {5: floats}}."""
    parts = dict(fields(message))
    tensor = [as_bytes(v) for n, v in fields(as_bytes(parts.get(DATA, b""))) if n == FLOATS]
    return as_bytes(parts.get(NAME, b"")).decode(), np.frombuffer(b"".join(tensor), "<f4")


def _shaped(name: str, values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if values.size != np.prod(shape, dtype=np.int64):
        raise CheckpointError(f"{name} is stored in parts or cut short: {shape}, {values.size}")
    return values.reshape(shape)
