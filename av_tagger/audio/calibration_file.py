"""The calibration of an ear as one small file: safetensors, with a header that explains it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from av_tagger.audio.calibration import POINTS, Calibration, CalibrationNotes, EmbeddingHead, Source
from av_tagger.audio.files import write_whole
from av_tagger.errors import UsageError, WeightsError, sentence
from av_tagger.settings import check_range, from_table, parse_json

KEY = "av_tagger.calibration"  # the entry of the safetensors metadata that makes a file ours
AGAIN = "install av_tagger again, or make the file with `python -m av_tagger.studies.dayone_ear`"


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Appears whole or not at all."""
    c = calibration
    tensors = {"weights": c.weights, "bias": c.bias}
    tensors |= {f"threshold.{point}": row for point, row in c.thresholds.items()}
    arrays = {name: np.ascontiguousarray(v, np.float32) for name, v in tensors.items()}
    if c.head is not None:
        arrays["head.weight"] = np.ascontiguousarray(c.head.weight, np.float16)
        arrays["head.bias"] = np.ascontiguousarray(c.head.bias, np.float32)
    header = _FileHeader(c.parts, c.labels, c.sources, c.floor, _head_labels(c), c.about)
    text = json.dumps(asdict(header), ensure_ascii=False)
    write_whole(path, save(arrays, {KEY: text}))


def load_calibration(path: Path) -> Calibration:
    header, arrays = _read(path)
    try:
        return _assembled(header, arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(sentence(path, f"its tensors do not fit ({error})", AGAIN)) from error


@dataclass(frozen=True)
class _FileHeader:
    parts: tuple[str, ...]
    labels: tuple[str, ...]
    sources: tuple[Source, ...]
    floor: float
    head_labels: tuple[str, ...] = ()
    about: CalibrationNotes = field(default_factory=CalibrationNotes)

    def __post_init__(self) -> None:
        check_range(self, 1e-9, 1.0, "floor")


def _head_labels(calibration: Calibration) -> tuple[str, ...]:
    return () if calibration.head is None else calibration.head.labels


def _assembled(header: _FileHeader, arrays: dict[str, NDArray[Any]]) -> Calibration:
    if not all(bool(np.isfinite(v).all()) for v in arrays.values()):
        raise ValueError("not all numbers are finite")
    head = None
    if header.head_labels:
        weight, bias = (arrays[f"head.{k}"].astype(np.float32) for k in ("weight", "bias"))
        if bias.shape != (len(header.head_labels),) or weight.shape[:1] != bias.shape:
            raise ValueError(f"a head of {weight.shape} for {len(header.head_labels)} classes")
        head = EmbeddingHead(header.head_labels, weight, bias)
    wide = {k: v.astype(np.float64) for k, v in arrays.items() if not k.startswith("head.")}
    return Calibration(
        header.parts,
        header.labels,
        header.sources,
        wide["weights"],
        wide["bias"],
        {point: wide[f"threshold.{point}"] for point in POINTS},
        header.floor,
        head,
        header.about,
    )


def _read(path: Path) -> tuple[_FileHeader, dict[str, NDArray[Any]]]:
    if not path.is_file():
        raise WeightsError(sentence(path, "there is no such calibration file", AGAIN))
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = f"is cut short or not a safetensors file ({error})"
        raise WeightsError(sentence(path, reason, AGAIN)) from error
    if KEY not in metadata:
        raise WeightsError(sentence(path, "is not the calibration of an ear", AGAIN))
    try:
        return from_table(_FileHeader, parse_json(metadata[KEY]), "header"), arrays
    except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise WeightsError(sentence(path, f"its header cannot be read ({error})", AGAIN)) from error
