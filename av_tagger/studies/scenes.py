"""Synthetic scenes as WAV files with a manifest, to train any recipe on sound that anyone can make.

Run: python -m av_tagger.studies.scenes FOLDER [--clips 600] [--seconds 3] [--classes "Bus|Train"]
"""

from __future__ import annotations

import argparse
import csv
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.synth import SceneSettings, empty_scene, scene

FIVE = ("Train horn", "Reversing beeps", "Ambulance (siren)", "Screaming", "Motorcycle")
RATE = 20_000
EMPTY = 10  # every tenth scene has none of the classes
EASY = SceneSettings(counts=(1, 1, 1, 2), snr_db=(6.0, 30.0), distractor=0.1, recorder=0.0)


def write_scenes(
    folder: Path, clips: int, seconds: float, classes: Sequence[str] = FIVE, seed: int = 0
) -> Path:
    """`clips` WAV files, manifest.csv (file, labels) to train on, and groundtruth.csv (events) for
    `av-tag evaluate`; the same arguments, the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, truth = [], []
    for number in range(clips):
        key = seed * 1_000_003 + number
        if number % EMPTY == EMPTY - 1:
            made = empty_scene(key, seconds, RATE)
        else:
            made = scene(key, seconds, RATE, classes, EASY)
        name = f"scene-{number:05d}.wav"
        write_wav(folder / name, made.samples, RATE)
        rows.append((name, "|".join(made.labels)))
        events = [f"{name}\t{e.start:.3f}\t{e.end:.3f}\t{e.label}\n" for e in made.events]
        truth += events or [f"{name}\n"]
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("file", "labels"), *rows])
    (folder / "groundtruth.csv").write_text("".join(truth), encoding="utf-8")
    return manifest


def write_wav(path: Path, samples: NDArray[np.float32], rate: int) -> None:
    """16-bit mono."""
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm.tobytes())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--classes", default="|".join(FIVE), help="names, separated by |")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    classes = chosen.classes.split("|")
    print(write_scenes(chosen.folder, chosen.clips, chosen.seconds, classes, chosen.seed))


if __name__ == "__main__":
    main()
