"""From settings to an eye: what is there is used, what is missing costs itself only and is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from av_tagger.errors import MissingExtra, UsageError, WeightsError, did_you_mean
from av_tagger.labels import ClassList
from av_tagger.networks import find_device, quick_memory
from av_tagger.protocols import Recogniser, WordSpace
from av_tagger.video import fetch
from av_tagger.video.alexnet import ARCHITECTURES, Geometry, load_convolutions
from av_tagger.video.branch import EyeParts, EyeSettings, SparseEye
from av_tagger.video.early import early_features
from av_tagger.video.efficientnet import LITE2, load_published
from av_tagger.video.features import CPU_BATCH, GPU_BATCH, THUMBNAIL, Compute, NetworkFeatures
from av_tagger.video.folded import Folded, Normalised, Thumbnail
from av_tagger.video.keyframes import selector
from av_tagger.video.precision import choose, has_int8
from av_tagger.video.quantised import Quantised, works
from av_tagger.video.recognise import (
    NetworkRecogniser,
    load_recogniser,
    load_strictly,
    timm_network,
)
from av_tagger.video.vectors import cached_vectors
from av_tagger.video.word_table import load_table
from av_tagger.video.words import GloVe, class_words, words_to_keep


class NotHereError(WeightsError):
    """Weights that are simply not on this machine, unlike weights that are damaged."""


FEWEST_PIXELS = 64  # the shorter side when nothing but thumbnails is looked at: people look, too


def load_eye(
    settings: EyeSettings, classes: ClassList, device: str = "cpu", *, offline: bool = False
) -> SparseEye:
    """An eye of whatever weights are on this machine. Nothing is ever downloaded here, `offline` or not."""
    del offline  # the same promise either way: `av-tag weights fetch eye` alone reaches the network
    how = _describe(settings, device)
    advice: list[str] = []
    if how.device.type == "cpu":
        quick_memory()
    features = _features(settings, how, advice)
    recogniser = _recogniser(settings, how, advice)
    words = _words(settings, classes, recogniser, advice)
    sides = [features.geometry.resize, recogniser.short_side if recogniser else 0, FEWEST_PIXELS]
    parts = EyeParts(
        features=features,
        selector=selector(settings.selector),
        recogniser=recogniser,
        words=words,
        short_side=(max(sides) + 1) // 2 * 2,  # video pictures have even sides
        degraded=isinstance(features.network, Thumbnail) and settings.network != "thumbnail",
        advice=tuple(advice),
    )
    return SparseEye(parts, classes, settings)


def load_features(settings: EyeSettings, how: Compute) -> NetworkFeatures:
    """The frame features that the settings name; missing weights are an error here."""
    if settings.network == "auto":
        return load_features(replace(settings, network=_best_network(settings)), how)
    if settings.network == "thumbnail":
        return thumbnail(how)
    named = settings.network in (*ARCHITECTURES, fetch.DAY_ONE)
    if not named and not settings.network.startswith("timm:"):
        known = [*ARCHITECTURES, fetch.DAY_ONE, "thumbnail", "timm:NAME"]
        raise UsageError(
            f"there is no network {settings.network!r}; {did_you_mean(settings.network, known)}"
        )
    path = settings.network_weights or _network_path(settings.network)
    if path is None:
        raise NotHereError(f"{settings.network}: its weights are not here; {fetch.REMEDY}")
    if settings.network == fetch.DAY_ONE:
        return early_features(path, how)
    if settings.network in ARCHITECTURES:
        return _alexnet_features(settings, path, how)
    return _timm_features(settings, path, how)


def _best_network(settings: EyeSettings) -> str:
    """The best network for frame features that is here; a file of weights is one of the paper's."""
    if settings.network_weights is not None:
        return BEST_NETWORKS[0]
    return next((n for n in BEST_NETWORKS if _network_path(n) is not None), BEST_NETWORKS[-1])


def _network_path(network: str) -> Path | None:
    if network == fetch.DAY_ONE:
        return fetch.find_recogniser(network)
    return fetch.find(*fetch.network_files(network))


def _alexnet_features(settings: EyeSettings, path: Path, how: Compute) -> NetworkFeatures:
    architecture = ARCHITECTURES[settings.network]
    network = architecture.up_to(settings.layer, load_convolutions(path, settings.network))
    folded = Folded(network, architecture.geometry)
    if how.int8:
        name = f"{settings.network} {settings.layer} int8"
        return NetworkFeatures(
            name, Quantised(folded), architecture.geometry, replace(how, dtype=torch.float32)
        )
    return NetworkFeatures(
        f"{settings.network} {settings.layer}", folded, architecture.geometry, how
    )


def _timm_features(settings: EyeSettings, path: Path, how: Compute) -> NetworkFeatures:
    """Any network of timm, cut in front of its classifier: its pooled features."""
    network, config = timm_network(settings.network.removeprefix("timm:"))
    load_strictly(network, path)
    network.reset_classifier(0)  # type: ignore[operator]
    crop = int(config["input_size"][1])
    mode = (
        config["interpolation"]
        if config["interpolation"] in ("bilinear", "bicubic")
        else "bilinear"
    )
    geometry = Geometry(
        int(crop / config["crop_pct"]), crop, tuple(config["mean"]), tuple(config["std"]), mode
    )
    return NetworkFeatures(
        settings.network, Normalised(network, geometry), geometry, replace(how, int8=False)
    )


def thumbnail(how: Compute) -> NetworkFeatures:
    return NetworkFeatures(
        "thumbnail", Thumbnail(), THUMBNAIL, replace(how, dtype=torch.float32, int8=False)
    )


def _describe(settings: EyeSettings, device: str) -> Compute:
    where = find_device(device)
    whole = settings.precision == "int8" and has_int8(where) and works()
    return Compute(
        settings.batch or (CPU_BATCH if where.type == "cpu" else GPU_BATCH),
        where,
        choose(settings.precision, where),
        whole,
    )


def _features(settings: EyeSettings, how: Compute, advice: list[str]) -> NetworkFeatures:
    try:
        return load_features(settings, how)
    except MissingExtra as error:
        advice.append(f"{error}; until then key frames are chosen from thumbnails")
    except NotHereError as error:
        advice.append(f"{error}; until then key frames are chosen from thumbnails")
    return thumbnail(how)


def _recogniser(settings: EyeSettings, how: Compute, advice: list[str]) -> NetworkRecogniser | None:
    try:
        return open_recogniser(settings, how)
    except NotHereError as error:
        advice.append(f"{error}; until then the eye names nothing in its key frames")
    except MissingExtra as error:
        advice.append(f"{error}; until then the eye names nothing in its key frames")
    return None


def open_recogniser(settings: EyeSettings, how: Compute) -> NetworkRecogniser:
    """The recogniser that the settings name; missing weights are an error here."""
    name, path = choose_recogniser(settings)
    if path is None:
        raise NotHereError(f"{name}: its weights are not here; {fetch.REMEDY}")
    return _load_recogniser(name, path, how)


def choose_recogniser(settings: EyeSettings) -> tuple[str, Path | None]:
    """The recogniser by name and its weights. `auto`: the best whose weights are here; a file of
    weights is one of the paper's network.
    """
    given = settings.recogniser_weights
    if settings.recogniser != "auto":
        return settings.recogniser, given or fetch.find_recogniser(settings.recogniser)
    if given is not None:
        return BEST_RECOGNISERS[0], given
    found = ((name, fetch.find_recogniser(name)) for name in BEST_RECOGNISERS)
    here = (item for item in found if item[1] is not None)
    return next(here, (BEST_RECOGNISERS[-1], None))


def _load_recogniser(name: str, path: Path, how: Compute) -> NetworkRecogniser:
    if name == fetch.DAY_ONE:
        return load_recogniser(LITE2, path, how, load_published)
    return load_recogniser(name, path, how)


def _words(
    settings: EyeSettings, classes: ClassList, recogniser: Recogniser | None, advice: list[str]
) -> WordSpace | None:
    """The table that ships where it holds, else word vectors, else names alone where that will do.

    The paper's rule asks vectors first: those of the paper are larger than the table's.
    """
    if recogniser is None:
        return None
    sources: list[Source] = [find_words, shipped_table]
    if settings.word_rule == "ours" and settings.words is None:
        sources.reverse()
    for source in sources:
        try:
            found = source(settings, classes, recogniser.objects)
        except MissingExtra as error:
            advice.append(str(error))
            continue
        if found is not None:
            return found
    return _names_alone(settings, classes, advice)


def _names_alone(settings: EyeSettings, classes: ClassList, advice: list[str]) -> WordSpace | None:
    if settings.word_rule == "ours":
        return GloVe(None, "names alone", "ours", class_words(classes))
    advice.append(
        "word vectors: none are here, and these classes are not those of the shipped table; "
        f"{fetch.REMEDY}"
    )
    return None


def find_words(
    settings: EyeSettings, classes: ClassList, objects: tuple[str, ...]
) -> WordSpace | None:
    path = settings.words or fetch.find_words()
    if path is None:
        return None
    vectors = cached_vectors(path, words_to_keep(objects, classes), fetch.words_folder())
    return GloVe(vectors, path.name, settings.word_rule, class_words(classes))


def shipped_table(
    settings: EyeSettings, classes: ClassList, objects: tuple[str, ...]
) -> WordSpace | None:
    path = fetch.find(fetch.TABLE)
    table = load_table(path, settings.word_rule, classes) if path is not None else None
    return table if table is not None and table.covers(objects, classes.labels) else None


Source = Callable[[EyeSettings, ClassList, tuple[str, ...]], WordSpace | None]
BEST_NETWORKS = ("alexnet", fetch.DAY_ONE)  # of those that are here, the first
BEST_RECOGNISERS = ("inception_v4", fetch.DAY_ONE)
