"""The story: a clip is heard, it is seen, the two are fused, and it is tagged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeGuard, overload

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.events import EventSettings, find_events
from av_tagger.clip import Clip, Media
from av_tagger.errors import AvTaggerError, MediaError
from av_tagger.ontology import fold
from av_tagger.protocols import AudioBranch, DecodeRequest, Fusion, PictureBranch, VideoBranch
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Failed,
    KeyFrame,
    Outcome,
    RunInfo,
    Scores,
    Status,
    Tag,
    Tagged,
)

PathLike = str | Path | Clip
Open = Callable[[Clip, DecodeRequest], Iterator[Media]]

OFF = BranchInfo(Status.OFF, "none")


@dataclass(frozen=True)
class WindowResult:
    """Scores of ear and eye for one window of a clip, and the fused scores."""

    start_seconds: float
    end_seconds: float
    heard: Scores
    seen: Scores
    fused: Scores
    thresholds: NDArray[np.float64]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """Everything a tagger is made of; each part can be any object with the same protocol."""

    labels: tuple[str, ...]
    ear: AudioBranch | None
    eye: VideoBranch | None
    fusion: Fusion
    open: Open
    request: DecodeRequest
    events: EventSettings = field(default_factory=EventSettings)
    threshold: float | None = None  # for all classes, instead of one per class
    ear_thresholds: NDArray[np.float64] | None = None  # (classes,) of frame activity, for events
    run: RunInfo = field(default_factory=lambda: RunInfo("0", "cpu", "", 0.0))
    fold: bool = False  # leave out tags that another tag tells more exactly: Animal, beside Dog


class Tagger:
    """Clips in, tags with times and reasons out."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @property
    def branches(self) -> tuple[BranchInfo, BranchInfo]:
        """The ear and the eye, with their status on a clip that has both tracks."""
        ear, eye = self.parts.ear, self.parts.eye
        return (OFF if ear is None else ear.info), (OFF if eye is None else eye.info)

    def without_pictures(self) -> Tagger:
        """The same tagger, for results that keep no pictures of key frames: these cost time."""
        eye = self.parts.eye
        return Tagger(replace(self.parts, eye=eye.without_pictures())) if _can_omit(eye) else self

    # A str is a path, never an iterable of letters.
    @overload
    def tag(self, inputs: PathLike) -> Tagged: ...  # type: ignore[overload-overlap]

    @overload
    def tag(self, inputs: Iterable[PathLike]) -> list[Outcome]: ...

    def tag(self, inputs: PathLike | Iterable[PathLike]) -> Tagged | list[Outcome]:
        """One clip: its tags, errors are raised. Several: one outcome each; errors are `Failed`."""
        if isinstance(inputs, str | Path | Clip):
            return self._tag_one(_as_clip(inputs))
        return list(self.stream(_as_clip(item) for item in inputs))

    def stream(self, clips: Iterable[Clip]) -> Iterator[Outcome]:
        """Tag clips one after another; a clip that cannot be tagged gives `Failed`."""
        for clip in clips:
            try:
                yield self._tag_one(clip)
            except AvTaggerError as error:
                yield Failed(clip, error.kind, str(error))

    def _tag_one(self, clip: Clip) -> Tagged:
        began = time.perf_counter()
        window_results: list[WindowResult] = []
        for window in self.parts.open(clip, self.parts.request):
            window_results += self.score([window])
        return self.merge_windows(clip, window_results, time.perf_counter() - began)

    def score(self, windows: Sequence[Media]) -> list[WindowResult]:
        """Scores of a batch of windows, of one clip or of many."""
        return self.weigh(windows, self.hear(windows), self.see(windows))

    def weigh(
        self, windows: Sequence[Media], heard: Sequence[Scores], seen: Sequence[Scores]
    ) -> list[WindowResult]:
        """Fuse the scores of ear and eye for each window."""
        fused = self.parts.fusion.fuse(heard, seen)
        return [
            WindowResult(
                w.start_seconds,
                w.end_seconds,
                h,
                s,
                f,
                self._thresholds(h, s),
                (*w.notes, *w.remarks),
            )
            for w, h, s, f in zip(windows, heard, seen, fused, strict=True)
        ]

    def merge_windows(
        self, clip: Clip, window_results: Sequence[WindowResult], seconds: float
    ) -> Tagged:
        """The tags of a clip; each class is taken from the window with the largest margin."""
        if not window_results:
            raise MediaError(
                clip.path,
                "holds neither sound nor pictures that can be read",
                "check that it plays",
            )
        activity = stitch(
            [t.heard.activity for t in window_results],
            [(t.start_seconds, t.end_seconds) for t in window_results],
        )
        best = _best_windows(window_results)
        scores = dict(zip(self.parts.labels, _class_scores(window_results, best), strict=True))
        tagged = [label for label, score in scores.items() if score.fused >= score.threshold]
        shown = fold(tagged) if self.parts.fold else frozenset(tagged)
        tags = [
            self._tag(label, window_results[best[k]], score, self._events(activity, k))
            for k, (label, score) in enumerate(scores.items())
            if label in shown
        ]
        return Tagged(
            clip=clip,
            duration_seconds=window_results[-1].end_seconds - window_results[0].start_seconds,
            tags=tuple(sorted(tags, key=lambda t: -t.probability)),
            scores=scores,
            keyframes=_all_keyframes(window_results),
            ear=_with_status(self.parts.ear, [t.heard.status for t in window_results]),
            eye=_with_status(self.parts.eye, [t.seen.status for t in window_results]),
            run=replace(self.parts.run, seconds=seconds),
            activity=activity,
            notes=tuple(dict.fromkeys(note for t in window_results for note in t.notes)),
        )

    def hear(self, windows: Sequence[Media]) -> list[Scores]:
        """Scores of the ear for each window."""
        ear = self.parts.ear
        sounds = [w.waveform for w in windows]
        if ear is None:
            return [Scores.silent(self.parts.labels, Status.OFF)] * len(windows)
        heard = iter(ear.hear([s for s in sounds if s is not None]))
        return [
            self._aligned(next(heard) if s is not None else None, w)
            for s, w in zip(sounds, windows, strict=True)
        ]

    def see(self, windows: Sequence[Media]) -> list[Scores]:
        """Scores of the eye for each window."""
        eye = self.parts.eye
        films = [w.frames if w.frames is not None and len(w.frames) else None for w in windows]
        if eye is None:
            return [Scores.silent(self.parts.labels, Status.OFF)] * len(windows)
        seen = iter(eye.see([f for f in films if f is not None]))
        return [
            self._aligned(next(seen) if f is not None else None, w)
            for f, w in zip(films, windows, strict=True)
        ]

    def _aligned(self, scores: Scores | None, window: Media) -> Scores:
        """Scores in the class order of the run; DEGRADED if the track is damaged."""
        if scores is None:
            return Scores.silent(self.parts.labels, Status.NO_TRACK)
        scores = align(scores, self.parts.labels)
        return (
            replace(scores, status=Status.DEGRADED)
            if window.notes and scores.status is Status.OK
            else scores
        )

    def _thresholds(self, heard: Scores, seen: Scores) -> NDArray[np.float64]:
        if self.parts.threshold is not None:
            return np.full(len(self.parts.labels), self.parts.threshold)
        return self.parts.fusion.thresholds(heard, seen)

    def _events(self, activity: Activity | None, k: int) -> tuple[Event, ...]:
        if activity is None or not np.isfinite(activity.values[:, k]).any():
            return ()
        rows = self.parts.ear_thresholds
        high = (
            self.parts.threshold
            if self.parts.threshold is not None
            else None
            if rows is None
            else float(rows[k])
        )
        settings = self.parts.events if high is None else self.parts.events.at(high)
        return tuple(
            find_events(activity.values[:, k], activity.rate, activity.start_seconds, settings)
        )

    @staticmethod
    def _tag(
        label: str, window_result: WindowResult, score: ClassScore, events: tuple[Event, ...]
    ) -> Tag:
        evidence = window_result.seen.evidence.get(label, ())
        return Tag(label, score.fused, score.threshold, score.heard, score.seen, events, evidence)


def align(scores: Scores, labels: tuple[str, ...]) -> Scores:
    """The same scores for other classes in another order; NaN for unknown classes."""
    if scores.labels == labels:
        return scores
    position = {label: k for k, label in enumerate(scores.labels)}
    columns = np.array([position.get(label, -1) for label in labels])
    probabilities = np.where(columns >= 0, scores.probabilities[columns], np.nan)
    activity = scores.activity
    if activity is not None:
        values = np.where(columns >= 0, activity.values[:, columns], np.float32(np.nan)).astype(
            np.float32
        )
        activity = replace(activity, values=values)
    return replace(scores, labels=labels, probabilities=probabilities, activity=activity)


def stitch(
    pieces: Sequence[Activity | None], spans: Sequence[tuple[float, float]]
) -> Activity | None:
    """One timeline from overlapping windows, cut in the middle of each overlap; NaN where none."""
    known = next((p for p in pieces if p is not None), None)
    if known is None:
        return None
    if len(pieces) == 1:
        return known
    start, rate = spans[0][0], known.rate
    cuts = [
        start,
        *((spans[i][1] + spans[i + 1][0]) / 2 for i in range(len(spans) - 1)),
        spans[-1][1],
    ]
    values = np.full(
        (round((cuts[-1] - start) * rate), known.values.shape[1]), np.nan, dtype=np.float32
    )
    for piece, begin, end in zip(pieces, cuts, cuts[1:], strict=False):
        if piece is not None:
            _lay(values, piece, (begin, end), start)
    return Activity(values, rate, start)


def _lay(
    values: NDArray[np.float32], piece: Activity, span: tuple[float, float], start: float
) -> None:
    rate = piece.rate
    first, last = round((span[0] - start) * rate), min(round((span[1] - start) * rate), len(values))
    offset = round((piece.start_seconds - start) * rate)
    rows = piece.values[max(first - offset, 0) : max(last - offset, 0)]
    first = max(first, offset)
    values[first : first + len(rows)] = rows


def _best_windows(window_results: Sequence[WindowResult]) -> list[int]:
    """Per class the window with the largest margin over its threshold; the first of equal ones."""
    if len(window_results) == 1:
        return [0] * len(window_results[0].thresholds)
    margins = np.stack([t.fused.probabilities - t.thresholds for t in window_results])
    found: list[int] = np.where(np.isnan(margins), -np.inf, margins).argmax(axis=0).tolist()
    return found


def _class_scores(
    window_results: Sequence[WindowResult], best: Sequence[int]
) -> Iterator[ClassScore]:
    """Each class from its own window."""
    columns = np.arange(len(best))
    fused, heard, seen, thresholds = (
        np.stack(rows)[best, columns].tolist()
        for rows in (
            [t.fused.probabilities for t in window_results],
            [t.heard.probabilities for t in window_results],
            [t.seen.probabilities for t in window_results],
            [t.thresholds for t in window_results],
        )
    )
    for f, h, s, t in zip(fused, heard, seen, thresholds, strict=True):
        yield ClassScore(0.0 if math.isnan(f) else f, _number(h), _number(s), t)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _all_keyframes(window_results: Sequence[WindowResult]) -> tuple[KeyFrame, ...]:
    """Key frames of all windows in order of time; their weights sum to one."""
    many = sum(bool(t.seen.keyframes) for t in window_results)
    frames = (
        replace(frame, weight=frame.weight / many)
        for t in window_results
        for frame in t.seen.keyframes
    )
    return tuple(sorted(frames, key=lambda frame: frame.seconds))


def _with_status(
    branch: AudioBranch | VideoBranch | None, statuses: Sequence[Status]
) -> BranchInfo:
    """The branch with its status on this clip: that of all windows, or DEGRADED if they differ."""
    if branch is None:
        return OFF
    if all(s is statuses[0] for s in statuses):
        return replace(branch.info, status=statuses[0])
    return replace(branch.info, status=Status.DEGRADED)


def _can_omit(eye: VideoBranch | None) -> TypeGuard[PictureBranch]:
    return isinstance(eye, PictureBranch)


def _as_clip(item: PathLike) -> Clip:
    return item if isinstance(item, Clip) else Clip(Path(item))
