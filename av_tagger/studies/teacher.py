"""A published AudioSet network as critic and teacher: what it takes a sound for, and targets made of that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.known.files import read_network
from av_tagger.labels import audioset, dcase2017

Numbers = NDArray[np.float32]

RATE = 32_000  # at which the teacher listens

# AudioSet names that say a class as well as its own name does.
SUBKINDS: dict[str, tuple[str, ...]] = {
    "Bicycle": ("Bicycle bell",),
    "Train": ("Railroad car, train wagon", "Train wheels squealing", "Subway, metro, underground"),
    "Car": ("Race car, auto racing",),
}
# What the teacher says of a typical true example of each class, measured on real clips: a whisper for some, loud for others.
# At this level its opinion counts as one half.
TYPICAL: dict[str, float] = {
    "Train horn": 0.15,
    "Air horn, truck horn": 0.1,
    "Car alarm": 0.15,
    "Reversing beeps": 0.05,
    "Bicycle": 0.1,
    "Skateboard": 0.05,
    "Ambulance (siren)": 0.12,
    "Fire engine, fire truck (siren)": 0.12,
    "Civil defense siren": 0.3,
    "Police car (siren)": 0.3,
    "Screaming": 0.2,
    "Car": 0.15,
    "Car passing by": 0.05,
    "Bus": 0.03,
    "Truck": 0.04,
    "Motorcycle": 0.1,
    "Train": 0.1,
}


class Teacher:
    """EfficientAT behind one function."""

    def __init__(self, path: Path) -> None:
        self.network = read_network("efficientat", path)
        assert isinstance(self.network, torch.nn.Module)
        self.network.eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, samples: Numbers) -> Numbers:
        """(527,) probabilities of one clip at RATE."""
        clip, _ = self.network(torch.from_numpy(np.ascontiguousarray(samples))[None])
        return np.asarray(clip[0].numpy(), np.float32)


def columns() -> list[list[int]]:
    """For each of the 17 classes, the AudioSet columns that mean it."""
    index = {c.label: i for i, c in enumerate(audioset())}
    by_id = {c.id: i for i, c in enumerate(audioset())}
    return [
        [by_id[c.id], *(index[name] for name in SUBKINDS.get(c.label, ()))] for c in dcase2017()
    ]


def opinions(probabilities: Numbers) -> Numbers:
    """(n, 527) to (n, 17), on a scale where one half is what the teacher says of a typical example."""
    said = np.stack([probabilities[:, c].max(axis=1) for c in columns()], axis=1)
    typical = np.array([TYPICAL[c.label] for c in dcase2017()], np.float32)
    return np.asarray(1 / (1 + np.exp(logit(typical) - logit(said))), np.float32)


def targets(known: Numbers, probabilities: Numbers, trust: float = 0.6) -> Numbers:
    """Labels where there are any, softened by the teacher; its opinion alone where there are none (NaN)."""
    said = opinions(probabilities)
    yes = np.maximum(trust + (1 - trust) * said, trust)
    no = 0.4 * said
    return np.where(
        np.isnan(known), said, np.where(known == 1, yes, np.minimum(no, (1 - trust) * said))
    ).astype(np.float32)


def logit(p: Numbers) -> Numbers:
    q = np.clip(p, 1e-5, 1 - 1e-5)
    return np.asarray(np.log(q / (1 - q)), np.float32)
