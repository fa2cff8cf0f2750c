"""Scales of the shipped fusion files: fused scores and evidence as calibrated probabilities.

    av-tag arena CLIPS --truth VIDEOS.csv -o ARENA
    python -m av_tagger.studies.fusion_scales ARENA VIDEOS.csv
    python -m av_tagger.studies.fusion_scales ARENA VIDEOS.csv --write weights

VIDEOS.csv: columns file, labels, source, note. For what is heard with evidence of the eye, for what
is heard without any (`unseen`), and for the eye alone, one of: the scores as they
are; one Platt scale for all classes; a scale per class where it has enough positives, else the one
for all. The lowest log loss on sources left out decides, if it is lower also where unknown labels
are read as absent. The row `ear` keeps its scores, which the ear's own file has calibrated.
Thresholds move along: no decision changes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.combination import family_of
from av_tagger.clip import Clip
from av_tagger.evaluation.keys import key_of
from av_tagger.evaluation.predictions import read_predictions
from av_tagger.evaluation.reliability import ece, log_loss
from av_tagger.fusion import LOGIT, Weighing, read_fusion, write_fusion
from av_tagger.fusion.calibrate import FEWEST, FITS, fit_platt
from av_tagger.fusion.logit import EVIDENCE
from av_tagger.fusion.scales import Scales, ScoreScale
from av_tagger.labels import dcase2017
from av_tagger.studies.dayone_sounds import read_videos

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LABELS = dcase2017().labels
AS_IS = ScoreScale()
CLAIMED = 0.1
OWN = 30  # positives (of a class) below which there is no scale (of its own)
DIGITS = 6  # of thresholds
Found = tuple[ScoreScale, ...]  # per class


@dataclass(frozen=True, eq=False)
class Table:
    """Scores and truth (videos, classes), NaN where unknown, and the source of each video."""

    scores: Floats
    truth: Floats
    sources: NDArray[np.str_]

    @property
    def known(self) -> Bools:
        found: Bools = np.isfinite(self.scores) & np.isfinite(self.truth)
        return found


@dataclass(frozen=True)
class Chosen:
    name: str  # as they are, one for all, per class
    scales: Found
    before: tuple[float, float, float]  # log loss, ECE, ECE of scores of 0.1 or more
    after: tuple[float, float, float]  # of held-out scores

    def line(self, row: str) -> str:
        pairs = zip(("log loss", "ECE", "ECE from 0.1"), self.before, self.after, strict=True)
        changes = ", ".join(f"{name} {old:.3f} -> {new:.3f}" for name, old, new in pairs)
        return f"{row}: {self.name}; held out {changes}"


def one_for_all(table: Table, which: Bools) -> Found:
    known = table.known & which[:, None]
    truth = table.truth[known] > 0
    enough = truth.sum() >= OWN and not truth.all()
    scale = fit_platt(table.scores[known], truth) if enough else AS_IS
    return tuple(scale for _ in range(table.truth.shape[1]))


def per_class(table: Table, which: Bools) -> Found:
    scales = list(one_for_all(table, which))
    for k in range(table.truth.shape[1]):
        rows = table.known[:, k] & which
        truth = table.truth[rows, k] > 0
        if OWN <= truth.sum() <= len(truth) - FEWEST:
            scales[k] = FITS["platt"](table.scores[rows, k], truth)
    return tuple(scales)


KINDS = {"one for all classes": one_for_all, "per class": per_class}


def apply(scales: Found, scores: Floats) -> Floats:
    return np.stack([scale(scores[:, k]) for k, scale in enumerate(scales)], axis=1)


def choose(table: Table) -> Chosen:
    """By log loss of scores whose scale never saw their source.

    A scale is taken only if it is better under both readings of unknown labels: left out, and
    absent. Objects in view often have unknown labels, so the two can disagree.
    """
    everything = np.ones(len(table.sources), np.bool_)
    held = {"as they are": table.scores}
    for name, fit in KINDS.items():
        out = table.scores.copy()
        for source in np.unique(table.sources):
            mine = table.sources == source
            out[mine] = apply(fit(table, ~mine), table.scores[mine])
        held[name] = out
    absent = replace(table, truth=np.nan_to_num(table.truth))
    losses = {
        name: (_figures(scores, table)[0], _figures(scores, absent)[0])
        for name, scores in held.items()
    }
    plain = losses["as they are"]
    better = [n for n, loss in losses.items() if loss[0] < plain[0] and loss[1] < plain[1]]
    best = min(better, key=lambda name: losses[name][0], default="as they are")
    count = table.truth.shape[1]
    scales = KINDS[best](table, everything) if best in KINDS else (AS_IS,) * count
    return Chosen(best, scales, _figures(table.scores, table), _figures(held[best], table))


def _figures(scores: Floats, table: Table) -> tuple[float, float, float]:
    s, y = scores[table.known], table.truth[table.known]
    claimed = s >= CLAIMED
    return log_loss(s, y), ece(s, y), ece(s[claimed], y[claimed])


def with_rows(fusion: Weighing, both: Found, eye: Found, unseen: Found = ()) -> Weighing:
    """The fusion with these scales; a file that has scales already is refused."""
    if fusion.scales is not None:
        raise SystemExit("this fusion file has scales already: make it again with fusion_fit")
    scales = Scales(both=both, ear=(AS_IS,) * len(fusion.labels), eye=eye, unseen=unseen)
    moved = {
        row: scales.thresholds(row, getattr(fusion.rows, row)).round(DIGITS)
        for row in ("both", "eye")
    }
    return replace(fusion.with_thresholds(**moved), scales=scales)


def scores_in(folder: Path, branch: str, names: Sequence[str]) -> Floats:
    """(videos, classes) of one contestant, NaN where it says nothing."""
    clips = read_predictions(folder / "files.jsonl", dcase2017(), others=True).clips
    rows: list[Mapping[str, float]] = [clips[n].scores[branch] if n in clips else {} for n in names]
    return np.array([[row.get(label, np.nan) for label in LABELS] for row in rows])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arena", type=Path)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--write", type=Path, help="a folder for the fusion files")
    arguments = parser.parse_args(words)
    videos = read_videos(arguments.videos)
    names = [key_of(Clip(clip.path)) for clip in videos]
    truth = np.stack([video.targets for video in videos]).astype(np.float64)
    sources = np.array([video.group for video in videos])
    seen = scores_in(arguments.arena / "eye", "seen", names)
    eye = choose(Table(seen, truth, sources))
    print(eye.line("eye"))
    made = {LOGIT: with_rows(read_fusion(arguments.weights / LOGIT), (AS_IS,) * 17, eye.scales)}
    for folder in sorted(arguments.arena.glob("ear-*")):
        name = _file_of(folder)
        fusion = read_fusion(arguments.weights / name, LABELS)
        fused = fusion.combine(scores_in(folder, "heard", names), seen)
        evident = np.nan_to_num(seen) >= EVIDENCE
        parts = {"with evidence": evident, "without": ~evident}
        found = {
            part: choose(Table(np.where(which, fused, np.nan), truth, sources))
            for part, which in parts.items()
        }
        for part, one in found.items():
            print(one.line(f"{name}, {part}"))
        both, unseen = (found[part].scales for part in parts)
        made[name] = with_rows(fusion, both, eye.scales, unseen)
    for name, fusion in made.items() if arguments.write is not None else ():
        write_fusion(fusion, arguments.write / name)


def _file_of(folder: Path) -> str:
    """`ear-yamnet-starter` to `fusion.starter+yamnet.json`."""
    ears = [part for part in folder.name.split("-")[1:] if not part.startswith("mn")]
    return f"fusion.{family_of('+'.join(ears))}.json"


if __name__ == "__main__":
    main()
