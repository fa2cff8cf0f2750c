"""From settings to a tagger: which ear, eye and weights, and in one sentence why not better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger import __version__, weights
from av_tagger.audio.calibration import column_of
from av_tagger.audio.combined import CombinedEar
from av_tagger.audio.ears import (
    PUBLISHED,
    STARTER,
    YAMNET,
    best_ear,
    best_published,
    fetch,
    full_name,
    load_named,
    load_part,
)
from av_tagger.clip import Clip
from av_tagger.config import Config, check_device, configure
from av_tagger.errors import AvTaggerError, MediaError, UsageError, WeightsError
from av_tagger.fusion import Thresholds, Weighing, WeightedFusion, load_fusion
from av_tagger.labels import ClassList, SoundClass, audioset, choose_classes
from av_tagger.media import make_backend, open_media, warm_up
from av_tagger.protocols import AudioBranch, DecodeRequest, VideoBranch
from av_tagger.scores import Failed, RunInfo
from av_tagger.tagger import Parts, Tagger

Say = Callable[[str], None]

AUDIOSET_LIKE = 500  # so many classes are AudioSet's, whose parents are folded under their kinds
STARTER_KNOWS = (
    "the starter ear listens: it knows 17 traffic and warning sounds; "
    "`av-tag weights fetch yamnet` adds 521"
)


def load(
    config: Config | str | Path | None = None, *, say: Say | None = None, **settings: Any
) -> Tagger:
    """A tagger of the best that is on this machine; `load(only="ear", device="cpu")` sets flags."""
    if not isinstance(config, Config):
        config = configure(Path(config) if config is not None else None, settings)
    speak = say or (lambda _: None)
    device = check_device(config.device)
    make_backend(config.decoder)
    warm_up(config.decoder)
    ear = _ear(config, device, speak)
    classes = _classes(config, ear)
    fusion = _fusion(config, classes, ear)
    eye = _eye(config, classes, device, speak)
    request = DecodeRequest(
        audio_rate=ear.rate if ear is not None else None,
        short_side=eye.short_side if eye is not None else None,
        frame_rate=config.frame_rate,
        window_seconds=config.media.window_seconds,
        overlap_seconds=config.media.overlap_seconds,
        skip_nonref=config.skip_nonref,
    )
    run = RunInfo(
        __version__,
        device,
        config.fingerprint(classes.labels, *map(_identity, (ear, eye)), _numbers(fusion)),
        0.0,
    )
    opener = partial(open_media, backend=config.decoder, limit_seconds=config.media.limit_seconds)
    return Tagger(
        Parts(
            classes.labels,
            ear,
            eye,
            fusion,
            opener,
            request,
            config.events,
            config.threshold,
            fusion.rows.ear,
            run,
            config.classes in (None, "all") and len(classes) >= AUDIOSET_LIKE,
        )
    )


def _ear(config: Config, device: str, say: Say) -> AudioBranch | None:
    if config.only == "eye":
        return None
    told: list[str] = []
    chosen = config.ear != "auto"
    name = config.ear if chosen else best_ear(offline=config.offline, say=told.append)
    try:
        ear = load_named(name, device, config.hearing, offline=config.offline)
    except WeightsError as error:
        if chosen or name == STARTER:
            raise
        told.append(str(error))
        ear = load_named(STARTER, device, config.hearing, offline=config.offline)
    if ear.info.model == STARTER and (told or config.classes is None):
        told.append(STARTER_KNOWS)
    if told:
        say("; ".join(told))
    return ear


def _classes(config: Config, ear: AudioBranch | None) -> ClassList:
    """What was asked for; by default everything that the ear knows."""
    usual = choose_classes(config.classes)
    if config.classes is not None or ear is None or set(ear.labels) == set(usual.labels):
        return usual
    known = {c.label: c for c in audioset()}
    ids = getattr(getattr(ear, "header", None), "ids", ()) or [""] * len(ear.labels)
    return ClassList(
        tuple(
            known.get(label) or SoundClass(label, id_)
            for label, id_ in zip(ear.labels, ids, strict=True)
        )
    )


def _eye(config: Config, classes: ClassList, device: str, say: Say) -> VideoBranch | None:
    if config.only == "ear":
        return None
    from av_tagger.video.load import load_eye

    eye = load_eye(config.looking, classes, device, offline=config.offline)
    for advice in eye.advice:
        say(advice)
    return eye


def _fusion(config: Config, classes: ClassList, ear: AudioBranch | None) -> Weighing:
    """The paper's weights by default, with thresholds calibrated for the ear in use where such are known."""
    if config.fusion != "auto":
        return _completed(load_fusion(config.fusion, classes.labels), ear)
    family = ear.info.model if ear is not None else ""
    own = weights.find(f"fusion.{family}.json") if family else None
    if own is not None:
        return load_fusion(own, classes.labels)
    if isinstance(ear, CombinedEar):
        return _with_calibration(ear, classes.labels)
    header = getattr(ear, "header", None)
    return (
        load_fusion("paper", classes.labels)
        if header is None
        else _with_own(header, classes.labels)
    )


def _with_calibration(ear: CombinedEar, labels: tuple[str, ...]) -> Weighing:
    """The thresholds that an ear's calibration brings, for what is heard."""
    fusion = load_fusion("paper", labels)
    return fusion.with_thresholds(ear=_own_thresholds(ear, fusion.rows.ear, labels))


def _completed(fusion: Weighing, ear: AudioBranch | None) -> Weighing:
    """Classes that a fusion file does not name get the ear's own thresholds."""
    if not isinstance(ear, CombinedEar) or not fusion.neutral:
        return fusion
    own = _own_thresholds(ear, fusion.rows.ear, fusion.labels)
    neutral = np.isin(fusion.labels, fusion.neutral)
    return fusion.with_thresholds(ear=np.where(neutral, own, fusion.rows.ear))


def _own_thresholds(
    ear: CombinedEar, otherwise: NDArray[np.float64], labels: tuple[str, ...]
) -> NDArray[np.float64]:
    columns = column_of(labels, ear.labels)
    return np.where(columns >= 0, ear.thresholds["f1"][columns], otherwise)


def _with_own(header: Any, labels: tuple[str, ...]) -> Weighing:
    """The ear's thresholds. A class that only this ear was taught is its alone to decide: the eye has no more than a name to go by."""
    try:
        fusion = load_fusion("paper", labels)
    except UsageError:  # a label that looks like one of the paper's, misspelt
        fusion = replace(load_fusion("even", labels), neutral=labels)
    rows = _rows_of(header, fusion)
    taught = set(fusion.neutral) & set(header.labels) if not header.thresholds.both else set()
    own = np.array([label in taught for label in labels])
    rows = Thresholds(np.where(own, rows.ear, rows.both), rows.ear, rows.eye)
    assert isinstance(fusion, WeightedFusion)
    return replace(fusion, rows=rows, weights=np.where(own, 1.0, fusion.weights))


def _rows_of(header: Any, fusion: Weighing) -> Thresholds:
    """The threshold rows that an ear's own header carries, in the fusion's class order."""
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


def _identity(branch: AudioBranch | VideoBranch | None) -> list[str | None]:
    return (
        [None]
        if branch is None
        else [branch.info.model, branch.info.weights, str(branch.info.status), _digest(branch)]
    )


def _digest(branch: AudioBranch | VideoBranch) -> str:
    return branch.calibration.digest if isinstance(branch, CombinedEar) else ""


def _numbers(fusion: Weighing) -> dict[str, Any]:
    rows = {name: getattr(fusion.rows, name).tolist() for name in ("both", "ear", "eye")}
    return rows | {"kind": type(fusion).__name__, "weights": getattr(fusion, "weights", [])}


class Embedder:
    """An ear used for what it knows before it decides."""

    def __init__(self, ear: Any, name: str, backend: str = "pyav") -> None:
        self.ear = ear
        self.name = name  # by which it is found again
        self.width = int(ear.network.width)
        self._open = partial(open_media, backend=backend)

    def embed(
        self, items: Sequence[Clip | Failed]
    ) -> tuple[dict[str, NDArray[np.float32]], list[Failed]]:
        """One row a second of each clip; clips that cannot be read, and those without sound, by themselves."""
        rows: dict[str, NDArray[np.float32]] = {}
        failed = [item for item in items if isinstance(item, Failed)]
        for clip in (item for item in items if isinstance(item, Clip)):
            try:
                rows[clip.name] = self.embed_one(clip)
            except AvTaggerError as error:
                failed.append(Failed(clip, error.kind, str(error)))
        return rows, failed

    def embed_one(self, clip: Clip) -> NDArray[np.float32]:
        """(seconds, width)."""
        request = DecodeRequest(
            audio_rate=self.ear.rate,
            short_side=None,
            window_seconds=EMBEDDING_WINDOW,
            overlap_seconds=0.0,
        )
        sounds = [
            w.waveform
            for w in self._open(clip, request)
            if w.waveform is not None and len(w.waveform.samples)
        ]
        if not sounds:
            raise MediaError(clip.path, "has no sound to embed", "leave it out")
        return np.concatenate(self.ear.embed(sounds))


def load_embedder(ear: str, device: str = "auto", *, offline: bool = False) -> Embedder:
    name = embedder_name(ear, offline=offline)
    loaded = load_part(name, check_device(device), offline=offline)
    if not hasattr(loaded, "embed"):
        known = ", ".join(sorted(PUBLISHED))
        raise UsageError(f"the ear {ear!r} gives no embeddings; known: {known}")
    return Embedder(loaded, name)


def embedder_name(ear: str, *, offline: bool = False) -> str:
    """The name by which an ear is found again, on another day and another machine.

    `auto` is the best that is here or can be fetched.
    """
    if Path(ear).is_file():
        return str(Path(ear).resolve())
    if ear != "auto":
        return full_name(ear)
    here = best_published()
    if here is None:
        fetch(YAMNET, offline=offline)
    return here or YAMNET


EMBEDDING_WINDOW = 10.0  # seconds, a whole number: each second of a file is one row
