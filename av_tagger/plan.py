"""From settings to a plan, from a plan to a tagger: which ear, eye, fusion and classes, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger import weights
from av_tagger.audio import ears
from av_tagger.audio.ear_source import EarSource
from av_tagger.audio.header import Header
from av_tagger.audio.known.families import FAMILIES
from av_tagger.config import Config, configure
from av_tagger.devices import check_device_name, find_device
from av_tagger.errors import UsageError
from av_tagger.fusion import Thresholds, Weighing, WeightedFusion, load_fusion
from av_tagger.labels import ClassList, SoundClass, audioset, choose_classes
from av_tagger.media import make_backend, open_media, warm_up
from av_tagger.protocols import AudioBranch, DecodeRequest, VideoBranch
from av_tagger.scores import BranchInfo, RunInfo
from av_tagger.settings import fingerprint
from av_tagger.tagger import OFF, Parts, Tagger
from av_tagger.version import __version__
from av_tagger.video import eyes
from av_tagger.video.eye_source import EyeSource

Say = Callable[[str], None]


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
        return tuple(line for part in (self.ear, self.eye) if part for line in part.advice)

    @property
    def fingerprint(self) -> str:
        """Twelve digits that change with whatever changes scores, tags or events."""
        files = [None if part is None else part.identity for part in (self.ear, self.eye)]
        return fingerprint(self.config.numbers(), self.classes.labels, files, _numbers(self.fusion))

    def build(self, device: str | None = None, say: Say | None = None) -> Tagger:
        """Load the networks; `device` replaces that of the settings."""
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
        config, media = self.config, self.config.media
        opener = partial(open_media, backend=config.decoder, limit_seconds=media.limit_seconds)
        request = DecodeRequest(
            audio_rate=None if ear is None else ear.rate,
            short_side=None if eye is None else eye.short_side,
            frame_rate=config.frame_rate,
            window_seconds=media.window_seconds,
            overlap_seconds=media.overlap_seconds,
            skip_nonref=config.skip_nonref,
        )
        parts = Parts(
            labels=self.classes.labels,
            ear=ear,
            eye=eye,
            fusion=self.fusion,
            open=opener,
            request=request,
            events=config.events,
            threshold=config.threshold,
            ear_thresholds=self.fusion.rows.ear,
            run=run,
        )
        return Tagger(parts)


def make_plan(config: Config, *, download: bool = True) -> Plan:
    """Choose the ear, the eye, the fusion and the classes. Loads no network and no torch.

    Everything that the settings get wrong is refused here. With `download` a missing ear is
    downloaded; without it the plan says what would be.
    """
    check_device_name(config.device)
    make_backend(config.decoder)
    chosen = choose_classes(config.classes)
    ear = _ear(config, download=download)
    classes = chosen if config.classes is not None else _classes_of(ear, chosen)
    fusion = _fusion(config, classes, ear)
    eye = None if config.only == "ear" else eyes.resolve(config.eye_settings, classes)
    return Plan(config, classes, ear, eye, fusion)


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


def _ignore(_: str) -> None:
    """Advice that the caller did not ask for."""


def _ear(config: Config, *, download: bool) -> EarSource | None:
    if config.only == "eye":
        return None
    source = ears.resolve(config.ear, offline=config.offline)
    if not source.labels:
        raise UsageError(
            f"{source.name} computes embeddings and knows no classes; train an ear on them:"
            f" av-tag train own-classes --set embedder={source.name} --data FOLDER -o RUN"
        )
    return ears.fetched(source, offline=config.offline) if download else source


def _classes_of(ear: EarSource | None, default: ClassList) -> ClassList:
    """A trained ear answers for the classes that it was trained on."""
    header = None if ear is None else ear.header
    if header is None or set(header.labels) == set(default.labels):
        return default
    known = {c.label: c for c in audioset()}
    ids = header.ids or [""] * len(header.labels)
    pairs = zip(header.labels, ids, strict=True)
    return ClassList(tuple(known.get(label) or SoundClass(label, id_) for label, id_ in pairs))


def _fusion(config: Config, classes: ClassList, ear: EarSource | None) -> Weighing:
    """By default the paper's weights, with thresholds for the ear in use where there are any."""
    if config.fusion != "auto":
        return load_fusion(config.fusion, classes.labels)
    if ear is not None and ear.kind in FAMILIES:
        tuned = weights.find(f"fusion.{ear.kind}.json")
        if tuned is not None:
            return load_fusion(tuned, classes.labels)
    if ear is not None and ear.header is not None:
        return _with_thresholds(ear.header, classes.labels)
    return load_fusion("paper", classes.labels)


def _with_thresholds(header: Header, labels: tuple[str, ...]) -> Weighing:
    """The thresholds of the ear's header.

    A class that only this ear was trained on is decided by the ear alone: the eye knows its name
    and nothing else.
    """
    try:
        fusion = load_fusion("paper", labels)
    except UsageError:  # a label close to one of the paper's, but not the same
        fusion = replace(load_fusion("even", labels), neutral=labels)
    rows = _rows_of(header, fusion)
    taught = set(fusion.neutral) & set(header.labels) if not header.thresholds.both else set()
    own = np.array([label in taught for label in labels])
    rows = Thresholds(np.where(own, rows.ear, rows.both), rows.ear, rows.eye)
    assert isinstance(fusion, WeightedFusion)
    return replace(fusion, rows=rows, weights=np.where(own, 1.0, fusion.weights))


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
    kept = np.asarray(getattr(fusion, "weights", [])).tolist()
    return rows | {"kind": type(fusion).__name__, "weights": kept}
