"""An exported ear: `hear` through onnxruntime, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.frame_times import TIMELINE_RATE, FrameTimes
from av_tagger.audio.waveforms import check_waveforms, filled_rows, merge_rows, with_lead
from av_tagger.clip import Samples, Waveform
from av_tagger.errors import UsageError, WeightsError, missing_library, sentence
from av_tagger.protobuf import as_bytes, fields
from av_tagger.scores import Activity, BranchInfo, Scores, Status
from av_tagger.settings import from_table, parse_json

INPUT, OUTPUTS, KEY = "samples", ("bag", "frames"), "av_tagger"
METADATA, METADATA_KEY, METADATA_VALUE = 14, 1, 2  # fields of ONNX's ModelProto and its entries
SUFFIX = ".onnx"


@dataclass(frozen=True)
class MeanOf:
    """The bag is the mean of the frames that hold sound: one, and one more per `hop` samples.

    A frame of the lead comes before them.
    """

    least: int  # samples of the first frame
    hop: int

    def count(self, samples: int) -> int:
        return 1 + -(-max(0, samples - self.least) // self.hop)


@dataclass(frozen=True)
class OnnxFacts:
    """What an exported file says about its network."""

    name: str
    labels: tuple[str, ...]
    rate: int  # Hz
    frame_rate: float  # rows per second
    samples: int  # of a window, with its lead
    raised: tuple[tuple[int, int], ...] = ()  # broad classes, and narrower ones that count for them
    mean: MeanOf | None = None  # None: the network's own bag
    exported: str = ""  # the ear it was made of, where that has a calibration: `starter`
    header: str = ""  # of a trained ear, as in its weights file
    centre: float | None = None  # of a published ear: seconds, the middle of its first row
    lead: int = 0  # samples before a window, for one more row at its start

    @property
    def frames(self) -> FrameTimes | None:
        """When its rows lie; None where they lie side by side and are the timeline themselves."""
        centre = self.centre
        if centre is None and self.mean is not None:  # exported before `centre` was written
            centre = self.mean.hop / self.rate
        return None if centre is None else FrameTimes(1 / self.frame_rate, centre)


class OnnxEar:
    """An `AudioBranch`. Its network takes windows of one length; shorter ones are filled up with
    silence, longer ones are cut into several, the last of which ends with the sound.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path, self.threads = path, threads
        self.facts = read_facts(path)
        self.window = self.facts.samples - self.facts.lead

    @property
    def labels(self) -> tuple[str, ...]:
        return self.facts.labels

    @property
    def rate(self) -> int:
        return self.facts.rate

    @property
    def info(self) -> BranchInfo:
        return BranchInfo(Status.OK, f"{self.facts.name} in onnxruntime", self.path.name)

    @cached_property
    def session(self) -> Any:
        """Made on first use, with the `threads` of that time."""
        return _session(self.path, self.threads)

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        check_waveforms(waveforms, self.rate)
        return [self._one(w) for w in waveforms]

    def _one(self, wave: Waveform) -> Scores:
        if not len(wave.samples):
            return Scores.silent(self.labels, Status.NO_TRACK)
        count = max(1, -int(-len(wave.samples) * self.facts.frame_rate // self.rate))
        rows = np.full((count, len(self.labels)), np.nan, np.float32)
        bags = []
        for start in self._starts(len(wave.samples)):
            end = min(start + self.window, len(wave.samples))
            bag, frames = self._run(with_lead(wave.samples, start, end, self.facts.lead))
            merge_rows(rows, frames, round(start * self.facts.frame_rate / self.rate))
            bags.append(bag)
        values, rate = self._timeline(rows, len(wave.samples) / self.rate)
        activity = Activity(values, rate, wave.start_seconds)
        return Scores(self.labels, np.max(bags, axis=0).astype(np.float64), activity=activity)

    def _timeline(self, rows: NDArray[np.float32], seconds: float) -> tuple[Samples, float]:
        """(frames, classes), and their rate."""
        frames = self.facts.frames
        if frames is None:
            return filled_rows(rows), self.facts.frame_rate
        return frames.timeline(rows, seconds), TIMELINE_RATE

    def _starts(self, samples: int) -> list[int]:
        frame = self.rate / self.facts.frame_rate
        latest = round(max(0, -(-(samples - self.window) // frame)) * frame)
        return sorted({*range(0, latest, self.window), latest})

    def _run(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        filled = np.zeros((1, self.facts.samples), np.float32)
        filled[0, : len(samples)] = samples
        bag, frames = self.session.run(list(OUTPUTS), {INPUT: filled})
        if self.facts.mean is not None:
            before = 1 if self.facts.lead else 0
            frames = frames[:, : before + self.facts.mean.count(len(samples) - self.facts.lead)]
            bag = frames[:, before:].mean(axis=1)
        for values in (bag, frames):
            for broad, narrow in self.facts.raised:
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


def read_facts(path: Path) -> OnnxFacts:
    """What the file says about its network, without onnxruntime."""
    again = "export it again with av-tag export EAR -o FILE"
    try:
        text = _metadata(path.read_bytes()).get(KEY)
    except (ValueError, OSError) as error:
        raise WeightsError(
            sentence(path, f"cannot be read as an ONNX network ({error})", again)
        ) from error
    if text is None:
        raise WeightsError(sentence(path, "is an ONNX network, but no ear of av-tag export", again))
    try:
        return from_table(OnnxFacts, parse_json(text), KEY)
    except (ValueError, TypeError, UsageError) as error:
        raise WeightsError(
            sentence(path, f"its description cannot be read ({error})", again)
        ) from error


def _metadata(model: bytes) -> dict[str, str]:
    entries: dict[str, str] = {}
    for number, value in fields(model):
        if number == METADATA:
            pair = dict(fields(as_bytes(value)))
            key, text = (as_bytes(pair[k]).decode() for k in (METADATA_KEY, METADATA_VALUE))
            entries[key] = text
    return entries
