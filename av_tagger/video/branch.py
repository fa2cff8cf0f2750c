"""The eye: frames of many clips in, what was seen in them and why out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Frames, Images
from av_tagger.labels import ClassList
from av_tagger.precision import parse_precision
from av_tagger.protocols import (
    FrameFeatures,
    KeyframeSelector,
    Recogniser,
    Representatives,
    WordSpace,
)
from av_tagger.scores import BranchInfo, Evidence, KeyFrame, Scores, Status
from av_tagger.settings import check_range
from av_tagger.stages import stage
from av_tagger.video.assign import Assignment, How, evidence, rectify, shares, summarise
from av_tagger.video.cuts import cut_times
from av_tagger.video.imagenet import short
from av_tagger.video.words import RuleName

PICTURE_SIDE = 320  # pixels of the longer side of a kept picture
MOST_EVIDENCE = 5  # per class
MOST_OBJECTS = 5  # per key frame
PRECISIONS = ("auto", "float32", "bfloat16", "int8")


@dataclass(frozen=True)
class EyeSettings:
    """How the eye looks. `auto`: the paper's network (AV section 2.2) if here, else the best that
    is.

    Rule and assignment `auto`: evidence, and the paper's with `--fusion paper`.
    """

    network: str = "auto"  # alexnet, alexnet_grouped, efficientnet_lite2, timm:NAME, thumbnail
    layer: str = "conv5"  # of an AlexNet
    selector: str = "sparse"  # cvxpy, uniform, kmeans, kmedoids
    keyframes: int = 4  # per window
    recogniser: str = "auto"  # inception_v4, efficientnet_lite2, any of timm, torchvision:NAME
    keep: int = 10  # objects kept when rectifying
    rule: Literal["auto", "ours", "paper"] = "auto"  # how objects and classes are compared
    assignment: Literal["auto", "evidence", "hard", "soft"] = "auto"  # objects to classes
    floor: float | None = None  # below it an object is no evidence, or gives nothing
    temperature: float = 0.05  # of the soft assignment
    batch: int = 0  # pictures a network sees at once; 0: what suits the device
    frame_rate: float | None = None  # candidate frames a second; None: every frame
    precision: str = "auto"  # or float32, bfloat16, int8
    network_weights: Path | None = None  # None: looked for in the weights folders
    recogniser_weights: Path | None = None  # the same for the recogniser
    words: Path | None = None  # a file of GloVe vectors
    pictures: bool = True  # keep a small JPEG of each key frame

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", parse_precision(self.precision, PRECISIONS))
        check_range(self, 1, 1000, "keyframes", "keep")
        check_range(self, 0, 4096, "batch")
        check_range(self, 1e-3, 1000.0, "frame_rate")
        check_range(self, 0.0, 1.0, "floor")
        check_range(self, 1e-6, 1e6, "temperature")

    @property
    def sharing(self) -> Assignment:
        how: How = "evidence" if self.assignment == "auto" else self.assignment
        return Assignment(how, self.floor, self.temperature)

    @property
    def word_rule(self) -> RuleName:
        return "ours" if self.rule == "auto" else self.rule

    def as_in_the_paper(self) -> EyeSettings:
        """The paper's rule and assignment wherever nothing else was asked for."""
        rule = "paper" if self.rule == "auto" else self.rule
        assignment = "hard" if self.assignment == "auto" else self.assignment
        return replace(self, rule=rule, assignment=assignment)


@dataclass(frozen=True)
class EyeParts:
    """What an eye is made of; any part can be another that keeps the same promise."""

    features: FrameFeatures
    selector: KeyframeSelector
    recogniser: Recogniser | None
    words: WordSpace | None
    short_side: int = 342
    degraded: bool = False  # the features are those of a thumbnail
    advice: tuple[str, ...] = field(default=())  # what is missing, and what to do about it


@dataclass(frozen=True)
class Shown:
    """A clip, its key frames, and what is in them."""

    film: Frames
    chosen: Representatives
    pictures: Images  # RGB
    objects: NDArray[np.float64] | None  # (key frames, objects) rectified probabilities


class SparseEye:
    """A `VideoBranch`: key frames by sparse coding, objects in them, evidence for sound classes."""

    def __init__(self, parts: EyeParts, classes: ClassList, settings: EyeSettings) -> None:
        self.parts, self.settings = parts, settings
        self._labels = classes.labels
        self._similarity: NDArray[np.float32] = np.empty((0, len(classes)), dtype=np.float32)
        self._names = (
            [short(name) for name in parts.recogniser.objects]
            if parts.recogniser is not None
            else []
        )
        if parts.recogniser is not None and parts.words is not None:
            self._similarity = parts.words.similarity(parts.recogniser.objects, self._labels)

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    @property
    def short_side(self) -> int:
        return self.parts.short_side

    @property
    def frame_rate(self) -> float | None:
        return self.settings.frame_rate

    @property
    def advice(self) -> tuple[str, ...]:
        return self.parts.advice

    @property
    def arithmetic(self) -> str:
        """Number formats of the networks, as chosen for the processor; for --verbose."""
        compute = {"frame features": self.parts.features, "recognition": self.parts.recogniser}
        known = {what: getattr(part, "how", None) for what, part in compute.items()}
        return ", ".join(
            f"{what} in {how.arithmetic}" for what, how in known.items() if how is not None
        )

    @property
    def status(self) -> Status:
        if self.parts.recogniser is None or self.parts.words is None:
            return Status.NO_WEIGHTS
        return Status.DEGRADED if self.parts.degraded else Status.OK

    @property
    def info(self) -> BranchInfo:
        parts = self.parts
        seen_by = parts.recogniser.info if parts.recogniser is not None else None
        names = [
            parts.features.name,
            parts.selector.name,
            seen_by.model if seen_by else "no recogniser",
        ]
        words = (
            f"{seen_by.weights}, {parts.words.name}"
            if seen_by and parts.words is not None
            else None
        )
        return BranchInfo(self.status, ", ".join(names), words)

    def see(self, clips: Sequence[Frames]) -> list[Scores]:
        """Features, key frames and recognition, each in one batched call over all clips."""
        films = [clip for clip in clips if len(clip)]
        if not films:
            return [Scores.silent(self.labels, Status.NO_TRACK) for _ in clips]
        with stage("features"):
            features = self.parts.features.describe(films)
        with stage("key frames"):
            chosen = self.parts.selector.select(features, self.settings.keyframes)
            pictures = [film.rgb(pick.rows) for film, pick in zip(films, chosen, strict=True)]
        with stage("recognise"):
            objects = self._recognise(pictures)
        with stage("words"):
            shown = [Shown(*item) for item in zip(films, chosen, pictures, objects, strict=True)]
            cuts = [
                cut_times(*item) for item in zip(features, (f.times for f in films), strict=True)
            ]
            scores = [self._score(one) for one in shown]
            seen = iter([replace(s, cuts=c) for s, c in zip(scores, cuts, strict=True)])
        return [
            next(seen) if len(clip) else Scores.silent(self.labels, Status.NO_TRACK)
            for clip in clips
        ]

    def _recognise(self, pictures: Sequence[Images]) -> list[NDArray[np.float64] | None]:
        """(key frames, objects) rectified probabilities of each clip."""
        if self.parts.recogniser is None:
            return [None] * len(pictures)
        found = rectify(
            self.parts.recogniser.recognise([image for group in pictures for image in group]),
            self.settings.keep,
        )
        return list(np.split(found, np.cumsum([len(group) for group in pictures])[:-1]))

    def _score(self, shown: Shown) -> Scores:
        film, chosen, objects = shown.film, shown.chosen, shown.objects
        keyframes = tuple(self._keyframe(shown, i) for i in range(len(chosen.rows)))
        if objects is None or self.parts.words is None:
            return replace(Scores.silent(self.labels, self.status), keyframes=keyframes)
        probabilities, given = self._classes_of(objects)
        times, best = film.times[chosen.rows], objects.argmax(axis=0)  # where each is seen best
        sight = [(float(times[row]), float(objects[row, i])) for i, row in enumerate(best)]
        evidence = {
            label: self._evidence(given[:, k], k, sight)
            for k, label in enumerate(self.labels)
            if probabilities[k] > 0
        }
        return Scores(
            self.labels, probabilities, self.status, evidence=evidence, keyframes=keyframes
        )

    def _classes_of(
        self, objects: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(classes,) probabilities, NaN: no score; and what each object gave to each class."""
        sharing = self.settings.sharing
        if sharing.how == "evidence":
            return evidence(objects, self._similarity, sharing)
        summary = summarise(objects, self.settings.keep)
        given = summary[:, None] * shares(self._similarity, sharing)
        return given.sum(axis=0).clip(0.0, 1.0), given

    def _evidence(
        self, given: NDArray[np.float64], k: int, sight: Sequence[tuple[float, float]]
    ) -> tuple[Evidence, ...]:
        """The objects that give most to class k.

        Each with the probability that it has in its key frame, as `KeyFrame.objects` has it, and
        not with the part of it that the class gets.
        """
        strongest = np.argsort(-given, kind="stable")[:MOST_EVIDENCE]
        return tuple(
            Evidence(sight[i][0], self._names[i], sight[i][1], float(self._similarity[i, k]))
            for i in strongest
            if given[i] > 0
        )

    def _keyframe(self, shown: Shown, i: int) -> KeyFrame:
        picture = small_jpeg(shown.pictures[i]) if self.settings.pictures else None
        named = () if shown.objects is None else self._best_named(shown.objects[i])
        return KeyFrame(
            float(shown.film.times[shown.chosen.rows[i]]),
            float(shown.chosen.weights[i]),
            named,
            picture,
        )

    def _best_named(self, objects: NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
        best = np.argsort(-objects, kind="stable")[:MOST_OBJECTS]
        return tuple((self._names[o], float(objects[o])) for o in best if objects[o] > 0)


def small_jpeg(image: Images, side: int = PICTURE_SIDE) -> bytes:
    """A picture for people: its longer side at most `side` pixels."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
