"""Files of the eye: names, where they are looked for, and what is kept of a download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from av_tagger import weights
from av_tagger.catalogue import CATALOGUE
from av_tagger.errors import WeightsError
from av_tagger.labels import dcase2017
from av_tagger.video.eye_source import DAY_ONE
from av_tagger.video.imagenet import object_names
from av_tagger.video.vectors import cached_vectors, words_folder
from av_tagger.video.words import words_to_keep

Progress = Callable[[int, int | None], None]
ProgressOf = Callable[[str], Progress]  # a bar for each named file

CONVOLUTIONS = "alexnet_conv5.safetensors"  # what is kept of AlexNet's 233 MB
TABLE = "objects_to_sounds.safetensors"
GLOVE = ("glove.840B.300d.txt", "glove.840B.300d.zip")
USUAL_WORDS = (  # names under which GloVe vectors are published, best first
    *GLOVE,
    "glove.42B.300d.txt",
    "glove.42B.300d.zip",
    "glove.6B.300d.txt",
    "glove.6B.200d.txt",
    "glove.6B.100d.txt",
    "glove.6B.50d.txt",
    "glove.6B.zip",
    "glove.twitter.27B.200d.txt",
    "glove.twitter.27B.100d.txt",
)
SMALL_GLOVE = "glove.6B.50d"  # of the catalogue
WORDS_REMEDY = "get them with `av-tag weights fetch words`, or name a file of GloVe vectors"


def fetch_eye(*, offline: bool = False, progress: ProgressOf | None = None) -> list[Path]:
    """Everything that the paper's eye needs, each file only if it is nowhere yet.

    Offline, one error names all files that are missing.
    """
    found: list[Path] = []
    missing: list[str] = []
    for name, fetch in STEPS.items():
        try:
            found.append(fetch(*_with_bar(name, progress), offline=offline))
        except WeightsError as error:
            if not offline:
                raise
            missing.append(str(error))
    if missing:
        raise WeightsError("\n".join(missing))
    return found


def fetch_alexnet(progress: Progress | None = None, *, offline: bool = False) -> Path:
    """AlexNet's convolutions; the rest of a download is deleted, files of the user are kept.

    A damaged file in the cache is made again, one in another folder is an error.
    """
    from av_tagger.video.alexnet import keep_convolutions, load_convolutions

    found, target = find(CONVOLUTIONS), weights.cache_folder() / CONVOLUTIONS
    try:
        if found is not None:
            load_convolutions(found, "alexnet")
            return found
    except WeightsError:
        if found != target:
            raise
    source = weights.fetch("alexnet.full", offline=offline, progress=progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    keep_convolutions(source, target)
    if source.parent == weights.cache_folder():
        for leftover in source.parent.glob(f"{source.name}*"):
            leftover.unlink()
    return target


def fetch_recogniser(progress: Progress | None = None, *, offline: bool = False) -> Path:
    """Inception-v4: another file of it that is here, else the published one, checked."""
    found = find(*recogniser_files("inception_v4"))
    if found is not None and found.name != weights.entry("inception_v4").filename:
        return found
    return weights.fetch("inception_v4", offline=offline, progress=progress)


def fetch_words(progress: Progress | None = None, *, offline: bool = False) -> Path:
    """Fetch the vectors and cache the words that the default classes need."""
    path = find(GLOVE[0]) or weights.fetch("glove.840B.300d", offline=offline, progress=progress)
    cached_vectors(path, words_to_keep(object_names(), dcase2017()), words_folder())
    return path


def find(*names: str) -> Path | None:
    """The first file of these names, earlier names first, in any of the folders where weights may
    lie.
    """
    paths = (folder / name for name in names for folder in weights.folders())
    return next((path for path in paths if path.is_file()), None)


def find_recogniser(name: str) -> Path | None:
    """The weights of a recogniser: in a folder, or where its package is installed."""
    return weights.locate(DAY_ONE) if name == DAY_ONE else find(*recogniser_files(name))


def find_words() -> Path | None:
    """A file of word vectors under one of its usual names, the paper's first."""
    return find(*USUAL_WORDS) or weights.locate(SMALL_GLOVE)


def given_file(path: Path) -> Path:
    """A file that the settings name: by its path, or by its name among the other weights."""
    if path.is_file() or path.parent != Path():
        return path
    known = weights.locate(path.name) if path.name in CATALOGUE else None
    return known or weights.find(path.name) or path


def remedy(network: str) -> str:
    """How to get the weights of a network that was asked for."""
    if network in CATALOGUE or network in STEPS:
        return f"get it with `av-tag weights fetch {network}`"
    name = network_files(network)[0]
    return f"put its weights as {name} into {weights.cache_folder()}"


def network_files(network: str) -> tuple[str, ...]:
    """File names under which the weights of a network for frame features may lie."""
    return NETWORK_FILES.get(network) or recogniser_files(network.removeprefix("timm:"))


def recogniser_files(name: str) -> tuple[str, ...]:
    """File names under which a classifier's weights may lie: ours first, then the official ones."""
    library, _, architecture = name.rpartition(":")
    official = OFFICIAL.get(architecture) or OF_LIBRARY.get(library, _timm_files)(
        architecture
    )  # ours need no library to be found
    return (*official, f"{architecture}.safetensors", f"{architecture}.pth")


def _timm_files(architecture: str) -> tuple[str, ...]:
    try:
        from timm.models import get_pretrained_cfg
    except ImportError:
        return ()
    config = get_pretrained_cfg(architecture, allow_unregistered=True)
    tag, url = (getattr(config, "tag", "") or "", getattr(config, "url", "") or "")
    tagged = (f"{architecture}.{tag}.safetensors",) if tag else ()
    return (*tagged, url.rsplit("/", 1)[-1]) if url else tagged


def _torchvision_file(architecture: str) -> tuple[str, ...]:
    try:
        from torchvision.models import get_model_weights

        url: str = get_model_weights(architecture).DEFAULT.url
    except (ImportError, ValueError):
        return ()
    return (f"{architecture}_torchvision.safetensors", url.rsplit("/", 1)[-1])


def _with_bar(name: str, progress: ProgressOf | None) -> tuple[Progress | None]:
    return (progress(name) if progress is not None else None,)


NETWORK_FILES = {
    "alexnet": (CONVOLUTIONS, "alexnet-owt-7be5be79.pth"),
    "alexnet_grouped": (
        "alexnet_grouped_conv5.safetensors",
        "bvlc_alexnet_features_q7.safetensors",
    ),
}
OF_LIBRARY = {"torchvision": _torchvision_file}
OFFICIAL = {"inception_v4": ("inception_v4.tf_in1k.safetensors", "inceptionv4-8e4777a0.pth")}
STEPS: dict[str, Callable[..., Path]] = {
    "alexnet": fetch_alexnet,
    "inception_v4": fetch_recogniser,
    "glove.840B.300d": fetch_words,
}
