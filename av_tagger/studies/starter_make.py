"""Making and keeping the starter ear's examples: waveforms, labels and the teacher's opinion, as flat files in a work folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.frontend import LogMel, LogMelSettings
from av_tagger.studies.starter_data import EAR_RATE, LABELS, SECONDS, Library, example, to_ear
from av_tagger.studies.teacher import Teacher

Numbers = NDArray[np.float32]
SAMPLES = int(SECONDS * EAR_RATE)


@dataclass(frozen=True)
class StarterExamples:
    """What was made: examples in the order of their seeds."""

    waves: NDArray[np.int16]  # (n, SAMPLES), memory-mapped
    lengths: NDArray[np.int32]
    known: Numbers  # (n, classes): 1, 0, NaN unknown
    opinions: NDArray[np.float16]  # (n, 527): the teacher's

    def __len__(self) -> int:
        return len(self.lengths)


def make(folder: Path, first_seed: int, count: int, library: Library, teacher: Teacher) -> None:
    """Write `count` examples; a name per first seed, so that parts can be made one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    waves = np.lib.format.open_memmap(
        folder / f"{first_seed}.wave.npy", "w+", np.int16, (count, SAMPLES)
    )
    lengths, known = np.zeros(count, np.int32), np.zeros((count, len(LABELS)), np.float32)
    opinions = np.zeros((count, 527), np.float16)
    for i in range(count):
        x, known[i] = example(first_seed + i, library)
        wave = to_ear(x)[:SAMPLES]
        waves[i, : len(wave)], lengths[i], opinions[i] = wave, len(wave), teacher(x)
        if i % 500 == 499:
            print(f"{i + 1} of {count} examples made", flush=True)
    np.savez(folder / f"{first_seed}.npz", lengths=lengths, known=known, opinions=opinions)


def read(folder: Path, first_seed: int) -> StarterExamples:
    table = np.load(folder / f"{first_seed}.npz")
    waves = np.load(folder / f"{first_seed}.wave.npy", mmap_mode="r")
    return StarterExamples(waves, table["lengths"], table["known"], table["opinions"])


@torch.inference_mode()
def features(examples: StarterExamples, frontend: LogMelSettings) -> NDArray[np.float16]:
    """(n, frames, mels): raw log-mel of everything, small enough to stay in memory."""
    mel = LogMel(frontend)
    out = np.empty((len(examples), frontend.frames(SAMPLES), frontend.mels), np.float16)
    for i in range(0, len(examples), 32):
        waves = torch.from_numpy(examples.waves[i : i + 32].astype(np.float32) / 32767)
        out[i : i + 32] = mel(waves)[:, 0].numpy()
    return out
