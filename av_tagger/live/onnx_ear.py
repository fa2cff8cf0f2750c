"""An exported ear: `hear` through onnxruntime, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Samples, Waveform
from av_tagger.errors import MediaError, WeightsError, missing_library, sentence
from av_tagger.scores import Activity, BranchInfo, Scores, Status

INPUT, OUTPUTS, KEY = "samples", ("bag", "frames"), "av_tagger"


class OnnxEar:
    """An `AudioBranch`. Its network takes windows of one length; shorter ones are filled up with
    silence, longer ones are cut into several, the last of which ends with the sound.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.session = _session(path, threads)
        facts = _facts(path, self.session)
        self.labels: tuple[str, ...] = tuple(facts["labels"])
        self.rate: int = facts["rate"]
        self.frame_rate: float = facts["frame_rate"]
        self.window: int = facts["samples"]
        self.raised: list[tuple[int, int]] = facts["raised"]  # broad classes, narrower ones
        self.info = BranchInfo(Status.OK, f"{facts['name']} in onnxruntime", path.name)

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        return [self._one(w) for w in waveforms]

    def _one(self, wave: Waveform) -> Scores:
        if wave.rate != self.rate:
            raise ValueError(f"the ear needs {self.rate} Hz, the waveform has {wave.rate} Hz")
        if not np.isfinite(wave.samples).all():
            where = f"waveform from {wave.start_seconds:g} s"
            raise MediaError(where, "contains samples that are NaN or infinite", "record it again")
        if not len(wave.samples):
            return Scores.silent(self.labels, Status.NO_TRACK)
        count = max(1, -int(-len(wave.samples) * self.frame_rate // self.rate))
        timeline = np.zeros((count, len(self.labels)), np.float32)
        bags = []
        for start in self._starts(len(wave.samples)):
            bag, frames = self._run(wave.samples[start : start + self.window])
            first = round(start * self.frame_rate / self.rate)
            room = timeline[first : first + len(frames)]
            np.maximum(room, frames[: len(room)], out=room)
            bags.append(bag)
        activity = Activity(timeline, self.frame_rate, wave.start_seconds)
        return Scores(self.labels, np.max(bags, axis=0).astype(np.float64), activity=activity)

    def _starts(self, samples: int) -> list[int]:
        frame = self.rate / self.frame_rate
        latest = round(max(0, -(-(samples - self.window) // frame)) * frame)
        return sorted({*range(0, latest, self.window), latest})

    def _run(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        filled = np.zeros((1, self.window), np.float32)
        filled[0, : len(samples)] = samples
        bag, frames = self.session.run(list(OUTPUTS), {INPUT: filled})
        for values in (bag, frames):
            for broad, narrow in self.raised:
                np.maximum(values[..., broad], values[..., narrow], out=values[..., broad])
        return bag[0], frames[0]


def _session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_library("An exported ear needs", "onnxruntime", error, "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        text = sentence(path, f"cannot be read as an ONNX network ({reason})", "export it again")
        raise WeightsError(text) from error


def _facts(path: Path, session: Any) -> dict[str, Any]:
    stored = session.get_modelmeta().custom_metadata_map.get(KEY)
    if stored is None:
        raise WeightsError(
            sentence(path, "is not an exported ear", "make one with av-tag export EAR -o FILE")
        )
    facts: dict[str, Any] = json.loads(stored)
    return facts
