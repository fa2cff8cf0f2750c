"""The starter ear, from nothing to the shipped file: make examples, train, find thresholds, score.

    python -m av_tagger.studies.starter make DATA TEACHER WORK --seed 4000000 --count 8000
    python -m av_tagger.studies.starter train DATA WORK --seeds 4000000 5000000 -o weights/crnn.starter.safetensors
    python -m av_tagger.studies.starter score weights/crnn.starter.safetensors MANIFEST -o scores.csv

DATA is the manifest of licence-clear training clips, TEACHER the published file mn04_as_mAP_432.pt, WORK an empty folder with 2 GB of room.
`--check MANIFEST` prints what each stage of the training is worth on clips that nothing is learned from.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.checkpoint import EarThresholds, Header, load_checkpoint, save_checkpoint
from av_tagger.audio.frontend import LogMel
from av_tagger.audio.network import MilNetwork
from av_tagger.fusion import WeightedFusion, load_fusion
from av_tagger.labels import dcase2017
from av_tagger.studies.starter_data import (
    LABELS,
    Library,
    alone_example,
    empty_example,
    over_example,
    read_recordings,
    scene_example,
    to_ear,
)
from av_tagger.studies.starter_make import features, make, read
from av_tagger.studies.starter_score import (
    average_precision,
    false_alarms,
    listen,
    micro_f1,
    read_manifest,
    tune,
)
from av_tagger.studies.starter_train import StarterSettings, TrainingSet, train
from av_tagger.studies.teacher import Teacher
from av_tagger.synth.dsp import RandomDraw

Numbers = NDArray[np.float32]

HELD_OUT_SEED = 900_000_000
MARGIN = 0.5  # logits above what held-out clips demand; chosen so that few real clips without any class get a tag
EYE = 0.35  # of the objects' probability that must fall to a class when the eye is alone


def library(manifest: Path) -> Library:
    return Library([r for r in read_recordings(manifest) if not r.held_out])


def held_out(manifest: Path, count: int = 400) -> tuple[list[Numbers], Numbers]:
    """Clips that nothing was learned from: new synthetic scenes, and one recording group in seven."""
    kept = [r for r in read_recordings(manifest) if r.held_out]
    clips, truth = [], []
    for i in range(count):
        d = RandomDraw(np.random.default_rng(HELD_OUT_SEED + i))
        kind = (scene_example, alone_example, over_example, empty_example)[i % 4]
        x, y = kind(d, Library(kept), int(32_000 * d.log(1.5, 10.0)))
        clips.append(as_heard(x))
        truth.append(y)
    return clips + [as_heard(r.samples) for r in kept], np.array(truth + [r.targets for r in kept])


def as_heard(x: Numbers) -> Numbers:
    """As stored and read again."""
    return np.asarray(to_ear(x) / np.float32(32767), np.float32)


def thresholds(network: MilNetwork, manifest: Path) -> EarThresholds:
    """The ear's from held-out data; with both witnesses between the ear's and the eye's, as far as the paper's weight lies."""
    clips, truth = held_out(manifest)
    scores = listen(network, clips)
    ear = tune(scores, truth, MARGIN)
    print(
        f"held out: micro-F1 {micro_f1(scores, truth, ear):.3f}, false alarms {100 * false_alarms(scores, truth, ear):.1f} %"
    )
    paper = load_fusion("paper", LABELS)
    assert isinstance(paper, WeightedFusion)
    both = (paper.weights * ear + (1 - paper.weights) * EYE).round(3)
    return EarThresholds(
        *(tuple(round(float(v), 3) for v in row) for row in (both, ear, np.full(len(LABELS), EYE)))
    )


def report(check: tuple[list[Numbers], Numbers] | None, network: MilNetwork) -> None:
    if check is None:
        return
    found = average_precision(listen(network, check[0]), check[1])
    print(
        f"  checked: mean AP {np.mean(list(found.values())):.3f}  "
        + "  ".join(f"{k[:9]} {v:.2f}" for k, v in found.items()),
        flush=True,
    )


def run_train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    settings = replace(StarterSettings(), pooling=arguments.pooling, epochs=arguments.epochs)
    parts = [read(arguments.work, seed) for seed in arguments.seeds]
    x = np.concatenate([features(p, settings.frontend) for p in parts])
    known, opinions = (
        np.concatenate([p.known for p in parts]),
        np.concatenate([p.opinions for p in parts]),
    )
    training_set = TrainingSet(x, known, opinions, settings, LogMel(settings.frontend).silence()[0])
    check = read_manifest(arguments.check)[1:] if arguments.check else None
    network = train(training_set, settings, partial(report, check))
    seeds = " ".join(map(str, arguments.seeds))
    made = f"python -m av_tagger.studies.starter train DATA WORK --seeds {seeds} --epochs {arguments.epochs} --pooling {arguments.pooling}"
    save(network, settings, thresholds(network, arguments.data), made, arguments.output)


def save(
    network: MilNetwork, settings: StarterSettings, rows: EarThresholds, made: str, path: Path
) -> None:
    classes = dcase2017()
    header = Header(
        "crnn.starter",
        settings.architecture(len(classes)),
        classes.labels,
        classes.ids,
        rows,
        licence="Apache-2.0",
        made=made,
    )
    save_checkpoint(path, network, header)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def run_make(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    make(
        arguments.work,
        arguments.seed,
        arguments.count,
        library(arguments.data),
        Teacher(arguments.teacher),
    )


def run_score(arguments: argparse.Namespace) -> None:
    """Scores of every clip as CSV, and the false alarms at the shipped thresholds."""
    torch.set_num_threads(arguments.threads)
    network, header = load_checkpoint(arguments.weights)
    files, clips, truth = read_manifest(arguments.manifest)
    scores = listen(network, clips)
    with arguments.output.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["file", *header.labels])
        writer.writerows(
            [name, *(f"{v:.5f}" for v in row)] for name, row in zip(files, scores, strict=True)
        )
    ear = np.array(header.thresholds.ear, np.float32)
    found = average_precision(scores, truth)
    alarms = 100 * false_alarms(scores, truth, ear)
    print(
        f"mean AP {np.mean(list(found.values())):.3f}, micro-F1 {micro_f1(scores, truth, ear):.3f}"
    )
    print(f"{alarms:.1f} % of the clips without any class get a tag")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("make")
    for name in ("data", "teacher", "work"):
        one.add_argument(name, type=Path)
    one.add_argument("--seed", type=int, required=True)
    one.add_argument("--count", type=int, default=8000)
    one.set_defaults(run=run_make)
    two = commands.add_parser("train")
    for name in ("data", "work"):
        two.add_argument(name, type=Path)
    two.add_argument("--seeds", type=int, nargs="+", required=True)
    two.add_argument("--epochs", type=int, default=StarterSettings().epochs)
    two.add_argument("--pooling", default=StarterSettings().pooling)
    two.add_argument("--check", type=Path)
    two.add_argument("-o", "--output", type=Path, required=True)
    two.set_defaults(run=run_train)
    three = commands.add_parser("score")
    for name in ("weights", "manifest"):
        three.add_argument(name, type=Path)
    three.add_argument("-o", "--output", type=Path, required=True)
    three.set_defaults(run=run_score)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
