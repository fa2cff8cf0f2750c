"""The catalogue of weights: where each file is, whether it is complete, how to get it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from av_tagger import cache, download, hub_cache
from av_tagger.errors import UsageError, WeightsError, did_you_mean

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where that is known


class State(StrEnum):
    ABSENT = "absent"
    PARTIAL = "partly downloaded"
    UNVERIFIED = "present, no checksum known"
    WHOLE = "whole"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class WeightsFile:
    """A file of the catalogue."""

    name: str
    filename: str
    urls: tuple[str, ...] = ()  # tried in this order; none: it comes with the package
    sha256: str = ""  # empty: recorded beside the file when it is downloaded
    size: int | None = None  # bytes
    licence: str = ""
    about: str = ""


@dataclass(frozen=True)
class Listed:
    """A line of `av-tag weights list`."""

    file: WeightsFile
    state: State
    path: Path | None


def entry(name: str) -> WeightsFile:
    if name not in CATALOGUE:
        raise UsageError(f"there are no weights {name!r}; {did_you_mean(name, CATALOGUE)}")
    return CATALOGUE[name]


def cache_folder() -> Path:
    """Where downloads go."""
    return cache.folder("weights")


def folders() -> list[Path]:
    """Where weights are searched, in order: `$AV_TAGGER_WEIGHTS`, the package, the cache."""
    own = [Path(part) for part in os.environ.get("AV_TAGGER_WEIGHTS", "").split(os.pathsep) if part]
    package = Path(__file__).parent
    return [*own, package / "shipped_weights", package.parent / "weights", cache_folder()]


def find(filename: str) -> Path | None:
    """The first file of this name in the folders; it need not be in the catalogue."""
    return next((folder / filename for folder in folders() if (folder / filename).is_file()), None)


def locate(name: str) -> Path | None:
    """The file of an entry in the first folder that has it, else in the Hugging Face cache."""
    file = entry(name)
    in_hub = (hub_cache.find(address) for address in file.urls)
    return find(file.filename) or next((path for path in in_hub if path is not None), None)


def fetch(name: str, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """The path of the file, downloaded if need be; an incomplete copy in the cache is replaced."""
    file, target = entry(name), cache_folder() / entry(name).filename
    found = locate(name)
    if found is not None and is_plausible(file, found):
        return found
    if found is not None and found != target:
        raise WeightsError(damaged(name, found))
    if not file.urls:
        raise WeightsError(
            f"{file.filename}: is part of the package, but missing; install the package again"
        )
    if offline:
        raise WeightsError(
            f"{file.filename}: is not here, and --offline forbids a download; {by_hand(file)}"
        )
    download.fetch(
        _addresses(file),
        target,
        download.ExpectedFile(file.sha256, file.size),
        progress,
        by_hand(file),
    )
    return target


def check(name: str) -> State:
    """Compares the checksum if one is known, which reads the whole file."""
    file, path = entry(name), locate(name)
    if path is None:
        return (
            State.PARTIAL
            if download.part_of(cache_folder() / file.filename).is_file()
            else State.ABSENT
        )
    if not is_plausible(file, path):
        return State.DAMAGED
    known = file.sha256 or download.recorded_sha256(path)
    if known:
        return State.WHOLE if download.sha256_of(path) == known else State.DAMAGED
    return State.WHOLE if path.suffix == ".safetensors" else State.UNVERIFIED


def listing() -> list[Listed]:
    return [Listed(file, check(name), locate(name)) for name, file in CATALOGUE.items()]


def damaged(name: str, path: Path) -> str:
    return f"{path}: is damaged or incomplete; delete it and run `av-tag weights fetch {name}`"


def by_hand(file: WeightsFile) -> str:
    """What to do without a network connection."""
    address = _addresses(file)[0] if file.urls else "(no address known)"
    where = f"{cache_folder()} or a folder in $AV_TAGGER_WEIGHTS"
    return f"download {address} elsewhere, and put it as {file.filename} into {where}"


def _addresses(file: WeightsFile) -> tuple[str, ...]:
    """`$AV_TAGGER_MIRROR` replaces every host: one folder with all files by their names."""
    mirror = os.environ.get("AV_TAGGER_MIRROR")
    return (f"{mirror.rstrip('/')}/{file.filename}",) if mirror else file.urls


def is_plausible(file: WeightsFile, path: Path) -> bool:
    """The size is that of the catalogue or of the safetensors header: faster than a checksum."""
    size = path.stat().st_size
    if file.size is not None:
        return size == file.size
    return size > 0 if path.suffix != ".safetensors" else size == _safetensors_size(path)


def _safetensors_size(path: Path) -> int:
    """The file size that a safetensors header implies; -1 without a header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > 100_000_000:
            return -1
        try:
            table = json.loads(file.read(length))
            ends = [item["data_offsets"][1] for key, item in table.items() if key != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return -1
    return 8 + length + max(ends, default=0)


EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"

CATALOGUE: dict[str, WeightsFile] = {
    "crnn.starter": WeightsFile(
        name="crnn.starter",
        filename="crnn.starter.safetensors",
        licence="Apache-2.0",
        about="17 classes, trained on synthetic and licence-clear sounds, not on AudioSet",
    ),
    "efficientat.mn04": WeightsFile(
        name="efficientat.mn04",
        filename="mn04_as_mAP_432.pt",
        urls=(f"{EFFICIENTAT}/mn04_as_mAP_432.pt",),
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        size=4_066_513,
        licence="MIT",
        about="527 AudioSet classes, mAP .432, 1 M parameters",
    ),
    "efficientat.mn10": WeightsFile(
        name="efficientat.mn10",
        filename="mn10_as_mAP_471.pt",
        urls=(f"{EFFICIENTAT}/mn10_as_mAP_471.pt",),
        sha256="0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
        licence="MIT",
        about="527 AudioSet classes, mAP .471, 4.9 M parameters",
    ),
    "efficientat.mn20": WeightsFile(
        name="efficientat.mn20",
        filename="mn20_as_mAP_478.pt",
        urls=(f"{EFFICIENTAT}/mn20_as_mAP_478.pt",),
        licence="MIT",
        about="527 AudioSet classes, mAP .478, 17.9 M parameters",
    ),
    "yamnet.h5": WeightsFile(
        name="yamnet.h5",
        filename="yamnet.h5",
        urls=("https://storage.googleapis.com/audioset/yamnet.h5",),
        licence="Apache-2.0",
        about="YAMNet as published for Keras; to be converted: av-tag weights convert yamnet FILE",
    ),
    "yamnet": WeightsFile(
        name="yamnet",
        filename="yamnet.safetensors",
        licence="Apache-2.0",
        about="521 AudioSet classes, mAP .306, 3.7 M parameters; made from yamnet.h5",
    ),
    "vggish.ckpt": WeightsFile(
        name="vggish.ckpt",
        filename="vggish_model.ckpt",
        urls=("https://storage.googleapis.com/audioset/vggish_model.ckpt",),
        licence="Apache-2.0",
        about="VGGish as published for TensorFlow 1; checked when it is converted",
    ),
    "vggish.pca": WeightsFile(
        name="vggish.pca",
        filename="vggish_pca_params.npz",
        urls=("https://storage.googleapis.com/audioset/vggish_pca_params.npz",),
        licence="Apache-2.0",
        about="the PCA of VGGish's embeddings",
    ),
    "vggish": WeightsFile(
        name="vggish",
        filename="vggish.safetensors",
        licence="Apache-2.0",
        about="embeddings of AudioSet's release, 128 per second; made of vggish.ckpt and vggish.pca",
    ),
    "alexnet": WeightsFile(
        name="alexnet",
        filename="alexnet_conv5.safetensors",
        licence="BSD-3-Clause",
        about="frame features: the convolutions of torchvision's AlexNet, taken from alexnet.full",
    ),
    "alexnet.full": WeightsFile(
        name="alexnet.full",
        filename="alexnet-owt-7be5be79.pth",
        urls=("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        size=244_408_911,
        licence="BSD-3-Clause",
        about="torchvision's AlexNet; only its convolutions are kept",
    ),
    "inception_v4": WeightsFile(
        name="inception_v4",
        filename="inception_v4.tf_in1k.safetensors",
        urls=("https://huggingface.co/timm/inception_v4.tf_in1k/resolve/main/model.safetensors",),
        licence="Apache-2.0",
        about="recogniser: 1000 ImageNet classes",
    ),
    "glove.840B.300d": WeightsFile(
        name="glove.840B.300d",
        filename="glove.840B.300d.zip",
        urls=(
            "https://nlp.stanford.edu/data/glove.840B.300d.zip",
            "https://downloads.cs.stanford.edu/nlp/data/glove.840B.300d.zip",
        ),
        sha256="c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f",
        licence="PDDL-1.0",
        about="word vectors: 2.2 million words, of which those that are needed are kept",
    ),
}
