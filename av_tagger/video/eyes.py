"""The only reader of eye names: `resolve` turns settings into plain data, `load` builds the eye."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger import weights
from av_tagger.catalogue import CATALOGUE
from av_tagger.errors import (
    MissingExtra,
    UsageError,
    WeightsError,
    did_you_mean,
    missing_library,
)
from av_tagger.labels import ClassList, SoundClass
from av_tagger.path_checks import is_file
from av_tagger.scores import BranchInfo, Status
from av_tagger.video import fetch
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eye_source import DAY_ONE, EyeSource, NetworkSource, WordsSource, features_name
from av_tagger.video.word_table import load_table
from av_tagger.video.words import unnamed
from av_tagger.weights_ref import WeightsRef, by_size, no_such_file, of_file

if TYPE_CHECKING:
    import torch

    from av_tagger.video.branch import SparseEye
    from av_tagger.video.features import Compute, NetworkFeatures
    from av_tagger.video.recognise import NetworkRecogniser

ALEXNETS = ("alexnet", "alexnet_grouped")
NETWORKS = (*ALEXNETS, DAY_ONE)  # of this package; `timm:NAME` for any of timm
BEST_NETWORKS = ("alexnet", DAY_ONE)  # `auto`: the first that is here
BEST_RECOGNISERS = ("inception_v4", DAY_ONE)
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "pool5")
SELECTORS = (
    "sparse",
    "cvxpy",
    "cvxpy:highs",
    "cvxpy:clarabel",
    "uniform",
    "kmeans",
    "kmedoids",
)
LIBRARIES = ("timm", "torchvision")
UNTIL_THEN = "until then key frames are chosen from thumbnails"


def resolve(settings: EyeSettings, classes: ClassList) -> EyeSource:
    """What the settings ask for, and what stands in for weights that are missing.

    Downloads nothing. Unknown names and files are errors; missing weights and libraries cost
    their own feature only and are said in `advice`.
    """
    check_names(settings)
    advice: list[str] = []
    features = _features(settings, advice)
    recogniser = _recogniser(settings, advice)
    words = None if recogniser is None else _words(settings, classes, advice)
    degraded = features.name == "thumbnail" != settings.network
    info = _info(settings, features, recogniser, words, degraded=degraded)
    return EyeSource(settings, info, features, recogniser, words, degraded, tuple(advice))


def never_seen(source: EyeSource, classes: Sequence[SoundClass]) -> frozenset[str]:
    """The labels of these classes that this eye can give no score to.

    Not known, so empty, for the paper's rule and for recognisers with other objects.
    """
    if source.recogniser is None or source.words is None:
        return frozenset(c.label for c in classes)
    by_name = source.settings.word_rule == "ours" and source.words.kind != "table"
    with suppress(MissingExtra):
        if by_name and source.recogniser.name in BEST_RECOGNISERS:
            return unnamed(tuple(classes))
    return frozenset(c.label for c in classes if c.words == ())


def load(source: EyeSource, classes: ClassList, device: torch.device | str = "cpu") -> SparseEye:
    """The eye, with its networks on the device."""
    from av_tagger.video.load import build_eye

    return build_eye(source, classes, device)


def load_eye(
    settings: EyeSettings, classes: ClassList, device: torch.device | str = "cpu"
) -> SparseEye:
    """An eye by its settings in one call, of whatever weights are on this machine."""
    return load(resolve(settings, classes), classes, device)


def load_features(settings: EyeSettings, compute: Compute) -> NetworkFeatures:
    """The frame features alone; missing weights are an error."""
    from av_tagger.video.load import build_features

    check_names(settings)
    return build_features(network_source(settings), settings, compute)


def load_recogniser(settings: EyeSettings, compute: Compute) -> NetworkRecogniser:
    """The recogniser alone; missing weights are an error."""
    from av_tagger.video.load import build_recogniser

    return build_recogniser(recogniser_source(settings), compute)


def network_source(settings: EyeSettings) -> NetworkSource:
    """The network of the frame features; its weights must be here."""
    name = settings.network
    if name == "auto":
        name = _best_network(settings)
    if name == "thumbnail":
        return NetworkSource(name)
    if name.startswith("timm:"):
        _check_library("timm", name.removeprefix("timm:"))
    files = () if name == DAY_ONE else fetch.network_files(name)
    return NetworkSource(name, _weights(settings.network_weights, files, name))


def recogniser_source(settings: EyeSettings) -> NetworkSource:
    """The recogniser and its weights, which must be here."""
    name = choose_recogniser(settings)
    library, _, architecture = name.rpartition(":")
    _check_library(library or "timm", architecture)
    files = () if name == DAY_ONE else fetch.recogniser_files(name)
    return NetworkSource(name, _weights(settings.recogniser_weights, files, name))


def choose_recogniser(settings: EyeSettings) -> str:
    """The recogniser by name; `auto`: the best that is here, the paper's for a given file."""
    if settings.recogniser != "auto":
        return settings.recogniser
    if settings.recogniser_weights is not None:
        return BEST_RECOGNISERS[0]
    here = (n for n in BEST_RECOGNISERS if fetch.find_recogniser(n) is not None)
    return next(here, BEST_RECOGNISERS[-1])


def _best_network(settings: EyeSettings) -> str:
    if settings.network_weights is not None:
        return BEST_NETWORKS[0]
    if fetch.find(*fetch.network_files(BEST_NETWORKS[0])) is not None:
        return BEST_NETWORKS[0]
    return BEST_NETWORKS[-1]


def check_names(settings: EyeSettings) -> None:
    """Refuse names that do not exist, before anything is loaded."""
    name = settings.network
    if name not in (*NETWORKS, "auto", "thumbnail") and not name.startswith("timm:"):
        hint = did_you_mean(name, [*NETWORKS, "auto", "thumbnail", "timm:NAME"])
        raise UsageError(f"there is no network {name!r}; {hint}")
    if name in (*ALEXNETS, "auto") and settings.layer not in LAYERS:
        hint = did_you_mean(settings.layer, LAYERS)
        raise UsageError(f"there is no layer {settings.layer!r}; {hint}")
    if settings.selector not in SELECTORS:
        hint = did_you_mean(settings.selector, SELECTORS)
        raise UsageError(f"there is no key-frame selector {settings.selector!r}; {hint}")
    if settings.selector.startswith("cvxpy"):
        _require("cvxpy", f"the key-frame selector {settings.selector!r} needs")
    library = settings.recogniser.rpartition(":")[0] or "timm"
    if library not in LIBRARIES:
        hint = did_you_mean(library, LIBRARIES)
        raise UsageError(f"there is no library {library!r} of classifiers; {hint}")


class NotHereError(WeightsError):
    """Weights that are not on this machine, unlike weights that are damaged."""


def _features(settings: EyeSettings, advice: list[str]) -> NetworkSource:
    try:
        return network_source(settings)
    except (NotHereError, MissingExtra) as error:
        advice.append(f"{error}; {UNTIL_THEN}")
        return NetworkSource("thumbnail")


def _recogniser(settings: EyeSettings, advice: list[str]) -> NetworkSource | None:
    try:
        return recogniser_source(settings)
    except NotHereError as error:
        advice.append(f"{error}; until then the eye shows key frames but names nothing")
    except MissingExtra as error:
        advice.append(f"{error}; until then the eye names nothing in its key frames")
    return None


def _weights(given: Path | None, files: tuple[str, ...], name: str) -> WeightsRef:
    given = None if given is None else fetch.given_file(given)
    if given is not None and not is_file(given):
        raise WeightsError(no_such_file(given))
    path = given or fetch.find(*files)
    if path is not None:
        return of_file(path)
    cached = weights.locate(name) if name in CATALOGUE else None
    if cached is None:
        raise NotHereError(f"{name}: its weights are not here; {fetch.remedy(name)}")
    return of_file(cached, name)


def _words(settings: EyeSettings, classes: ClassList, advice: list[str]) -> WordsSource | None:
    """The shipped table if it holds these classes, else word vectors, else names alone.

    The paper's rule prefers vectors: those of the paper are larger than the table's.
    """
    ours = settings.word_rule == "ours"
    if ours and settings.words is None:
        found = _table(settings, classes, advice) or _vectors(settings, advice)
    else:
        found = _vectors(settings, advice) or _table(settings, classes, advice)
    if found is not None or ours:
        return found or WordsSource("names", "names alone, rule ours")
    advice.append(
        "word vectors: none are here, and these classes are not those of the shipped table; "
        f"{fetch.WORDS_REMEDY}"
    )
    return None


def _vectors(settings: EyeSettings, advice: list[str]) -> WordsSource | None:
    path = fetch.find_words() if settings.words is None else fetch.given_file(settings.words)
    if path is None:
        return None
    if not is_file(path):
        raise WeightsError(no_such_file(path))
    try:
        _check_gensim()
    except MissingExtra as error:
        advice.append(str(error))
        return None
    return WordsSource("vectors", f"{path.name}, rule {settings.word_rule}", by_size(path))


def _table(settings: EyeSettings, classes: ClassList, advice: list[str]) -> WordsSource | None:
    path = fetch.find(fetch.TABLE)
    try:
        table = load_table(path, settings.word_rule, classes) if path is not None else None
    except WeightsError as error:
        advice.append(f"{error}; until then other words are used")
        return None
    if path is None or table is None or not set(classes.labels) <= set(table.sounds):
        return None
    return WordsSource("table", table.name, of_file(path))


def _info(
    settings: EyeSettings,
    features: NetworkSource,
    recogniser: NetworkSource | None,
    words: WordsSource | None,
    *,
    degraded: bool,
) -> BranchInfo:
    named = recogniser.name if recogniser is not None else "no recogniser"
    model = ", ".join((features_name(features, settings.layer), settings.selector, named))
    if recogniser is None or recogniser.file is None or words is None:
        return BranchInfo(Status.NO_WEIGHTS, model)
    status = Status.DEGRADED if degraded else Status.OK
    return BranchInfo(status, model, f"{recogniser.file.filename}, {words.name}")


def _check_library(library: str, architecture: str) -> None:
    """Whether the library is there; it is imported for names that are not of this package only."""
    _require(library, f"the network {architecture!r} needs")
    if architecture not in (*fetch.OFFICIAL, DAY_ONE):
        from av_tagger.video.recognise import check_architecture

        check_architecture(library, architecture)


def _require(library: str, need: str) -> None:
    """Whether the library is installed, without importing it."""
    try:
        spec = find_spec(library)
    except (ImportError, ValueError) as error:
        raise missing_library(need, library, ImportError(str(error))) from error
    if spec is None:
        raise missing_library(need, library, ImportError("it is not installed"))


def _check_gensim() -> None:
    try:
        import_module("gensim.models")
    except Exception as error:  # a broken installation can fail in any way
        raise missing_library("word vectors need", "gensim", ImportError(str(error))) from error
