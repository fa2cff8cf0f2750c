"""Teacher targets for distillation: a published ear scores every training clip once, cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.ear_source import EarSource
from av_tagger.audio.ears import fetched, load, resolve
from av_tagger.clip import Clip
from av_tagger.errors import MediaError, UsageError
from av_tagger.learning.data.clip_cache import ClipCache, Rows, offline
from av_tagger.learning.data.examples import Targets
from av_tagger.media import open_media
from av_tagger.protocols import AudioBranch, DecodeRequest

VERSION = 1  # of how scores are computed
WINDOW = 10.0  # seconds that the teacher hears at a time


@dataclass(frozen=True)
class TeacherChoice:
    """Distillation: which ear teaches, and how much its scores count.

    The teacher scores whole clips, so clips should not be longer than the crops of the recipe.
    """

    ear: str = ""  # a published ear, such as efficientat:mn04, or a weights file; empty: none
    trust: float = 1.0  # targets are trust * label + (1 - trust) * score; an unknown label: score
    weight: float = 0.0  # of the loss of a second head that predicts all scores of the teacher
    typical: dict[str, float] = field(default_factory=dict)
    # typical: per class, the score that true examples typically get; it is moved to 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.trust <= 1 or self.weight < 0:
            raise ValueError("trust lies between 0 and 1, weight is not negative")
        if not all(0 < value < 1 for value in self.typical.values()):
            raise ValueError("typical scores lie between 0 and 1")


@dataclass(frozen=True)
class TeacherTargets:
    """Scores of the training clips by a teacher."""

    ear: str
    scores: NDArray[np.float16]  # (clips, classes of the teacher)
    known: Targets  # (clips, classes): calibrated scores; NaN for a class the teacher lacks
    trust: float = 1.0

    def soften(self, targets: Targets) -> Targets:
        """Labels mixed with the teacher's scores; unknown labels are replaced by the scores."""
        mixed = self.trust * targets + (1 - self.trust) * self.known
        soft = np.where(np.isnan(targets), self.known, mixed)
        return np.where(np.isnan(self.known), targets, soft).astype(np.float32)

    @property
    def sha256(self) -> str:
        digest = hashlib.sha256(repr((self.ear, self.trust)).encode())
        for array in (self.scores, self.known):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Teacher:
    """A published ear whose clip scores are cached in `folder`."""

    choice: TeacherChoice
    folder: Path

    def targets(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        progress: Callable[[int, int], None] | None = None,
    ) -> TeacherTargets:
        """Scores of clips, and those of them that belong to `labels`."""
        cache = ClipCache(self.folder, (VERSION, *self.source.identity))
        rows = []
        for i, clip in enumerate(clips):
            rows.append(cache.get(clip, self._score)[0])
            if progress:
                progress(i + 1, len(clips))
        scores = np.stack(rows)
        known = calibrated(scores, self.source.labels, labels, self.choice.typical)
        return TeacherTargets(self.choice.ear, scores.astype(np.float16), known, self.choice.trust)

    @cached_property
    def source(self) -> EarSource:
        return resolve(self.choice.ear, offline=offline())

    @cached_property
    def ear(self) -> AudioBranch:
        """The network; loaded only if a clip is not in the cache."""
        return load(fetched(self.source, offline=offline()))

    def _score(self, clip: Clip) -> Rows:
        """(1, classes of the teacher): the maximum over the windows of the clip."""
        request = DecodeRequest(
            audio_rate=self.ear.rate, short_side=None, window_seconds=WINDOW, overlap_seconds=0.0
        )
        windows = [w.waveform for w in open_media(clip, request) if w.waveform is not None]
        sounds = [w for w in windows if len(w.samples)]
        if not sounds:
            raise MediaError(clip.path, "has no sound for the teacher to score")
        scores = [s.probabilities for s in self.ear.hear(sounds)]
        return np.asarray(np.max(scores, axis=0, keepdims=True), np.float32)


def calibrated(
    scores: NDArray[np.float32],
    teacher: Sequence[str],
    labels: Sequence[str],
    typical: Mapping[str, float],
) -> Targets:
    """(clips, labels): the teacher's scores of these classes, with typical scores moved to 0.5.

    The move is a constant offset of the logit. NaN for classes that the teacher does not have.
    """
    place = {label: k for k, label in enumerate(teacher)}
    if not place.keys() & set(labels):
        raise UsageError("the teacher knows none of the classes; choose another ear, or no teacher")
    known = np.full((len(scores), len(labels)), np.nan, np.float32)
    for k, label in enumerate(labels):
        if label in place:
            logits = logit(scores[:, place[label]]) - logit(np.float32(typical.get(label, 0.5)))
            known[:, k] = 1 / (1 + np.exp(-logits))
    return known


def logit(p: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    q = np.clip(p, 1e-5, 1 - 1e-5)
    return np.asarray(np.log(q / (1 - q)), np.float32)
