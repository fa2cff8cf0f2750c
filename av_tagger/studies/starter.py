"""The starter ear: from a trained run to the shipped file, and its scores on labelled clips.

    python -m av_tagger.studies.starter_data SOUNDS DATA
    av-tag train starter --data DATA/train.csv --valid DATA/valid.csv -o RUN
    python -m av_tagger.studies.starter finish RUN DATA/valid.csv -o crnn.starter.safetensors
    python -m av_tagger.studies.starter score crnn.starter.safetensors SOUNDS -o scores.csv
    python -m av_tagger.studies.starter teacher efficientat.mn04

`finish` tunes thresholds on the validation clips and adds the licence. `score` writes the scores
of all clips of a sound manifest, and prints average precision by class, micro-F1 and false alarms.
`teacher` prints how a published ear scores the synthetic sounds.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio.checkpoint import load_checkpoint, save_checkpoint
from av_tagger.audio.ears import load_ear
from av_tagger.audio.header import EarThresholds
from av_tagger.clip import Waveform
from av_tagger.fusion import WeightedFusion, load_fusion
from av_tagger.labels import dcase2017
from av_tagger.learning.data.manifests import read_examples
from av_tagger.learning.run_folder import BEST
from av_tagger.studies.sound_manifest import LABELS, read_sounds, read_waveform
from av_tagger.studies.starter_score import listen, precisions, report, tune
from av_tagger.synth import render
from av_tagger.synth.dsp import SampleSpan

Numbers = NDArray[np.float32]

NAME, LICENCE = "crnn.starter", "Apache-2.0"
MARGIN = 0.5  # logits above held-out clips, so that few real clips without a class get a tag
EYE = 0.35  # threshold of the eye alone: share of the objects' probability


def finish(run: Path, valid: Path, output: Path) -> None:
    """Write the weights of a run with thresholds for shipping."""
    network, header = load_checkpoint(run / BEST, LABELS)
    assert network.frontend is not None
    rate = network.frontend.settings.rate
    examples = read_examples(valid, dcase2017())
    clips = [read_waveform(e.clip.path, rate) for e in examples.examples]
    scores, truth = listen(network, clips), examples.targets()
    ear = tune(scores, truth, MARGIN)
    print(report(scores, truth, ear))
    thresholds = with_eye(ear, EYE)
    save_checkpoint(
        output, network, replace(header, name=NAME, licence=LICENCE, thresholds=thresholds)
    )
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


def with_eye(ear: Numbers, eye: float) -> EarThresholds:
    """Thresholds of both between those of ear and eye, by the paper's weight of the ear."""
    paper = load_fusion("paper", LABELS)
    assert isinstance(paper, WeightedFusion)
    both = paper.weights * ear + (1 - paper.weights) * eye
    rows = (both, ear, np.full(len(LABELS), eye))
    return EarThresholds(*(tuple(round(float(v), 3) for v in row) for row in rows))


def score(weights: Path, manifest: Path, output: Path) -> None:
    """Scores of every clip as CSV, and metrics at the thresholds of the file."""
    network, header = load_checkpoint(weights, LABELS)
    assert network.frontend is not None
    rows, rate = read_sounds(manifest), network.frontend.settings.rate
    truth = np.array([row.targets for row in rows])
    scores = listen(network, [read_waveform(row.path, rate) for row in rows])
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *header.labels])
        for row, values in zip(rows, scores, strict=True):
            writer.writerow([row.name, *(f"{v:.5f}" for v in values)])
    found = precisions(scores, truth)
    for label, precision in found.items():
        print(f"| {label} | {int((truth[:, LABELS.index(label)] == 1).sum())} | {precision:.3f} |")
    print(f"mean average precision {np.mean(list(found.values())):.3f} of {len(found)} classes")
    print(report(scores, truth, np.array(header.thresholds.ear, np.float32)))


def teacher_table(name: str, count: int) -> Iterator[str]:
    """How an ear scores `count` dry synthetic sounds of 5 s of each class: a row per class."""
    ear = load_ear(name)
    place = [ear.labels.index(label) for label in LABELS]
    yield "| class | median | above 0.05 | leads |"
    yield "|---|---|---|---|"
    for k, label in enumerate(LABELS):
        sounds = [render(seed, label, SampleSpan(ear.rate, 5.0)) for seed in range(count)]
        heard = ear.hear([Waveform(sound, ear.rate) for sound in sounds])
        scores = np.stack([h.probabilities[place] for h in heard])
        own, leads = scores[:, k], float((scores.argmax(axis=1) == k).mean())
        yield f"| {label} | {np.median(own):.3f} | {(own > 0.05).mean():.2f} | {leads:.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--threads", type=int, default=1)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, first, second in (("finish", "run", "valid"), ("score", "weights", "manifest")):
        each = commands.add_parser(name)
        each.add_argument(first, type=Path)
        each.add_argument(second, type=Path)
        each.add_argument("-o", "--output", type=Path, required=True)
    teacher = commands.add_parser("teacher")
    teacher.add_argument("ear")
    teacher.add_argument("--count", type=int, default=40, help="sounds per class")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.command == "finish":
        finish(given.run, given.valid, given.output)
    elif given.command == "teacher":
        print("\n".join(teacher_table(given.ear, given.count)))
    else:
        score(given.weights, given.manifest, given.output)


if __name__ == "__main__":
    main()
