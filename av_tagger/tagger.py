"""The story: a clip is heard, it is seen, the two are fused, and it is tagged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast, overload

import numpy as np
from numpy.typing import NDArray

from av_tagger.ahead import in_threads, one_ahead
from av_tagger.audio.events import EventSettings, ending_by, find_events
from av_tagger.clip import Clip, Media
from av_tagger.errors import AvTaggerError, MediaError, UsageError
from av_tagger.fusion.marks import marks_of
from av_tagger.fusion.windows import WindowResult, all_keyframes, class_scores
from av_tagger.media.early import Open
from av_tagger.media.remote import Source, at_hand, named
from av_tagger.ontology import fold
from av_tagger.protocols import (
    AudioBranch,
    DecodeRequest,
    DetailedBranch,
    EyeDetails,
    Fusion,
    VideoBranch,
)
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Failed,
    Outcome,
    RunInfo,
    Scores,
    Status,
    Tag,
    Tagged,
)
from av_tagger.shots import by_shot, shots_between
from av_tagger.stitching import align, stitch

OFF = BranchInfo(Status.OFF, "none")


Watch = Callable[[Media, WindowResult], None]


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
    offline: bool = False  # addresses are refused
    by_shot: bool = False  # events are the shots of the film that have the tag
    threads: int = 1  # of ear and eye on the windows of one clip; each runs in one of them


class Tagger:
    """Clips in, tags with times and reasons out."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @property
    def branches(self) -> tuple[BranchInfo, BranchInfo]:
        """The ear and the eye, with their status on a clip that has both tracks."""
        ear, eye = self.parts.ear, self.parts.eye
        return (OFF if ear is None else ear.info), (OFF if eye is None else eye.info)

    def without_details(self) -> Tagger:
        """The same tagger for documents without details: what they do not hold costs time."""
        details = EyeDetails(pictures=False, objects=False, cuts=self.parts.by_shot)
        return Tagger(replace(self.parts, eye=eye_reporting(self.parts.eye, details)))

    def with_threads(self, threads: int) -> Tagger:
        """The same tagger, with so many threads for the windows of one clip."""
        return Tagger(replace(self.parts, threads=threads))

    # A str is a path, never an iterable of letters.
    @overload
    def tag(self, inputs: Source) -> Tagged: ...  # type: ignore[overload-overlap]

    @overload
    def tag(self, inputs: Iterable[Source]) -> list[Outcome]: ...

    def tag(self, inputs: Source | Iterable[Source]) -> Tagged | list[Outcome]:
        """One clip: its tags, errors are raised. Several: one outcome each; errors are `Failed`.

        A clip is a path, an address (`https://...`), an open binary file, a `Clip` (a part of a
        file), or sound and frames in memory: `av_tagger.from_arrays(samples, rate)`.
        """
        if isinstance(inputs, str | Path | Clip) or _is_one(inputs):
            return self._tag_source(cast("Source", inputs))
        return list(self.stream(cast("Iterable[Source]", inputs)))

    def stream(self, clips: Iterable[Source], watch: Watch | None = None) -> Iterator[Outcome]:
        """Tag clips one after another; a clip that cannot be tagged gives `Failed`.

        `watch` is called with the scores of each window, as soon as they are there.
        """
        for source in clips:
            try:
                yield self._tag_source(source, watch)
            except AvTaggerError as error:
                yield Failed(named(source), error.kind, str(error))

    def _tag_source(self, source: Source, watch: Watch | None = None) -> Tagged:
        if hasattr(source, "__array__"):
            raise UsageError("arrays need their rate: tag(av_tagger.from_arrays(samples, rate))")
        with at_hand(source, offline=self.parts.offline) as clip:
            try:
                return self._tag_one(clip, watch)
            except MediaError as error:
                if not clip.source:
                    raise
                raise type(error)(clip.name, error.reason, error.remedy) from error

    def _tag_one(self, clip: Clip, watch: Watch | None = None) -> Tagged:
        """While windows are scored, the next one is decoded."""
        began = time.perf_counter()
        window_results: list[WindowResult] = []
        with closing(one_ahead(self.parts.open(clip, self.parts.request))) as windows:
            for window, result in self._scored(windows):
                window_results.append(result)
                if watch is not None:
                    watch(window, result)
        return self.merge_windows(clip, window_results, time.perf_counter() - began)

    def _scored(self, windows: Iterator[Media]) -> Iterator[tuple[Media, WindowResult]]:
        """Each window with its scores; ear and eye run in threads of their own if there are."""
        if self.parts.threads == 1:
            yield from ((window, self.score([window])[0]) for window in windows)
            return
        branches = (lambda w: self.hear([w]), lambda w: self.see([w]))
        with closing(in_threads(windows, branches, self.parts.threads)) as done:
            for window, (heard, seen) in done:
                yield window, self.weigh([window], heard, seen)[0]

    def score(self, windows: Sequence[Media]) -> list[WindowResult]:
        """Scores of a batch of windows, of one clip or of many."""
        return self.weigh(windows, self.hear(windows), self.see(windows))

    def weigh(
        self, windows: Sequence[Media], heard: Sequence[Scores], seen: Sequence[Scores]
    ) -> list[WindowResult]:
        """Fuse the scores of ear and eye for each window."""
        fused = self.parts.fusion.fuse(heard, seen)
        marks = marks_of(self.parts.fusion, heard, seen)
        return [
            WindowResult(
                w.start_seconds,
                w.end_seconds,
                h,
                s,
                f,
                self._thresholds(h, s),
                (*w.notes, *w.remarks),
                m,
            )
            for w, h, s, f, m in zip(windows, heard, seen, fused, marks, strict=True)
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
        start, end = window_results[0].start_seconds, window_results[-1].end_seconds
        best, found = class_scores(window_results, self.parts.ear_thresholds)
        scores = dict(zip(self.parts.labels, found, strict=True))
        tagged = [label for label, score in scores.items() if score.fused >= score.threshold]
        shown = fold(tagged) if self.parts.fold else frozenset(tagged)
        tags = [
            self._tag(
                label, window_results[best[k]], score, ending_by(self._events(activity, k), end)
            )
            for k, (label, score) in enumerate(scores.items())
            if label in shown
        ]
        result = Tagged(
            clip=clip,
            duration_seconds=end - start,
            tags=tuple(sorted(tags, key=lambda t: -t.probability)),
            scores=scores,
            keyframes=all_keyframes(window_results),
            ear=_with_status(self.parts.ear, [t.heard.status for t in window_results]),
            eye=_with_status(self.parts.eye, [t.seen.status for t in window_results]),
            run=replace(self.parts.run, seconds=seconds),
            activity=activity,
            notes=tuple(dict.fromkeys(note for t in window_results for note in t.notes)),
        )
        return by_shot(result, _shots(window_results)) if self.parts.by_shot else result

    def hear(self, windows: Sequence[Media]) -> list[Scores]:
        """Scores of the ear for each window."""
        ear = self.parts.ear
        sounds = [w.waveform for w in windows]
        if ear is None:
            return [Scores.silent(self.parts.labels, Status.OFF)] * len(windows)
        with _naming_the_file(windows):
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
        if activity is None:
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
        return Tag(
            label,
            score.fused,
            score.threshold,
            score.heard,
            score.seen,
            events,
            evidence,
            score.mark,
        )


def _shots(window_results: Sequence[WindowResult]) -> list[tuple[float, float]]:
    spans = [(t.start_seconds, t.end_seconds) for t in window_results]
    return shots_between([t.seen.cuts for t in window_results], spans)


@contextmanager
def _naming_the_file(windows: Sequence[Media]) -> Iterator[None]:
    """An ear knows waveforms only; its error names the file whose samples are no numbers."""
    try:
        yield
    except MediaError as error:
        for window in windows:
            sound = window.waveform
            if sound is not None and not np.isfinite(sound.samples).all():
                raise MediaError(window.clip.path, error.reason, error.remedy) from error
        raise


def _with_status(
    branch: AudioBranch | VideoBranch | None, statuses: Sequence[Status]
) -> BranchInfo:
    """The branch with its status on this clip: that of all windows, or DEGRADED if they differ."""
    if branch is None:
        return OFF
    same = all(s is statuses[0] for s in statuses)
    info, status = branch.info, statuses[0] if same else Status.DEGRADED
    return info if info.status is status else replace(info, status=status)


def eye_reporting(eye: VideoBranch | None, details: EyeDetails) -> VideoBranch | None:
    """The eye with these details only, if it can leave any out."""
    return eye.reporting(details) if isinstance(eye, DetailedBranch) else eye


def _is_one(inputs: object) -> bool:
    """An open file, or an array, which is refused with a sentence, and no list of inputs."""
    return hasattr(inputs, "read") or hasattr(inputs, "__array__")
