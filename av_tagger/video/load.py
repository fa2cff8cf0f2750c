"""From a resolved source to an eye with its networks; what breaks on loading costs itself only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

from av_tagger.devices import find_device
from av_tagger.errors import MissingExtra, WeightsError
from av_tagger.labels import ClassList
from av_tagger.networks import quick_memory
from av_tagger.protocols import Recogniser, WordSpace
from av_tagger.video.alexnet import ARCHITECTURES, Geometry, load_convolutions
from av_tagger.video.branch import EyeParts, EyeSettings, SparseEye
from av_tagger.video.early import early_features
from av_tagger.video.efficientnet import read_lite2
from av_tagger.video.eye_source import DAY_ONE, EyeSource, NetworkSource, WordsSource, features_name
from av_tagger.video.features import CPU_BATCH, GPU_BATCH, THUMBNAIL, Compute, NetworkFeatures
from av_tagger.video.folded import Folded, Normalised, Thumbnail
from av_tagger.video.keyframes import selector
from av_tagger.video.lite import EfficientNetLite2
from av_tagger.video.precision import choose, has_int8
from av_tagger.video.quantised import Quantised, works
from av_tagger.video.recognise import (
    NetworkRecogniser,
    lite2_classifier,
    load_recogniser,
    load_strictly,
    timm_network,
)
from av_tagger.video.vectors import cached_vectors, words_folder
from av_tagger.video.word_table import load_table
from av_tagger.video.words import GloVe, class_words, words_to_keep

T = TypeVar("T")
ReadLite2 = Callable[[Path], EfficientNetLite2]
FEWEST_PIXELS = 64  # shorter side with thumbnails only: kept key frames stay viewable


def build_eye(
    source: EyeSource, classes: ClassList, device: torch.device | str = "cpu"
) -> SparseEye:
    """The eye of the source.

    A library that breaks on import, and damaged weights that were not asked for by name, cost
    their own part of the eye and add to its advice.
    """
    settings, advice = source.settings, list(source.advice)
    compute = _compute(settings, device)
    if compute.device.type == "cpu":
        quick_memory()
    asked, lite2 = _asked_for(settings), cache(read_lite2)  # one file for both: read once
    features = _attempt(
        lambda: build_features(source.features, settings, compute, lite2),
        advice,
        "features" in asked,
    )
    recogniser = _attempt(
        lambda: _recogniser(source.recogniser, compute, lite2), advice, "recogniser" in asked
    )
    words = _attempt(
        lambda: _words(source.words, settings, classes, recogniser), advice, "words" in asked
    )
    degraded = source.degraded or features is None
    features = features or thumbnail(compute)
    sides = [features.geometry.resize, recogniser.short_side if recogniser else 0, FEWEST_PIXELS]
    parts = EyeParts(
        features=features,
        selector=selector(settings.selector),
        recogniser=recogniser,
        words=words,
        short_side=(max(sides) + 1) // 2 * 2,  # video frames have even sides
        degraded=degraded,
        advice=tuple(advice),
    )
    return SparseEye(parts, classes, settings)


def build_features(
    source: NetworkSource, settings: EyeSettings, compute: Compute, lite2: ReadLite2 = read_lite2
) -> NetworkFeatures:
    """The network of the frame features, with its weights."""
    if source.file is None:
        return thumbnail(compute)
    path, name = source.file.here(), features_name(source, settings.layer)
    if source.name == DAY_ONE:
        return early_features(lite2(path), compute)
    if source.name in ARCHITECTURES:
        return _alexnet_features(name, source.name, settings.layer, path, compute)
    return _timm_features(source.name, path, compute)


def thumbnail(compute: Compute) -> NetworkFeatures:
    """16 x 16 pixels as features: needs no weights."""
    plain = replace(compute, dtype=torch.float32, int8=False)
    return NetworkFeatures("thumbnail", Thumbnail(), THUMBNAIL, plain)


def _alexnet_features(
    name: str, network: str, layer: str, path: Path, compute: Compute
) -> NetworkFeatures:
    architecture = ARCHITECTURES[network]
    cut = architecture.up_to(layer, load_convolutions(path, network))
    folded = Folded(cut, architecture.geometry)
    if compute.int8:
        floats = replace(compute, dtype=torch.float32)
        return NetworkFeatures(f"{name} int8", Quantised(folded), architecture.geometry, floats)
    return NetworkFeatures(name, folded, architecture.geometry, compute)


def _timm_features(name: str, path: Path, compute: Compute) -> NetworkFeatures:
    """Any network of timm: its pooled features, in front of the classifier."""
    network, config = timm_network(name.removeprefix("timm:"))
    load_strictly(network, path)
    network.reset_classifier(0)  # type: ignore[operator]
    crop, mode = int(config["input_size"][1]), config["interpolation"]
    mode = mode if mode in ("bilinear", "bicubic") else "bilinear"
    mean, std = tuple(config["mean"]), tuple(config["std"])
    geometry = Geometry(int(crop / config["crop_pct"]), crop, mean, std, mode)
    floats = replace(compute, int8=False)
    return NetworkFeatures(name, Normalised(network, geometry), geometry, floats)


def _compute(settings: EyeSettings, device: torch.device | str) -> Compute:
    where = find_device(device)
    int8 = settings.precision == "int8" and has_int8(where) and works()
    batch = settings.batch or (CPU_BATCH if where.type == "cpu" else GPU_BATCH)
    return Compute(batch, where, choose(settings.precision, where), int8)


def _recogniser(
    source: NetworkSource | None, compute: Compute, lite2: ReadLite2
) -> NetworkRecogniser | None:
    return None if source is None else build_recogniser(source, compute, lite2)


def build_recogniser(
    source: NetworkSource, compute: Compute, lite2: ReadLite2 = read_lite2
) -> NetworkRecogniser:
    """The recogniser, with its weights."""
    assert source.file is not None
    path, filename = source.file.here(), source.file.filename
    if source.name == DAY_ONE:
        return NetworkRecogniser(DAY_ONE, lite2_classifier(lite2(path)), compute, filename)
    return load_recogniser(source.name, path, compute, filename)


def _words(
    source: WordsSource | None,
    settings: EyeSettings,
    classes: ClassList,
    recogniser: Recogniser | None,
) -> WordSpace | None:
    if source is None or recogniser is None:
        return None
    if source.file is None:
        return GloVe(None, "names alone", settings.word_rule, class_words(classes))
    path = source.file.here()
    if source.kind == "vectors":
        return load_vectors(path, settings, classes, recogniser.objects)
    table = load_table(path, settings.word_rule, classes)
    covered = table is not None and table.covers(recogniser.objects, classes.labels)
    return table if covered else None


def load_vectors(
    path: Path, settings: EyeSettings, classes: ClassList, objects: tuple[str, ...]
) -> WordSpace:
    """The word vectors of a GloVe file that these objects and classes need."""
    vectors = cached_vectors(path, words_to_keep(objects, classes), words_folder())
    return GloVe(vectors, path.name, settings.word_rule, class_words(classes))


def _asked_for(settings: EyeSettings) -> set[str]:
    """The parts whose network or file was named: damaged, they are errors."""
    named = {
        "features": settings.network != "auto" or settings.network_weights is not None,
        "recogniser": settings.recogniser != "auto" or settings.recogniser_weights is not None,
        "words": settings.words is not None,
    }
    return {part for part, given in named.items() if given}


def _attempt(load: Callable[[], T | None], advice: list[str], asked: bool) -> T | None:
    """None where a library cannot be imported or weights are damaged, which is said."""
    try:
        return load()
    except MissingExtra as error:
        advice.append(f"{error}; the eye works without it")
        return None
    except WeightsError as error:
        if asked:
            raise
        advice.append(f"{error}; the eye works without it")
        return None
