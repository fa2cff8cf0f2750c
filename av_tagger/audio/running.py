"""Running predictions: the score of every instance as soon as its sound is complete (SMALL §5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from av_tagger.audio.branch import MilEar
from av_tagger.audio.ensemble import EnsembleEar
from av_tagger.audio.instance_streams import (
    EmbeddedInstances,
    InstanceStream,
    SharedStream,
    SoundInstances,
)
from av_tagger.audio.known.on_embeddings import EmbeddedEar
from av_tagger.audio.waveforms import Numbers, check_waveforms
from av_tagger.clip import Waveform
from av_tagger.errors import UsageError
from av_tagger.protocols import AudioBranch


@dataclass(frozen=True)
class RunningScore:
    """The scores of one instance, and of the sound up to its end."""

    start_seconds: float  # of the instance, from the start of the sound
    instance: Numbers  # (classes,)
    so_far: Numbers  # (classes,) maximum of all instances until now: the standard assumption


class RunningPrediction:
    """Sound in pieces of any length; scores equal those of the whole clip (`hear`).

    For networks whose instances are independent: `small/mil-cnn`, the DNNs of SMALL on a run of
    `small/embedding-cnn` or on VGGish, dense networks on frames, and votes or means of these. A
    recurrent network needs the whole clip, and is refused.
    """

    def __init__(self, ear: AudioBranch) -> None:
        self.labels, self.rate = ear.labels, ear.rate
        self._source = _source_of(ear, {})
        self._done = False

    @property
    def delay_seconds(self) -> float:
        """How much later than the end of an instance its score is known."""
        return self._source.delay_seconds

    def push(self, samples: Numbers) -> list[RunningScore]:
        """Scores of the instances that are complete with these samples (mono, at `rate`)."""
        if self._done:
            raise ValueError("the sound was finished; start another RunningPrediction")
        check_waveforms([Waveform(samples, self.rate)], self.rate)
        return self._source.push(samples[:])  # a view of its own, by which streams are shared

    def finish(self) -> list[RunningScore]:
        """Scores of the last instances, padded as the end of a clip is."""
        self._done = True
        return self._source.finish()


class SingleScores:
    """The scores of one network."""

    def __init__(self, stream: InstanceStream, classes: int) -> None:
        self._stream, self._count = stream, 0
        self._so_far = np.full(classes, -np.inf, np.float32)

    @property
    def rate(self) -> float:
        return self._stream.rate

    @property
    def delay_seconds(self) -> float:
        return self._stream.delay_seconds

    def push(self, samples: Numbers) -> list[RunningScore]:
        return list(self._scores(self._stream.push(samples)))

    def finish(self) -> list[RunningScore]:
        return list(self._scores(self._stream.finish()))

    def _scores(self, rows: Numbers) -> Iterator[RunningScore]:
        for row in rows:
            self._so_far = np.maximum(self._so_far, row)
            yield RunningScore(self._count / self._stream.rate, row, self._so_far)
            self._count += 1


class JoinedScores:
    """The mean or the weighted vote of several networks, instance by instance."""

    def __init__(self, ear: EnsembleEar, shared: dict[str, SharedStream]) -> None:
        self._ear = ear
        self._members = [_source_of(member, shared) for member in ear.members]
        if len({round(m.rate, 6) for m in self._members}) > 1:
            raise UsageError(
                f"{ear.ensemble.name}: its members score instances of different lengths, so that it"
                " has no running prediction; join runs of one kind"
            )
        self._waiting: list[list[RunningScore]] = [[] for _ in self._members]

    @property
    def rate(self) -> float:
        return self._members[0].rate

    @property
    def delay_seconds(self) -> float:
        return max(m.delay_seconds for m in self._members)

    def push(self, samples: Numbers) -> list[RunningScore]:
        return self._joined([m.push(samples) for m in self._members])

    def finish(self) -> list[RunningScore]:
        return self._joined([m.finish() for m in self._members])

    def _joined(self, found: list[list[RunningScore]]) -> list[RunningScore]:
        """The instances that all members have scored."""
        for waiting, more in zip(self._waiting, found, strict=True):
            waiting.extend(more)
        count = min(map(len, self._waiting))
        parts = [[waiting.pop(0) for _ in range(count)] for waiting in self._waiting]
        return [self._one(scores) for scores in zip(*parts, strict=True)]

    def _one(self, scores: tuple[RunningScore, ...]) -> RunningScore:
        instance = np.tensordot(self._ear.weights, np.stack([s.instance for s in scores]), axes=1)
        so_far = self._ear.together([s.so_far for s in scores])
        kind = np.float32
        return RunningScore(scores[0].start_seconds, instance.astype(kind), so_far.astype(kind))


def _source_of(ear: AudioBranch, shared: dict[str, SharedStream]) -> SingleScores | JoinedScores:
    """`shared`: streams of embeddings that were started already, by the name of their network."""
    if isinstance(ear, EnsembleEar):
        return JoinedScores(ear, shared)
    if isinstance(ear, MilEar):
        return SingleScores(SoundInstances(ear), len(ear.labels))
    if isinstance(ear, EmbeddedEar):
        return SingleScores(EmbeddedInstances(ear, shared), len(ear.labels))
    raise UsageError(
        f"{ear.info.weights}: has no running prediction; give a trained ear whose instances are"
        " independent, such as a run of small/mil-cnn"
    )
