"""From settings to a tagger: which ear, which eye, which weights, and in one sentence why not better ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger import __version__, weights
from av_tagger.audio.branch import load_ear
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

# From best to least; the published mAP on AudioSet decides.
BEST_EARS = ("efficientat.mn20", "efficientat.mn10", "efficientat.mn04", "yamnet")
FETCHED_EAR = "efficientat.mn10"  # what is fetched when none is there: 19 MB, and nearly as good as the largest


def load(
    config: Config | str | Path | None = None, *, say: Say | None = None, **settings: Any
) -> Tagger:
    """A tagger. `load()` takes the best of what is on this machine; `load(only="ear", device="cpu")` sets what a flag would."""
    if not isinstance(config, Config):
        config = configure(Path(config) if config is not None else None, settings)
    speak = say or (lambda _: None)
    device = check_device(config.device)
    make_backend(config.decoder)
    warm_up(config.decoder)
    chosen = choose_classes(config.classes)
    ear = _ear(config, device, speak)
    classes = chosen if config.classes is not None else _classes_of(ear, chosen)
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
        )
    )


def _ear(config: Config, device: str, say: Say) -> AudioBranch | None:
    if config.only == "eye":
        return None
    if config.ear != "auto":
        return _named_ear(config.ear, config, device)
    name = _best_here()
    if name is None and not config.offline:
        name = _fetched(say)
    try:
        return _named_ear(name or "starter", config, device)
    except WeightsError as error:
        if name is None:
            raise
        say(f"{error}; the starter ear takes its place")
        return _named_ear("starter", config, device)


def _best_here() -> str | None:
    return next((name for name in BEST_EARS if weights.locate(name) is not None), None)


def _fetched(say: Say) -> str | None:
    """Fetch the ear that suits most people; offline that is found out in under a second and costs nothing but quality."""
    try:
        weights.fetch(FETCHED_EAR)
    except AvTaggerError as error:
        say(f"a better ear is not here, the starter listens instead: {error}")
        return None
    return FETCHED_EAR


def _named_ear(name: str, config: Config, device: str) -> AudioBranch:
    kind, _, size = name.replace(":", ".", 1).partition(".")
    if kind in ("efficientat", "yamnet") and not Path(name).exists():
        from av_tagger.audio.known.ear import load as load_known

        return load_known(
            f"{kind}.{size or 'mn10'}" if kind == "efficientat" else kind,
            device,
            offline=config.offline,
        )
    if Path(name).suffix == ".pt":
        from av_tagger.audio.known.ear import load as load_known

        return load_known(name, device)
    return load_ear(name, device, config.hearing, offline=config.offline)


def _classes_of(ear: AudioBranch | None, usual: ClassList) -> ClassList:
    """An ear that somebody trained is asked for the classes that it was trained on."""
    header = getattr(ear, "header", None)
    if header is None or set(header.labels) == set(usual.labels):
        return usual
    known = {c.label: c for c in audioset()}
    ids = header.ids or [""] * len(header.labels)
    return ClassList(
        tuple(
            known.get(label) or SoundClass(label, id_)
            for label, id_ in zip(header.labels, ids, strict=True)
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
        return load_fusion(config.fusion, classes.labels)
    family = ear.info.model if ear is not None else ""
    own = weights.find(f"fusion.{family}.json") if family else None
    if own is not None:
        return load_fusion(own, classes.labels)
    header = getattr(ear, "header", None)
    return (
        load_fusion("paper", classes.labels)
        if header is None
        else _with_own(header, classes.labels)
    )


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
        else [branch.info.model, branch.info.weights, str(branch.info.status)]
    )


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
    loaded = _named_ear(name, Config(ear=name, offline=offline), check_device(device))
    if not hasattr(loaded, "embed"):
        raise UsageError(
            f"the ear {ear!r} gives no embeddings; known: {', '.join(sorted(BEST_EARS))}"
        )
    return Embedder(loaded, name)


def embedder_name(ear: str, *, offline: bool = False) -> str:
    """The name by which an ear is found again, on another day and another machine; `auto` is the best that is here or can be fetched."""
    if Path(ear).is_file():
        return str(Path(ear).resolve())
    if ear != "auto":
        return ear.replace(":", ".", 1)
    name = _best_here()
    if name is None:
        weights.fetch(FETCHED_EAR, offline=offline)
    return name or FETCHED_EAR


EMBEDDING_WINDOW = 10.0  # seconds, a whole number: each second of a file is one row
