"""The eye: frames of many clips in, what was seen in them and why out."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Frames, Images
from av_tagger.labels import ClassList
from av_tagger.precision import parse_precision
from av_tagger.protocols import (
    EyeDetails,
    FrameFeatures,
    FrameRecogniser,
    KeyframeSelector,
    LocatingRecogniser,
    Recogniser,
    Representatives,
    WordSpace,
)
from av_tagger.scores import BranchInfo, KeyFrame, Scores, Status
from av_tagger.settings import check_range
from av_tagger.small_pictures import request_jpegs, small_jpeg
from av_tagger.stages import stage
from av_tagger.video.assign import Assignment, How, rectify
from av_tagger.video.imagenet import short
from av_tagger.video.locate import located
from av_tagger.video.reasons import Reasons
from av_tagger.video.still import merge_still
from av_tagger.video.words import RuleName

if TYPE_CHECKING:
    from torch import Tensor

Objects = tuple[tuple[str, float], ...]  # of a key frame: name and probability
Jpegs = Callable[[], Sequence[bytes | None]]  # of the key frames of a clip; waits for them
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
    still: float = 0.0  # of 255; frames that change less share their features (may change tags)
    pictures: bool = True  # keep a small JPEG of each key frame
    where: bool = False  # say where in the key frame the evidence of a class is seen

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", parse_precision(self.precision, PRECISIONS))
        check_range(self, 1, 1000, "keyframes", "keep")
        check_range(self, 0, 4096, "batch")
        check_range(self, 1e-3, 1000.0, "frame_rate")
        check_range(self, 0.0, 1.0, "floor")
        check_range(self, 1e-6, 1e6, "temperature")
        check_range(self, 0.0, 255.0, "still")

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


class SparseEye:
    """A `VideoBranch`: key frames by sparse coding, objects in them, evidence for sound classes."""

    def __init__(self, parts: EyeParts, classes: ClassList, settings: EyeSettings) -> None:
        self.parts, self.settings, self.details = parts, settings, EyeDetails()
        self._labels = classes.labels
        names: list[str] = []
        similarity: NDArray[np.float32] = np.empty((0, len(classes)), dtype=np.float32)
        if parts.recogniser is not None:
            names = [short(name) for name in parts.recogniser.objects]
        if parts.recogniser is not None and parts.words is not None:
            similarity = parts.words.similarity(parts.recogniser.objects, self._labels)
        # Once: `isinstance` of a protocol looks at every name.
        self._of_frames = _frame_recogniser(parts.recogniser)
        self._reasons = Reasons(self._labels, names, similarity, settings.sharing, settings.keep)

    def reporting(self, details: EyeDetails) -> SparseEye:
        """The same eye, which leaves out the other details."""
        other = copy.copy(self)
        other.details = details
        return other

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
            still = self.settings.still
            moving = [merge_still(film, still) for film in films] if still else films
            features = self.parts.features.describe(moving)
        with stage("key frames"):
            chosen = self.parts.selector.select(features, self.settings.keyframes)
        with stage("recognise"):
            pictures = self._pictures(films, chosen)
            jpegs = self._request_jpegs(films, chosen, pictures)
            objects = self._recognise(films, chosen, pictures)
        with stage("words"):
            cuts = self._cuts(features, films)
            named = self._named(objects, chosen)
        with stage("pictures"):
            frames = list(map(self._keyframes, films, chosen, named, jpegs))
        with stage("words"):
            seen = iter(list(map(self._score, films, chosen, objects, frames, pictures, cuts)))
        return [
            next(seen) if len(clip) else Scores.silent(self.labels, Status.NO_TRACK)
            for clip in clips
        ]

    def _cuts(
        self, features: Sequence[Tensor], films: Sequence[Frames]
    ) -> Sequence[tuple[float, ...]]:
        from av_tagger.video.cuts import cuts_of  # torch; settings are read without it

        if not self.details.cuts:
            return [()] * len(films)
        return cuts_of(features, [film.times for film in films])

    def _pictures(
        self, films: Sequence[Frames], chosen: Sequence[Representatives]
    ) -> list[Images | None]:
        """RGB key frames of each clip, where the recogniser reads them."""
        reads = self.parts.recogniser is not None and self._of_frames is None
        if not (reads or self.settings.where):
            return [None] * len(films)
        return [film.rgb(pick.rows) for film, pick in zip(films, chosen, strict=True)]

    def _request_jpegs(
        self,
        films: Sequence[Frames],
        chosen: Sequence[Representatives],
        pictures: Sequence[Images | None],
    ) -> list[Jpegs]:
        """Requested before the recognition, which takes its time; the same for each clip."""
        return list(map(self._jpegs_of, films, chosen, pictures))

    def _jpegs_of(self, film: Frames, chosen: Representatives, pictures: Images | None) -> Jpegs:
        """By the decoding process; those that are here in RGB anyway cost less here."""
        if not (self.settings.pictures and self.details.pictures):
            return lambda: [None] * len(chosen.rows)
        if pictures is None:
            return request_jpegs(film, chosen.rows)
        return lambda: [small_jpeg(image) for image in pictures]

    def _recognise(
        self,
        films: Sequence[Frames],
        chosen: Sequence[Representatives],
        pictures: Sequence[Images | None],
    ) -> list[NDArray[np.float64] | None]:
        """(key frames, objects) rectified probabilities of each clip."""
        recogniser = self.parts.recogniser
        if recogniser is None:
            return [None] * len(films)
        rows = [pick.rows for pick in chosen]
        found = (
            self._of_frames.recognise_frames(films, rows)
            if self._of_frames is not None
            else recogniser.recognise([i for group in pictures if group is not None for i in group])
        )
        ends = np.cumsum([len(group) for group in rows])[:-1]
        return list(np.split(rectify(found, self.settings.keep), ends))

    def _named(
        self, objects: Sequence[NDArray[np.float64] | None], chosen: Sequence[Representatives]
    ) -> list[Sequence[Objects]]:
        """For each clip the objects of its key frames, found for all clips at once."""
        known = [one for one in objects if one is not None]
        if not (known and self.details.objects):
            return [[()] * len(pick.rows) for pick in chosen]
        named = iter(self._reasons.named(np.concatenate(known)))
        return [list(itertools.islice(named, len(pick.rows))) for pick in chosen]

    @staticmethod
    def _keyframes(
        film: Frames, chosen: Representatives, named: Sequence[Objects], jpegs: Jpegs
    ) -> tuple[KeyFrame, ...]:
        seconds = film.times[chosen.rows].tolist()
        return tuple(map(KeyFrame, seconds, chosen.weights.tolist(), named, jpegs()))

    def _score(  # what the steps before found in one clip
        self,
        film: Frames,
        chosen: Representatives,
        objects: NDArray[np.float64] | None,
        keyframes: tuple[KeyFrame, ...],
        pictures: Images | None,
        cuts: tuple[float, ...],
    ) -> Scores:
        seconds = film.times[chosen.rows]
        if objects is None or self.parts.words is None:
            silent = Scores.silent(self.labels, self.status)
            return replace(silent, keyframes=keyframes, cuts=cuts)
        probabilities, evidence = self._reasons.explain(objects, seconds)
        recogniser = self.parts.recogniser if self.settings.where else None
        if isinstance(recogniser, LocatingRecogniser) and pictures is not None:
            names = self._reasons.names
            evidence = located(evidence, recogniser, names, objects, seconds, pictures)
        return Scores(
            self.labels,
            probabilities,
            self.status,
            evidence=evidence,
            keyframes=keyframes,
            cuts=cuts,
        )


def _frame_recogniser(recogniser: Recogniser | None) -> FrameRecogniser | None:
    reads = isinstance(recogniser, FrameRecogniser) and recogniser.reads_frames
    return cast("FrameRecogniser", recogniser) if reads else None
