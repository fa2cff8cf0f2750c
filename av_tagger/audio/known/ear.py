"""Published AudioSet networks as ears: which there are, how their files are read, how their windows make a timeline."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT, Family
from av_tagger.audio.known.vggish_files import network_of as vggish
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.waveforms import check_waveforms
from av_tagger.clip import Waveform
from av_tagger.devices import find_device
from av_tagger.errors import WeightsError, sentence
from av_tagger.labels import audioset
from av_tagger.networks import folded, quick_memory, upload
from av_tagger.scores import Activity, BranchInfo, Scores, Status

Numbers = NDArray[np.float32]


class Network(Protocol):
    """What a published network offers: embeddings of a waveform, and what its head says of them."""

    width: int

    def embed(self, waveforms: Tensor) -> Tensor: ...

    def __call__(self, waveforms: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class ClipSegment:
    owner: int
    start: int  # samples
    samples: Numbers


class KnownEar:
    """An AudioSet network as an `AudioBranch`: a clip's score is the highest of its windows'."""

    def __init__(
        self, name: str, family: Family, network: Network, device: str | torch.device = "cpu"
    ) -> None:
        quick_memory()
        self.name = name
        self.family = family
        self.device = find_device(device)
        self._narrower = _narrower(family.labels)
        quick = folded(cast("nn.Module", network)).to(
            self.device, memory_format=torch.channels_last
        )  # type: ignore[call-overload]
        self.network = cast("Network", quick)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.family.labels

    @property
    def rate(self) -> int:
        return self.family.rate

    @property
    def width(self) -> int:
        return self.network.width

    @property
    def info(self) -> BranchInfo:
        return BranchInfo(Status.OK, self.name.partition(".")[0], self.name)

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        pieces = self._checked_pieces(waveforms)
        answers = self._by_length(pieces, self._forward)
        own: list[list[tuple[int, Numbers, Numbers]]] = [[] for _ in waveforms]
        for piece, (bag, frames) in zip(pieces, answers, strict=True):
            own[piece.owner].append((piece.start, bag, frames))
        return [self._scores(w, parts) for w, parts in zip(waveforms, own, strict=True)]

    def embed(self, waveforms: Sequence[Waveform]) -> list[Numbers]:
        """(seconds, width) a clip: the mean of the embeddings whose frames begin within each second."""
        pieces = self._checked_pieces(waveforms)
        rows = self._by_length(pieces, self._embed)
        timelines = [
            np.full((self._frames(len(w.samples)), self.network.width), np.nan, np.float32)
            for w in waveforms
        ]
        for piece, values in zip(pieces, rows, strict=True):
            _lay(timelines[piece.owner], values, self._first_frame(piece))
        return [_per_second(_filled(t), self.family.frame_rate) for t in timelines]

    def _checked_pieces(self, waveforms: Sequence[Waveform]) -> list[ClipSegment]:
        check_waveforms(waveforms, self.rate)
        return [
            piece for owner, w in enumerate(waveforms) for piece in self._pieces(owner, w.samples)
        ]

    def _pieces(self, owner: int, samples: Numbers) -> Iterator[ClipSegment]:
        """Windows that cover the sound; the last one ends with it, and so may overlap the one before."""
        window = self.family.window_samples
        frame = round(self.rate / self.family.frame_rate)
        if not len(samples):
            return
        for start in range(0, max(1, len(samples) - frame), window):
            first = (
                start
                if start + window <= len(samples)
                else max(0, -(-(len(samples) - window) // frame) * frame)
            )
            yield ClipSegment(owner, first, samples[first : first + window])

    def _by_length(
        self, pieces: Sequence[ClipSegment], run: Callable[[Tensor], list[Any]]
    ) -> list[Any]:
        """Pieces of one length share a pass: nobody is padded to another's length."""
        groups: dict[int, list[int]] = defaultdict(list)
        for i, piece in enumerate(pieces):
            groups[max(len(piece.samples), self.family.least_samples)].append(i)
        answers: dict[int, Any] = {}
        for length, members in groups.items():
            size = max(1, BATCH_SAMPLES // length)
            for begin in range(0, len(members), size):
                batch = members[begin : begin + size]
                waves = np.zeros((len(batch), length), np.float32)
                for row, i in zip(waves, batch, strict=True):
                    row[: len(pieces[i].samples)] = pieces[i].samples
                answers.update(
                    zip(batch, run(upload(torch.from_numpy(waves), self.device)), strict=True)
                )
        return [answers[i] for i in range(len(pieces))]

    def _forward(self, waves: Tensor) -> list[tuple[Numbers, Numbers]]:
        with torch.inference_mode():
            bags, frames = self.network(waves)
        return [
            (self._widened(bag), self._widened(timeline))
            for bag, timeline in zip(bags.cpu().numpy(), frames.cpu().numpy(), strict=True)
        ]

    def _widened(self, probabilities: Numbers) -> Numbers:
        """A class is at least as probable as the narrower ones that count for it."""
        for broad, narrow in self._narrower:
            np.maximum(
                probabilities[..., broad], probabilities[..., narrow], out=probabilities[..., broad]
            )
        return probabilities

    def _embed(self, waves: Tensor) -> list[Numbers]:
        with torch.inference_mode():
            return list(self.network.embed(waves).float().cpu().numpy())

    def _frames(self, samples: int) -> int:
        return max(1, -int(-samples * self.family.frame_rate // self.rate))

    def _first_frame(self, piece: ClipSegment) -> int:
        return round(piece.start * self.family.frame_rate / self.rate)

    def _scores(self, waveform: Waveform, parts: Sequence[tuple[int, Numbers, Numbers]]) -> Scores:
        if not parts:
            return Scores.silent(self.labels, Status.NO_TRACK)
        timeline = np.full(
            (self._frames(len(waveform.samples)), len(self.labels)), np.nan, np.float32
        )
        for start, _, frames in parts:
            _lay(timeline, frames, round(start * self.family.frame_rate / self.rate))
        bags = np.stack([bag for _, bag, _ in parts]).astype(np.float64)
        return Scores(
            self.labels,
            bags.max(axis=0),
            activity=Activity(_filled(timeline), self.family.frame_rate, waveform.start_seconds),
        )


def _narrower(labels: tuple[str, ...]) -> list[tuple[int, int]]:
    by_id = {c.id: c.label for c in audioset()}
    pairs = [(c.label, by_id[id_]) for c in audioset() for id_ in c.also]
    return [
        (labels.index(broad), labels.index(narrow))
        for broad, narrow in pairs
        if broad in labels and narrow in labels
    ]


def _lay(timeline: Numbers, values: Numbers, first: int) -> None:
    """Frames into a timeline of NaN; where windows overlap, the stronger opinion stays, as among a clip's windows."""
    room = timeline[first : first + len(values)]
    np.fmax(room, values[: len(room)], out=room)


def _filled(timeline: Numbers) -> Numbers:
    """A convolution's last frame may begin before the sound ends: its opinion holds to the end."""
    known = np.maximum.accumulate(np.where(np.isnan(timeline[:, 0]), 0, np.arange(len(timeline))))
    return timeline[known]


def _per_second(values: Numbers, rate: float) -> Numbers:
    seconds = (np.arange(len(values)) / rate).astype(int)
    return np.stack(
        [values[seconds == s].mean(axis=0) for s in range(int(seconds[-1]) + 1)]
    ).astype(np.float32)


def read_network(family: str, path: Path) -> Network:
    """The network whose weights lie in a file, its width taken from the file; strict."""
    return _build(family, _read_state(path), path)


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(
            sentence(path, "there is no such weights file", "see av-tag weights list")
        )
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (
        SafetensorError,
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        ValueError,
    ) as error:
        reason = str(error).splitlines()[0][:120]
        raise WeightsError(
            sentence(
                path,
                f"cannot be read as weights ({reason})",
                "fetch it again: av-tag weights fetch",
            )
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(
            sentence(
                path,
                "holds something other than named tensors",
                "fetch it again: av-tag weights fetch",
            )
        )
    return state


def _build(family: str, state: dict[str, Tensor], path: Path) -> Network:
    last = EFFICIENTAT.tensor
    if family == "efficientat" and last not in state:
        raise WeightsError(
            sentence(
                path, "is not an EfficientAT MobileNet", "give a file such as mn10_as_mAP_471.pt"
            )
        )
    try:
        if family == "vggish":
            return cast("Network", vggish(state).eval())
        network: nn.Module = YAMNet() if family == "yamnet" else EfficientAT(len(state[last]) / 160)
        network.load_state_dict(state, strict=True)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(
            sentence(
                path, f"does not fit {family} ({reason})", "fetch it again: av-tag weights fetch"
            )
        ) from error
    return cast("Network", network)


BATCH_SAMPLES = 160 * 32_000  # sound in one pass, which bounds memory: 16 windows of 10 s
