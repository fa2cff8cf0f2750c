"""An eye as plain data: networks, words and their files (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from av_tagger.scores import BranchInfo
from av_tagger.video.branch import EyeSettings
from av_tagger.weights_ref import WeightsRef


@dataclass(frozen=True)
class NetworkSource:
    """A network by name and the file of its weights."""

    name: str  # alexnet, timm:resnet10t, inception_v4, torchvision:squeezenet1_0, thumbnail
    file: WeightsRef | None = None  # None: needs no weights


DAY_ONE = "efficientnet_lite2"  # of the catalogue: recognises, and its first blocks see frames
EARLY_BLOCKS, EARLY_SIDE = 3, 64  # of 7 blocks; pixels that they see
DAY_ONE_SIDE = 292  # pixels of the shorter side of frames, so that its recogniser can crop 260


def features_name(source: NetworkSource, layer: str) -> str:
    """Frame features as results name them: the network, and the layer if it is cut there."""
    if source.name == DAY_ONE:
        return f"{DAY_ONE} block {EARLY_BLOCKS} at {EARLY_SIDE}"
    whole = source.name == "thumbnail" or ":" in source.name
    return source.name if whole else f"{source.name} {layer}"


@dataclass(frozen=True)
class WordsSource:
    """Where similarities of words come from."""

    kind: Literal["vectors", "table", "names"]
    name: str  # as results name it
    file: WeightsRef | None = None  # None: the names of objects and classes alone


@dataclass(frozen=True)
class EyeSource:
    """Names an eye and its files; picklable, so that other processes load the same eye."""

    settings: EyeSettings
    info: BranchInfo  # status, models and weights, as results name them
    features: NetworkSource
    recogniser: NetworkSource | None  # None: key frames are shown, nothing in them is named
    words: WordsSource | None
    degraded: bool  # thumbnails stand in for the frame features of a network
    advice: tuple[str, ...] = ()  # what is missing, and what to do about it

    @property
    def short_side(self) -> int | None:
        """Pixels of the shorter side of frames, where they are known before networks are loaded."""
        small = self.features.name in (DAY_ONE, "thumbnail")
        known = small and self.recogniser is not None and self.recogniser.name == DAY_ONE
        return DAY_ONE_SIDE if known else None

    @property
    def identity(self) -> list[str]:
        """Differs where scores differ; part of a run's fingerprint."""
        networks = [part for part in (self.features, self.recogniser) if part is not None]
        files = [part.file.identity for part in networks if part.file is not None]
        words = [] if self.words is None else [self.words.name]
        if self.words is not None and self.words.file is not None:
            words.append(self.words.file.identity)
        return [self.info.model, str(self.info.status), *files, *words]
