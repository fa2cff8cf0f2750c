"""Named tensors in weights files: safetensors, or torch files of which plain tensors are read."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from av_tagger.errors import WeightsError, in_line, sentence

if TYPE_CHECKING:
    from torch import Tensor

AGAIN = "fetch it again with `av-tag weights fetch`"
MOST_HEADER = 100_000_000  # bytes; the limit of the safetensors format
LARGEST = 1e9  # of any number in a network
LONGEST_REASON = 160  # characters of a library's own words


def read_state(path: Path, remedy: str = AGAIN, content: bytes | None = None) -> dict[str, Tensor]:
    """The tensors of a file or of its content by name; nothing else is ever unpickled.

    The format is that of the name: safetensors, or a torch file.
    """
    try:
        loaded = _loaded(path, content)
    except WeightsError:
        raise
    except Exception as error:  # hostile pickles raise anything
        first = in_line((str(error).splitlines() or [""])[0], LONGEST_REASON)
        first = first or type(error).__name__
        if isinstance(error, UnpicklingError):  # torch advises to load it all the same
            first = "its pickle holds other things than tensors, or is cut short"
        reason = f"cannot be read as weights ({first})"
        raise WeightsError(sentence(path, reason, remedy)) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    if not state or not isinstance(state, dict) or not all(map(_is_named_tensor, state.items())):
        raise WeightsError(sentence(path, "does not hold named tensors", remedy))
    return state


def check_finite(path: Path, state: dict[str, Tensor], remedy: str = AGAIN) -> None:
    """Refuse tensors with numbers that no network has: damaged bits make scores that are none."""
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        least = 0.0 if name.endswith("running_var") else -LARGEST
        low, high = (one.item() for one in tensor.aminmax())
        if not (low >= least and high <= LARGEST):  # NaN is neither
            reason = f"the tensor {name!r} holds numbers that are not finite, or beyond {LARGEST:g}"
            raise WeightsError(sentence(path, reason, remedy))


def safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]] | None:
    """Shapes of the tensors by name, from a header that fits the size of the file; else None."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER, size):
            return None
        try:
            table = json.loads(file.read(length))
            table.pop("__metadata__", None)
            ends = [int(item["data_offsets"][1]) for item in table.values()]
            shapes = {name: tuple(map(int, item["shape"])) for name, item in table.items()}
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return None
    return shapes if size == 8 + length + max(ends, default=0) else None


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    import torch

    return isinstance(item[0], str) and isinstance(item[1], torch.Tensor)


def _loaded(path: Path, content: bytes | None) -> Any:
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load, load_file

        return load_file(path) if content is None else load(content)
    if _is_compressed(path if content is None else io.BytesIO(content)):
        raise WeightsError(sentence(path, "is compressed, as no torch file is", AGAIN))
    source = path if content is None else io.BytesIO(content)
    return torch.load(source, map_location="cpu", weights_only=True)


def _is_compressed(source: Path | io.BytesIO) -> bool:
    """Torch stores tensors as they are; a compressed archive is there to fill the memory."""
    if not zipfile.is_zipfile(source):
        return False
    with zipfile.ZipFile(source) as archive:
        return any(e.compress_type != zipfile.ZIP_STORED for e in archive.infolist())
