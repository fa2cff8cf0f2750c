"""Data of the starter ear: training and validation clips as WAV files with manifests.

    python -m av_tagger.studies.starter_data SOUNDS DATA [--count 8000] [--seed 4000000]

SOUNDS is a sound manifest (columns file, labels, ambiguous, recording, licence) of recordings
with a clear licence. DATA gets train.csv, valid.csv and the clips: 3 GB for 8000 examples. Then:

    av-tag train starter --data DATA/train.csv --valid DATA/valid.csv -o RUN
"""

from __future__ import annotations

import argparse
import csv
import wave
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from av_tagger.studies.sound_manifest import LABELS, ClassTargets, read_sounds
from av_tagger.studies.starter_examples import (
    RATE,
    LabelledSound,
    Library,
    Recording,
    example,
    held_out_example,
    pcm,
    read_recordings,
)
from av_tagger.synth.dsp import Sound

HELD_OUT_SEED = 900_000_000


def training_examples(
    recordings: Sequence[Recording], first_seed: int, count: int
) -> Iterator[tuple[str, LabelledSound]]:
    """(name, example) of so many seeds; held-out recordings are not used."""
    library = Library([r for r in recordings if not r.held_out])
    for seed in range(first_seed, first_seed + count):
        yield f"{seed}", example(seed, library)


def validation_examples(
    recordings: Sequence[Recording], count: int
) -> Iterator[tuple[str, LabelledSound]]:
    """Scenes of seeds that training does not use, and the held-out recordings."""
    kept = [r for r in recordings if r.held_out]
    library = Library(kept)
    for i in range(count if kept else 0):
        yield f"scene-{i}", held_out_example(HELD_OUT_SEED + i, i, library)
    for i, recording in enumerate(kept):
        yield f"recording-{i}", (recording.samples, recording.targets)


def write_set(folder: Path, name: str, examples: Iterable[tuple[str, LabelledSound]]) -> int:
    """Write WAV files and a manifest for `av-tag train`; the number of clips."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for stem, (samples, targets) in examples:
        file = f"{name}/{stem}.wav"
        write_wav(folder / file, samples)
        rows.append([file, *label_cells(targets)])
        if len(rows) % 500 == 0:
            print(f"{len(rows)} examples of {name}", flush=True)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([["file", "labels", "unknown"], *rows])
    return len(rows)


def label_cells(targets: ClassTargets) -> tuple[str, str]:
    """The cells labels and unknown. A train horn is also a train, as in AudioSet's labels."""
    labels = [label for label, t in zip(LABELS, targets, strict=True) if t == 1]
    if "Train horn" in labels and "Train" not in labels:
        labels.append("Train")
    unknown = [label for label, t in zip(LABELS, targets, strict=True) if np.isnan(t)]
    return "|".join(labels), "|".join(label for label in unknown if label not in labels)


def write_wav(path: Path, samples: Sound) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm(samples).astype("<i2").tobytes())


def main(arguments: Sequence[str] | None = None) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=8000, help="training examples")
    parser.add_argument("--held-out", type=int, default=400, help="synthetic validation examples")
    parser.add_argument("--seed", type=int, default=4_000_000, help="of the first example")
    given = parser.parse_args(arguments)
    recordings = read_recordings(read_sounds(given.sounds))
    write = partial(write_set, given.data)
    training = write("train", training_examples(recordings, given.seed, given.count))
    validation = write("valid", validation_examples(recordings, given.held_out))
    print(f"{training} training clips and {validation} validation clips in {given.data}")


if __name__ == "__main__":
    main()
