"""From settings to an eye: what is there is used, what is missing costs itself only and is said."""

from __future__ import annotations

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
from av_tagger.video.words import GloVe, class_words, load_table, words_to_keep


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
    if settings.network == "thumbnail":
        return thumbnail(how)
    if settings.network not in ARCHITECTURES and not settings.network.startswith("timm:"):
        known = [*ARCHITECTURES, "thumbnail", "timm:NAME"]
        raise UsageError(
            f"there is no network {settings.network!r}; {did_you_mean(settings.network, known)}"
        )
    path = settings.network_weights or fetch.find(*fetch.network_files(settings.network))
    if path is None:
        raise NotHereError(f"{settings.network}: its weights are not here; {fetch.REMEDY}")
    if settings.network in ARCHITECTURES:
        return _alexnet_features(settings, path, how)
    return _timm_features(settings, path, how)


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
        path = settings.recogniser_weights or fetch.find(
            *fetch.recogniser_files(settings.recogniser)
        )
        if path is not None:
            return load_recogniser(settings.recogniser, path, how)
        advice.append(
            f"{settings.recogniser}: its weights are not here, so the eye shows key frames but names nothing; {fetch.REMEDY}"
        )
    except MissingExtra as error:
        advice.append(f"{error}; until then the eye names nothing in its key frames")
    return None


def _words(
    settings: EyeSettings, classes: ClassList, recogniser: Recogniser | None, advice: list[str]
) -> WordSpace | None:
    """Vectors where there are any, else the table that ships, if it was made for these classes."""
    if recogniser is None:
        return None
    found: WordSpace | None = None
    try:
        found = find_words(settings, classes, recogniser.objects)
    except MissingExtra as error:
        advice.append(str(error))
    found = found or shipped_table(settings, classes, recogniser.objects)
    if found is None:
        advice.append(
            f"word vectors: none are here, and these classes are not those of the shipped table; {fetch.REMEDY}"
        )
    return found


def find_words(
    settings: EyeSettings, classes: ClassList, objects: tuple[str, ...]
) -> WordSpace | None:
    path = settings.words or fetch.find(*fetch.GLOVE)
    if path is None:
        return None
    vectors = cached_vectors(path, words_to_keep(objects, classes), fetch.words_folder())
    return GloVe(vectors, path.name, settings.rule, class_words(classes))


def shipped_table(
    settings: EyeSettings, classes: ClassList, objects: tuple[str, ...]
) -> WordSpace | None:
    path = fetch.find(fetch.TABLE)
    table = load_table(path, settings.rule, classes) if path is not None else None
    return table if table is not None and table.covers(objects, classes.labels) else None
