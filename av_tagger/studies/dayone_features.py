"""What the networks say of each window of sound: computed once, kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly
from torch import Tensor, nn

from av_tagger import weights
from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.audio.known.files import read_network
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import MilNetwork
from av_tagger.studies.starter_examples import RATE
from av_tagger.synth.dsp import Sound

STARTER_RATE = 20_000  # Hz, of the starter ear

Numbers = NDArray[np.float32]
Ints = NDArray[np.int64]

LEAST = RATE // 2  # samples: EfficientAT needs some frames
STARTER, YAMNET, EFFICIENTAT = "starter", "yamnet", "efficientat"


@dataclass(frozen=True, eq=False)
class WindowFeatures:
    """Windows laid end to end; a clip's score is the highest of its windows'."""

    owner: Ints  # (windows,) index of the clip
    patches: Ints  # (windows,) how many rows of `embeddings` are of the window
    embeddings: NDArray[np.float16]  # (patches, 1024) of YAMNet
    scores: Mapping[str, Numbers]  # by ear: probabilities (windows, classes of the ear)

    @property
    def clips(self) -> int:
        return int(self.owner.max()) + 1

    def clip_scores(self, ear: str) -> Numbers:
        return self.highest(self.scores[ear])

    def highest(self, values: NDArray[np.floating]) -> Numbers:
        """(windows, n) to (clips, n)."""
        out = np.full((self.clips, values.shape[1]), -np.inf, np.float32)
        np.maximum.at(out, self.owner, values.astype(np.float32))
        return out


class Networks:
    """The networks behind the ears, each with the rate that it listens at."""

    def __init__(
        self, yamnet: YAMNet, starter: MilNetwork, efficientat: nn.Module | None = None
    ) -> None:
        self.yamnet = yamnet.eval()
        self.starter = starter.eval()
        self.efficientat = None if efficientat is None else efficientat.eval()

    @classmethod
    def load(cls, efficientat: Path | None = None) -> Networks:
        """YAMNet and the starter as the program finds them, EfficientAT from a file."""
        starter, _ = load_checkpoint(weights.fetch("crnn.starter"))
        yamnet = read_network("yamnet", weights.fetch("yamnet"))
        other = None if efficientat is None else read_network("efficientat", efficientat)
        return cls(cast("YAMNet", yamnet), starter, cast("nn.Module | None", other))

    @torch.inference_mode()
    def hear(self, samples: Sound) -> tuple[Numbers, dict[str, Numbers]]:
        """YAMNet's embeddings (patches, 1024), and the probabilities of every ear."""
        embeddings = self.yamnet.embed(at_rate(samples, 16_000))[0]
        scores = {YAMNET: self.yamnet.head(embeddings).mean(dim=0).numpy()}
        features = self.starter.features(at_rate(samples, STARTER_RATE))
        scores[STARTER] = self.starter(features).bags[0].numpy()
        if self.efficientat is not None:
            scores[EFFICIENTAT] = self.efficientat(at_rate(filled(samples), RATE))[0][0].numpy()
        return embeddings.numpy(), scores


def at_rate(samples: Sound, rate: int) -> Tensor:
    """(1, samples) at another rate."""
    common = int(np.gcd(RATE, rate))
    x = samples if rate == RATE else resample_poly(samples, rate // common, RATE // common)
    return torch.from_numpy(np.ascontiguousarray(x, np.float32))[None]


def filled(samples: Sound) -> Sound:
    return np.pad(samples, (0, max(0, LEAST - len(samples))))


def compute(
    networks: Networks, clips: Iterable[Iterable[Sound]], say: Callable[[str], None]
) -> WindowFeatures:
    owner: list[int] = []
    heard: list[tuple[Numbers, dict[str, Numbers]]] = []
    for i, windows in enumerate(clips):
        for samples in windows:
            owner.append(i)
            heard.append(networks.hear(samples))
        if i % 500 == 499:
            say(f"{i + 1} clips heard")
    return _stacked(owner, heard)


def _stacked(
    owner: Sequence[int], heard: Sequence[tuple[Numbers, dict[str, Numbers]]]
) -> WindowFeatures:
    return WindowFeatures(
        np.array(owner, np.int64),
        np.array([len(e) for e, _ in heard], np.int64),
        np.concatenate([e for e, _ in heard]).astype(np.float16),
        {ear: np.stack([s[ear] for _, s in heard]) for ear in heard[0][1]},
    )


def save(path: Path, features: WindowFeatures) -> None:
    arrays: dict[str, NDArray[Any]] = {f"scores.{ear}": v for ear, v in features.scores.items()}
    for name in ("owner", "patches", "embeddings"):
        arrays[name] = getattr(features, name)
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)  # type: ignore[arg-type]
    part.replace(path)


def read(path: Path) -> WindowFeatures:
    with np.load(path) as table:
        scores = {k.partition(".")[2]: table[k] for k in table.files if k.startswith("scores.")}
        return WindowFeatures(table["owner"], table["patches"], table["embeddings"], scores)


def joined(parts: Sequence[WindowFeatures]) -> WindowFeatures:
    """Several sets as one, in order."""
    first = np.cumsum([0, *(p.clips for p in parts)])
    return WindowFeatures(
        np.concatenate([p.owner + at for p, at in zip(parts, first, strict=False)]),
        np.concatenate([p.patches for p in parts]),
        np.concatenate([p.embeddings for p in parts]),
        {ear: np.concatenate([p.scores[ear] for p in parts]) for ear in parts[0].scores},
    )
