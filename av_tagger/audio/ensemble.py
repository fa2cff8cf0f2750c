"""Several ears as one `AudioBranch`: the mean of their scores, or a weighted vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.ensemble_file import Ensemble, Member
from av_tagger.audio.header import Header
from av_tagger.audio.known.on_embeddings import EmbeddedEar
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError
from av_tagger.protocols import AudioBranch, EmbeddingBranch
from av_tagger.scores import Activity, BranchInfo, Scores, Status

Numbers = NDArray[np.float64]


class EnsembleEar:
    """Members of the same classes and sampling rate; each hears every waveform."""

    def __init__(self, members: Sequence[AudioBranch], ensemble: Ensemble, header: Header) -> None:
        rates = sorted({m.rate for m in members})
        if len(rates) > 1:
            raise UsageError(
                f"{ensemble.name}: its members listen at different rates"
                f" ({', '.join(map(str, rates))} Hz); combine ears of one rate"
            )
        if any(m.labels != ensemble.labels for m in members):
            raise UsageError(
                f"{ensemble.name}: its members know different classes; combine ears of one list"
            )
        self.members, self.ensemble, self.header = tuple(members), ensemble, header

    @property
    def labels(self) -> tuple[str, ...]:
        return self.ensemble.labels

    @property
    def rate(self) -> int:
        return self.members[0].rate

    @property
    def info(self) -> BranchInfo:
        return BranchInfo(Status.OK, described(self.ensemble), self.ensemble.name)

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        heard = [member.hear(waveforms) for member in self.members]
        return [self._joined(scores) for scores in zip(*heard, strict=True)]

    @property
    def weights(self) -> Numbers:
        """Of the members; their sum is one."""
        weights = np.array([m.weight for m in self.ensemble.members], np.float64)
        return np.asarray(weights / weights.sum())

    def together(self, rows: Sequence[NDArray[np.floating[Any]]]) -> Numbers:
        """(classes,) of a clip, from the scores of each member."""
        pairs = zip(self.ensemble.members, rows, strict=True)
        parts = np.stack([self._vote(m, np.asarray(row, np.float64)) for m, row in pairs])
        return np.asarray(np.tensordot(self.weights, parts, axes=1))

    def _joined(self, scores: Sequence[Scores]) -> Scores:
        if any(s.status != Status.OK for s in scores):
            return scores[0]  # silent for all members alike
        bag = self.together([s.probabilities for s in scores])
        return Scores(self.labels, bag, activity=_activity(scores, self.weights))

    def _vote(self, member: Member, p: Numbers) -> Numbers:
        """What a member contributes per class: its scores, or its decisions."""
        if self.ensemble.mode == "mean":
            return p
        if not member.thresholds:
            return np.asarray(np.arange(len(p)) == p.argmax(), np.float64)
        return (p >= np.array(member.thresholds)).astype(np.float64)


class RememberingEmbedder:
    """Embeddings of the waveforms of the last call are kept: members share one embedder."""

    def __init__(self, ear: EmbeddingBranch) -> None:
        self.ear = ear
        self._last: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])

    @property
    def name(self) -> str:
        return self.ear.name

    @property
    def device(self) -> Any:
        return self.ear.device

    @property
    def rate(self) -> int:
        return self.ear.rate

    @property
    def width(self) -> int:
        return self.ear.width

    def embed(self, waveforms: Sequence[Waveform]) -> list[NDArray[np.float32]]:
        samples = [w.samples for w in waveforms]
        same = len(samples) == len(self._last[0]) and all(
            a is b for a, b in zip(samples, self._last[0], strict=True)
        )
        if not same:
            self._last = (samples, self.ear.embed(waveforms))
        return self._last[1]


def share_embedders(
    members: Sequence[AudioBranch], shared: dict[str, RememberingEmbedder] | None = None
) -> list[AudioBranch]:
    """Members on embeddings of the same ear compute them once, also members of members."""
    known = {} if shared is None else shared
    for member in members:
        if isinstance(member, EnsembleEar):
            share_embedders(member.members, known)
        elif isinstance(member, EmbeddedEar):
            own = member.embedder
            base = own.ear if isinstance(own, RememberingEmbedder) else own
            member.embedder = known.setdefault(member.header.embedder, RememberingEmbedder(base))
    return list(members)


def described(ensemble: Ensemble) -> str:
    return f"{ensemble.mode} of {len(ensemble.members)} networks"


def _activity(scores: Sequence[Scores], weights: Numbers) -> Activity | None:
    """The weighted mean of the timelines, on the time grid of the first member."""
    lines = [s.activity for s in scores]
    first = lines[0]
    if first is None or any(line is None for line in lines):
        return None
    times = (np.arange(len(first.values)) + 0.5) / first.rate
    total = np.zeros(first.values.shape)
    for line, weight in zip(lines, weights, strict=True):
        assert line is not None
        places = np.minimum((times * line.rate).astype(int), len(line.values) - 1)
        total += weight * line.values[places]
    return Activity(total.astype(np.float32), first.rate, first.start_seconds)
