"""The day-one ears, from sounds to the shipped files: head, calibration and thresholds.

    python -m av_tagger.studies.dayone_ear --shared FOLDER -o WORK
    python -m av_tagger.studies.dayone_ear --shared FOLDER -o WORK --check sounds/dev.csv

FOLDER holds `sounds/train.csv` (licence-clear clips), `av/dev.csv` (videos, for the calibration)
and `weights/mn04_as_mAP_432.pt` (optional). YAMNet is fetched as the program fetches it. WORK
gets `ear.NAME.safetensors` for every ear, and keeps what the networks said, so that a second run
takes minutes. `--check` measures the files in WORK on a manifest that nothing was fitted to.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.calibration import Calibration, EmbeddingHead, column_of
from av_tagger.audio.calibration_file import load_calibration, save_calibration
from av_tagger.audio.known.families import FAMILIES
from av_tagger.studies import sound_manifest
from av_tagger.studies.dayone_audioset import named_clips
from av_tagger.studies.dayone_combine import (
    EARS,
    LABELS,
    Fitted,
    RealClips,
    fit,
    probabilities,
)
from av_tagger.studies.dayone_features import EFFICIENTAT, STARTER, YAMNET, Networks, Numbers
from av_tagger.studies.dayone_features import joined as joined_features
from av_tagger.studies.dayone_head import HeadData, HeadSettings, apply, start, train
from av_tagger.studies.dayone_report import (
    HEADER,
    Worth,
    per_class,
    reliability_lines,
    worth,
)
from av_tagger.studies.dayone_sounds import FOLDS, LabelledClip, read_sounds, read_videos
from av_tagger.studies.dayone_work import HeardSet, Material, hear_examples, hear_real
from av_tagger.studies.fusion_heard import save_heard
from av_tagger.studies.starter_examples import read_recordings


def make(material: Material, count: int) -> list[Fitted]:
    """Hear everything, train the head, calibrate every ear, write the files."""
    material.work.mkdir(parents=True, exist_ok=True)
    networks = Networks.load(material.efficientat)
    clips, videos = read_sounds(material.sounds), read_videos(material.videos)
    sounds = hear_real("sounds", clips, networks, material.work)
    films = hear_real("videos", videos, networks, material.work)
    recordings = read_recordings(sound_manifest.read_sounds(material.sounds))
    made = hear_examples(recordings, count, networks, material.work)
    head, held_out = trained(sounds, made, networks)
    real = real_clips((sounds, films), head, held_out, clips)
    command = f"python -m av_tagger.studies.dayone_ear --shared FOLDER -o WORK --count {count}"
    fits = [fit(parts, real, head, command) for parts in EARS if set(parts) <= here(networks)]
    for fitted in fits:
        save_calibration(path_of(material.work, fitted.calibration.parts), fitted.calibration)
    save_heard(material.work / "av_heard.npz", videos, fits)
    return fits


def path_of(work: Path, parts: tuple[str, ...]) -> Path:
    return work / f"ear.{'+'.join(sorted(parts))}.safetensors"


def here(networks: Networks) -> set[str]:
    known = {STARTER, YAMNET}
    return known if networks.efficientat is None else known | {EFFICIENTAT}


def trained(sounds: HeardSet, made: HeardSet, networks: Networks) -> tuple[EmbeddingHead, Numbers]:
    """The head on everything; and the scores of real clips by heads that never had their fold."""
    settings = HeadSettings()
    data, folds = training_data(sounds, made, settings)
    begin = start(networks.yamnet, FAMILIES[YAMNET].labels)
    own = sounds.folds[sounds.features.owner]
    held_out = np.zeros((len(own), len(LABELS)), np.float32)
    for fold in range(FOLDS):
        part = train(data, folds != fold, begin, settings)
        held_out[own == fold] = apply(part, sounds.features)[own == fold]
    return train(data, folds >= 0, begin, settings), held_out


def training_data(
    sounds: HeardSet, made: HeardSet, settings: HeadSettings
) -> tuple[HeadData, NDArray[np.int64]]:
    """Windows of real clips and of examples, and the fold of each."""
    features = joined_features([sounds.features, made.features])
    targets = np.concatenate([sounds.targets, made.targets])
    kinds = np.where(made.altered, settings.altered, settings.synthetic)
    weights = np.concatenate([np.full(len(sounds.targets), settings.real), kinds])
    folds = np.concatenate([sounds.folds, made.folds])
    owner = features.owner
    data = HeadData(features, targets[owner], weights[owner].astype(np.float32))
    return data, folds[owner]


def real_clips(
    sets: tuple[HeardSet, HeardSet],
    head: EmbeddingHead,
    held_out: Numbers,
    clips: list[LabelledClip],
) -> RealClips:
    """Sounds first, then videos, of which the head never had any."""
    sounds, films = sets
    return RealClips(
        joined_features([sounds.features, films.features]),
        np.concatenate([held_out, apply(head, films.features)]),
        np.concatenate([sounds.targets, films.targets]),
        np.concatenate([sounds.folds, films.folds]),
        tuple(c.source_label for c in clips),
    )


def check(material: Material, manifest: Path) -> list[Worth]:
    """The files in WORK on the clips of a manifest."""
    clips = read_sounds(manifest)
    heard = hear_real(
        f"check.{manifest.stem}", clips, Networks.load(material.efficientat), material.work
    )
    paths = [path_of(material.work, parts) for parts in EARS]
    found = [load_calibration(path) for path in paths if path.is_file()]
    return [_worth(c, clips, heard) for c in found]


def _worth(calibration: Calibration, clips: list[LabelledClip], heard: HeardSet) -> Worth:
    p = probabilities(calibration, heard.features)
    truth = heard.targets.astype(np.float64)
    for line in reliability_lines(p[:, column_of(LABELS, calibration.labels)], truth):
        print(f"{calibration.name}: {line}")
    by_class = per_class(p[:, column_of(LABELS, calibration.labels)], truth)
    print(f"{calibration.name}: " + ", ".join(f"{k} {v:.2f}" for k, v in by_class.items()))
    named = named_clips([c.source_label for c in clips], calibration.labels)
    return worth(calibration, p, truth, named)


def report(fits: list[Fitted]) -> None:
    for fitted in fits:
        c = fitted.calibration
        figures = ", ".join(f"{k} {v}" for k, v in c.about.notes.items())
        rows = {point: float(row[0]) for point, row in c.thresholds.items()}
        print(f"{c.name}: thresholds {rows}; {figures}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3000, help="synthetic examples")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check", metavar="MANIFEST", help="below --shared; measure, fit nothing")
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    material = Material(arguments.shared, arguments.output)
    if arguments.check:
        rows = check(material, arguments.shared / arguments.check)
        print("\n".join([HEADER, *(row.line() for row in rows)]))
    else:
        report(make(material, arguments.count))


if __name__ == "__main__":
    main()
