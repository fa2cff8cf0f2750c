"""From settings to a plan, from a plan to a tagger: which ear, eye, fusion and classes, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger import preset
from av_tagger.audio import ears
from av_tagger.audio.calibration import column_of
from av_tagger.audio.combination import STARTER, calibration_of, part_names
from av_tagger.audio.ear_source import COMBINED, EarSource
from av_tagger.audio.header import Header
from av_tagger.clip import Clip
from av_tagger.config import Config, configure
from av_tagger.devices import check_device_name, find_device
from av_tagger.errors import UsageError
from av_tagger.fusion import LOGIT, LogitFusion, Thresholds, Weighing, file_for_ear, load_fusion
from av_tagger.fusion.file import build
from av_tagger.labels import ClassList, SoundClass, audioset, choose_classes
from av_tagger.media import check_backend, open_media, warm_up
from av_tagger.media.early import EarlyStart, Open
from av_tagger.protocols import AudioBranch, DecodeRequest, EyeDetails, VideoBranch
from av_tagger.scores import BranchInfo, RunInfo, Status
from av_tagger.settings import fingerprint
from av_tagger.tagger import OFF, Parts, Tagger, eye_reporting
from av_tagger.version import __version__
from av_tagger.video import eyes
from av_tagger.video.eye_source import EyeSource

Say = Callable[[str], None]

LABELS_SHOWN = 5
AUDIOSET_LIKE = 500  # so many classes are AudioSet's, whose parents are folded under their kinds
STARTER_KNOWS = (
    "the starter ear knows 17 traffic and warning sounds; `av-tag weights fetch yamnet` adds 521"
)


@dataclass(frozen=True)
class Plan:
    """All that a run needs to know before a network is loaded; picklable, for other processes."""

    config: Config
    classes: ClassList
    ear: EarSource | None
    eye: EyeSource | None
    fusion: Weighing

    @property
    def branches(self) -> tuple[BranchInfo, BranchInfo]:
        """The ear and the eye, as results will name them."""
        return (
            OFF if self.ear is None else self.ear.info,
            OFF if self.eye is None else self.eye.info,
        )

    @property
    def advice(self) -> tuple[str, ...]:
        """What was expected and is not used, and what to do about it."""
        lines = list(preset.described(self.config, self.ear, self.eye))
        lines += [line for part in (self.ear, self.eye) if part for line in part.advice]
        lines += self._fusion_advice()
        if self.ear is not None and self.ear.name == STARTER and self.config.classes is None:
            lines.append(STARTER_KNOWS)
        if self.config.classes is not None and self.ear is not None:
            lines += self._remarks_on_classes(set(self.ear.labels))
        return tuple(lines)

    def _fusion_advice(self) -> list[str]:
        """A fusion file that was fitted to results of another ear or eye."""
        fitted = (self.fusion.fitted_ear, self.fusion.fitted_eye)
        return [
            f"{self.config.fusion}: was fitted to results of the {part} {before}, and this is"
            f" {now.name}; fit it again with av-tag tune, or its thresholds are wrong"
            for part, before, now in zip(("ear", "eye"), fitted, self.branches, strict=True)
            if before and now.status is not Status.OFF and before != now.name
        ]

    def _remarks_on_classes(self, heard: set[str]) -> Iterator[str]:
        """Classes that were asked for and that only the eye, or neither branch, can score."""
        missing, seen = self.unscored, self.classes.labels
        seen = tuple(label for label in seen if label not in heard and label not in missing)
        if seen and self.config.classes != "all":
            yield f"no ear here knows {_list(seen)}: the eye alone decides"
        if missing and self.config.classes != "all":
            yield f"{_list(missing)}: no score, neither ear nor eye knows it; see av-tag classes"

    @property
    def unscored(self) -> tuple[str, ...]:
        """Classes that neither ear nor eye can know: they never get a score."""
        heard = set() if self.ear is None else set(self.ear.labels)
        silent = [c for c in self.classes if c.label not in heard]
        if self.eye is None or not silent:
            return tuple(c.label for c in silent)
        unseen = eyes.never_seen(self.eye, silent)
        return tuple(c.label for c in silent if c.label in unseen)

    @property
    def needs_torch(self) -> bool:
        """Exported ears without an eye are computed by onnxruntime alone."""
        return self.eye is not None or (self.ear is not None and self.ear.needs_torch)

    @property
    def fold(self) -> bool:
        """Whether tags that another tag makes more specific are left out: Animal beside Dog."""
        return self.config.classes in (None, "all") and len(self.classes) >= AUDIOSET_LIKE

    @property
    def fingerprint(self) -> str:
        """Twelve digits that change with whatever changes scores, tags or events."""
        files = [None if part is None else part.identity for part in (self.ear, self.eye)]
        return fingerprint(self.config.numbers(), self.classes.labels, files, _numbers(self.fusion))

    def build(self, device: str | None = None, say: Say | None = None) -> Tagger:
        """Load the networks; `device` replaces that of the settings."""
        place = "cpu"
        if self.needs_torch:
            place = str(find_device(device or self.config.device))
        ear = None if self.ear is None else ears.load(self.ear, place, self.config.hearing)
        eye = None if self.eye is None else eyes.load(self.eye, self.classes, place)
        mark = self.fingerprint
        if eye is not None and self.eye is not None and eye.advice != self.eye.advice:
            mark = fingerprint(mark, eye.advice)  # a broken library: not the results of the plan
            for line in eye.advice[len(self.eye.advice) :]:
                (say or _ignore)(line)
        return self._tagger(ear, eye, RunInfo(__version__, place, mark, 0.0))

    def _tagger(self, ear: AudioBranch | None, eye: VideoBranch | None, run: RunInfo) -> Tagger:
        config = self.config
        by_shot = config.by == "shot"
        parts = Parts(
            labels=self.classes.labels,
            ear=ear,
            eye=eye_reporting(eye, EyeDetails(cuts=by_shot)),
            fusion=self.fusion,
            open=self.open,
            request=self._request(ear, eye),
            events=config.events,
            threshold=config.threshold,
            ear_thresholds=self.fusion.rows.ear,
            run=run,
            fold=self.fold,
            offline=config.offline,
            by_shot=by_shot,
        )
        return Tagger(parts)

    @property
    def open(self) -> Open:
        """Opens clips with the decoder of the settings."""
        config = self.config
        limit = config.media.limit_seconds
        return partial(open_media, backend=config.decoder, limit_seconds=limit)

    def decoding_early(self, clip: Clip) -> EarlyStart | None:
        """Start to decode a clip before networks are loaded; None where only they tell its size."""
        if self.eye is not None and self.eye.short_side is None:
            return None
        return EarlyStart(self.open, clip, self._request(self.ear, self.eye))

    def _request(
        self, ear: EarSource | AudioBranch | None, eye: EyeSource | VideoBranch | None
    ) -> DecodeRequest:
        config, media = self.config, self.config.media
        return DecodeRequest(
            audio_rate=None if ear is None else ear.rate,
            short_side=None if eye is None else eye.short_side,
            frame_rate=config.frame_rate,
            window_seconds=media.window_seconds,
            overlap_seconds=media.overlap_seconds,
            skip_nonref=config.skip_nonref,
        )


def make_plan(config: Config, *, download: bool = True, watch: ears.Watch | None = None) -> Plan:
    """Choose the ear, the eye, the fusion and the classes. Loads no network and no torch.

    Everything that the settings get wrong is refused here. With `download` a missing ear is
    downloaded, with `watch` for its progress; without it the plan says what would be.
    """
    check_device_name(config.device)
    check_backend(config.decoder)
    config = preset.applied(config)
    ear = _ear(config)
    chosen = choose_classes(config.classes, () if ear is None else ear.labels)
    if ear is not None and download:
        ear = ears.fetched(ear, offline=config.offline, watch=watch)
    classes = chosen if config.classes is not None or ear is None else _classes_of(ear, chosen)
    fusion = _fusion(config, classes, ear)
    eye = None if config.only == "ear" else eyes.resolve(config.eye_settings, classes)
    preset.checked(config, ear, eye)
    plan = Plan(config, classes, ear, eye, fusion)
    if len(plan.unscored) == len(classes):
        raise UsageError(_nothing_known(plan))
    return plan


def load(
    config: Config | str | Path | None = None, *, say: Say | None = None, **settings: Any
) -> Tagger:
    """A tagger with the best ear and eye on this machine; keywords set what flags would.

    `load(only="ear", device="cpu")` listens only. `say` is called with each line of advice.
    """
    if not isinstance(config, Config):
        config = configure(Path(config) if config is not None else None, settings)
    plan = make_plan(config)
    for line in plan.advice:
        (say or _ignore)(line)
    warm_up(config.decoder)
    return plan.build(say=say)


def _nothing_known(plan: Plan) -> str:
    """Why no class can get a score."""
    ear = "the ear is off" if plan.ear is None else f"the ear {plan.ear.name} knows none of them"
    eye = "the eye is off"
    if plan.eye is not None:
        blind = plan.eye.recogniser is None or plan.eye.words is None
        eye = "; ".join(plan.eye.advice) if blind else "nothing that can be seen stands for them"
    return f"no class can be scored ({_list(plan.classes.labels)}): {ear}, and {eye}"


def _list(labels: Sequence[str]) -> str:
    """The first labels, and how many more there are."""
    more = len(labels) - LABELS_SHOWN
    return ", ".join(labels[:LABELS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _ignore(_: str) -> None:
    """Advice that the caller did not ask for."""


def _ear(config: Config) -> EarSource | None:
    if config.only == "eye":
        return None
    source = ears.resolve(config.ear, offline=config.offline, calibrated=True)
    if not source.labels:
        raise UsageError(
            f"{source.name} computes embeddings and knows no classes; train an ear on them:"
            f" av-tag train own-classes --set embedder={source.name} --data FOLDER -o RUN"
        )
    return source


def _classes_of(ear: EarSource, default: ClassList) -> ClassList:
    """Everything that the ear knows."""
    if set(ear.labels) == set(default.labels):
        return default
    known = {c.label: c for c in audioset()}
    ids = (ear.header.ids if ear.header is not None else ()) or [""] * len(ear.labels)
    pairs = zip(ear.labels, ids, strict=True)
    return ClassList(tuple(known.get(label) or SoundClass(label, id_) for label, id_ in pairs))


def _fusion(config: Config, classes: ClassList, ear: EarSource | None) -> Weighing:
    """By default in the logit domain, with the thresholds of the ear in use."""
    labels = classes.labels
    if config.fusion != "auto":
        fusion = load_fusion(config.fusion, labels)
        return _completed(fusion, ear, fusion.neutral) if fusion.neutral else fusion
    if ear is None:
        return load_fusion("logit", labels)
    if ear.kind != COMBINED and ear.header is not None:
        return _with_thresholds(ear.header, labels)
    path = file_for_ear(ear.calibrated_as)
    fusion = load_fusion(path, labels)
    return _completed(fusion, ear, labels if path.name == LOGIT else fusion.neutral)


def _completed(fusion: Weighing, ear: EarSource | None, which: tuple[str, ...]) -> Weighing:
    """These classes get the thresholds of the ear's calibration, if it has one."""
    if ear is None or ear.kind != COMBINED:
        return fusion
    calibration = calibration_of(part_names(ear.calibrated_as))
    columns = column_of(fusion.labels, calibration.labels)
    own = np.isin(fusion.labels, which) & (columns >= 0)
    known = calibration.thresholds["f1"][columns]
    both, alone = (np.where(own, known, row) for row in (fusion.rows.both, fusion.rows.ear))
    return fusion.with_thresholds(both=both, ear=alone)


def _with_thresholds(header: Header, labels: tuple[str, ...]) -> Weighing:
    """The thresholds of the ear's header.

    A class that only this ear was trained on is decided by the ear alone: the eye knows its name
    and nothing else.
    """
    try:
        fusion = load_fusion("logit", labels)
    except UsageError:  # a label close to one of the file's, but not the same
        fusion = build("logit", labels, {}, neutral=labels)
    rows = _rows_of(header, fusion)
    taught = set(fusion.neutral) & set(header.labels)
    own = np.array([label in taught for label in labels])
    rows = rows if header.thresholds.both else replace(rows, both=rows.ear)
    assert isinstance(fusion, LogitFusion)
    scales = None if header.thresholds.eye else fusion.scales  # else of thresholds on that scale
    return replace(fusion, rows=rows, scales=scales, gain=np.where(own, 0.0, fusion.gain))


def _rows_of(header: Header, fusion: Weighing) -> Thresholds:
    """The header's thresholds in the order of the fusion's classes."""
    position = {label: k for k, label in enumerate(header.labels)}
    rows = {}
    for name in ("both", "ear", "eye"):
        row = getattr(fusion.rows, name).copy()
        known = getattr(header.thresholds, name)
        for k, label in enumerate(fusion.labels):
            if known and label in position:
                row[k] = known[position[label]]
        rows[name] = row
    return Thresholds(**rows)


def _numbers(fusion: Weighing) -> dict[str, Any]:
    rows = {name: getattr(fusion.rows, name).tolist() for name in ("both", "ear", "eye")}
    shares = ("weights", "gain", "against")
    kept = {name: np.asarray(getattr(fusion, name, [])).tolist() for name in shares}
    family = getattr(fusion, "family", ())
    found = rows | kept | {"kind": type(fusion).__name__, "family": list(family)}
    if fusion.scales is not None:
        found["scales"] = [fusion.scales.columns(k) for k in range(len(fusion.labels))]
    return found
