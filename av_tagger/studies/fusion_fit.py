"""The shipped fusion files: what looking adds to each day-one ear, fitted and measured on videos.

    python -m av_tagger.studies.fusion_fit VIDEOS.csv HEARD.npz -o WORK
    python -m av_tagger.studies.fusion_fit VIDEOS.csv HEARD.npz -o WORK --write weights

VIDEOS.csv: columns file, labels, source, note. HEARD.npz is what `studies.dayone_ear` leaves in its
folder: probabilities of the same videos by each ear, held out by source, and its thresholds. WORK
keeps what the eye saw. Every figure is of sources that the fit did not have; intervals come from
drawing sources with replacement.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.fusion import LogitFusion, write_fusion
from av_tagger.fusion.file import build
from av_tagger.fusion.logit import logit
from av_tagger.fusion.logit_fit import MOST, STEP, Shift, fit_shift
from av_tagger.labels import dcase2017, families
from av_tagger.metrics import Counts, mean_average_precision
from av_tagger.studies.dayone_sounds import read_videos
from av_tagger.studies.fusion_look import look

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LABELS = dcase2017().labels
FAMILY = families(LABELS)
CUTS = np.round(np.arange(0.02, 0.91, 0.01), 2)
DRAWS = 2000
QUIET = 0.02  # share of the videos without any class that the eye alone may tag
UNHEARD = 0.01  # an ear that says this is sure enough that there is nothing
NEARLY = 0.01  # of F1: thresholds that are as good as the best


@dataclass(frozen=True, eq=False)
class Videos:
    """What is known of the videos, what was seen, and what one ear heard."""

    truth: Floats  # (videos, classes) 1, 0, NaN unknown
    sources: NDArray[np.str_]
    seen: Floats
    heard: Floats
    threshold: float  # of the ear

    @property
    def empty(self) -> Bools:
        """Videos that surely hold none of the classes."""
        return np.asarray(np.nan_to_num(self.truth, nan=0.0).max(axis=1) == 0)

    def part(self, which: Bools) -> Videos:
        return replace(
            self,
            truth=self.truth[which],
            sources=self.sources[which],
            seen=self.seen[which],
            heard=self.heard[which],
        )


@dataclass(frozen=True, eq=False)
class Decided:
    """(videos, classes) tags, each by a fit that never had the video's source."""

    heard: Bools  # at the ear's threshold
    fused: Bools
    heard_tuned: Bools  # at the threshold that is best for the other sources
    fused_tuned: Bools


@dataclass(frozen=True)
class Figures:
    """What looking is worth with one ear."""

    ear: str
    shift: Shift  # fitted to all videos
    free: Shift  # the same without a limit
    f1: dict[str, float]
    gain: tuple[float, float, float]  # fused minus heard, at the ear's threshold: low, middle, high
    gain_tuned: tuple[float, float, float]
    false_tags: dict[str, int]  # in videos that hold none of the classes
    mean_ap: dict[str, float]

    def lines(self) -> list[str]:
        f1 = ", ".join(f"{k} {v:.3f}" for k, v in self.f1.items())
        false = ", ".join(f"{k} {v}" for k, v in self.false_tags.items())
        mean = ", ".join(f"{k} {v:.3f}" for k, v in self.mean_ap.items())
        gains = (f"{100 * b:+.1f} [{100 * a:+.1f}, {100 * c:+.1f}]" for a, b, c in self._gains())
        return [
            (
                f"{self.ear}: gain {self.shift.gain:g}, against {self.shift.against:g}"
                f" (without limit {self.free.gain:g}, {self.free.against:g})"
            ),
            f"  micro-F1: {f1}",
            "  fused minus heard, points: {}; both tuned in the folds: {}".format(*gains),
            f"  false tags in videos without any class: {false}",
            f"  mean average precision: {mean}",
        ]

    def _gains(self) -> tuple[tuple[float, float, float], ...]:
        return self.gain, self.gain_tuned


def decide(videos: Videos) -> Decided:
    """Leave one source out: fit on the others, decide its videos."""
    said = [np.zeros(videos.truth.shape, dtype=bool) for _ in range(4)]
    for source in np.unique(videos.sources):
        held = videos.sources == source
        rest = videos.part(~held)
        fusion = fusion_of(shift_of(rest), rest.threshold)
        fused = fusion.combine(videos.heard, videos.seen)
        cuts = [best_cut(scores[~held], rest.truth) for scores in (videos.heard, fused)]
        said[0][held] = videos.heard[held] >= videos.threshold
        said[1][held] = fused[held] >= videos.threshold
        said[2][held] = videos.heard[held] >= cuts[0]
        said[3][held] = fused[held] >= cuts[1]
    return Decided(*said)


def shift_of(videos: Videos, most: float | None = None) -> Shift:
    limit = bounded(videos.threshold) if most is None else most
    return fit_shift(videos.heard, videos.seen, videos.truth, FAMILY, limit)


def bounded(threshold: float) -> float:
    """The most that the eye may add: what the ear puts at 1 % stays below the threshold."""
    room = float(logit(np.array(threshold)) - logit(np.array(UNHEARD)))
    return min(MOST, STEP * math.ceil(room / STEP - 1))


def fusion_of(shift: Shift, ear: float, eye: float = 0.5, note: str = "") -> LogitFusion:
    """All classes alike: the shift where there is something to see, and the ear's threshold."""
    ear = round(ear, 4)  # stored as float32
    table: dict[str, dict[str, float | str]] = {
        c.label: {
            "gain": shift.gain if c.words else 0.0,
            "against": shift.against if c.family else 0.0,
            "family": c.family,
            "both": ear,
            "ear": ear,
            "eye": eye,
        }
        for c in dcase2017()
    }
    fusion = build("logit", LABELS, table, note=note)
    assert isinstance(fusion, LogitFusion)
    return fusion


def best_cut(scores: Floats, truth: Floats) -> float:
    """One threshold for all classes: the middle of those whose micro-F1 is nearly the best."""
    values = np.array([micro_f1(scores >= cut, truth) for cut in CUTS])
    return float(np.median(CUTS[values >= values.max() - NEARLY]))


def eye_threshold(videos: Videos) -> float:
    """For the eye alone: the same, among the thresholds with few false tags."""
    seen = np.nan_to_num(videos.seen)
    false = np.array([(seen[videos.empty] >= cut).any(axis=1).mean() for cut in CUTS])
    values = np.array([micro_f1(seen >= cut, videos.truth) for cut in CUTS])
    values[false > QUIET] = -1.0
    return float(np.median(CUTS[values >= values.max() - NEARLY]).round(2))


def micro_f1(said: Bools, truth: Floats) -> float:
    return Counts.of(said, truth).f1


def interval(
    figure: Callable[[NDArray[np.int64]], float], sources: NDArray[np.str_]
) -> tuple[float, float, float]:
    """The figure of all rows between its 2.5 and 97.5 % points when sources are drawn anew."""
    rows = [np.flatnonzero(sources == name) for name in np.unique(sources)]
    random = np.random.default_rng(0)
    drawn = [
        figure(np.concatenate([rows[i] for i in random.integers(0, len(rows), len(rows))]))
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), figure(np.arange(len(sources))), float(high)


def measure(ear: str, videos: Videos) -> Figures:
    said = decide(videos)
    shift = shift_of(videos)
    known = np.isfinite(videos.truth)
    fused = fusion_of(shift, videos.threshold).combine(videos.heard, videos.seen)

    def difference(one: Bools, other: Bools) -> tuple[float, float, float]:
        def figure(i: NDArray[np.int64]) -> float:
            return micro_f1(one[i], videos.truth[i]) - micro_f1(other[i], videos.truth[i])

        return interval(figure, videos.sources)

    seen = np.nan_to_num(videos.seen)
    parts = {"heard": said.heard, "fused": said.fused}
    tuned = {"heard, tuned": said.heard_tuned, "fused, tuned": said.fused_tuned}
    return Figures(
        ear=ear,
        shift=shift,
        free=shift_of(videos, most=12.0),
        f1={name: micro_f1(tags, videos.truth) for name, tags in (parts | tuned).items()},
        gain=difference(said.fused, said.heard),
        gain_tuned=difference(said.fused_tuned, said.heard_tuned),
        false_tags={
            name: int((tags & known)[videos.empty].sum()) for name, tags in (parts | tuned).items()
        },
        mean_ap={
            name: mean_average_precision(scores, videos.truth)
            for name, scores in {"heard": videos.heard, "seen": seen, "fused": fused}.items()
        },
    )


def read(manifest: Path, heard: Path, work: Path) -> dict[str, Videos]:
    """By ear."""
    clips = read_videos(manifest)
    seen = look([clip.path for clip in clips], work / "seen.npz")
    truth = np.stack([clip.targets for clip in clips]).astype(np.float64)
    sources = np.array([clip.group for clip in clips])
    with np.load(heard) as file:
        place = {name: i for i, name in enumerate(file["files"])}
        rows = [place[clip.path.name] for clip in clips]
        ears = [key.removeprefix("heard.") for key in file.files if key.startswith("heard.")]
        return {
            ear: Videos(
                truth, sources, seen, file[f"heard.{ear}"][rows], float(file[f"threshold.{ear}"])
            )
            for ear in ears
        }


def write(figures: Sequence[Figures], videos: dict[str, Videos], folder: Path) -> None:
    """A file per ear, and one for any other calibrated ear."""
    eye = eye_threshold(next(iter(videos.values())))
    for one in figures:
        note = _note(one)
        fusion = fusion_of(one.shift, videos[one.ear].threshold, eye, note)
        write_fusion(fusion, folder / f"fusion.{'+'.join(sorted(one.ear.split('+')))}.json")
    shift = Shift(
        float(np.median([f.shift.gain for f in figures])),
        float(np.median([f.shift.against for f in figures])),
    )
    note = (
        "For any calibrated ear: the median of what was fitted for the day-one ears. Thresholds of "
        "`both` and `ear` are replaced by those that a calibrated ear brings. Made by python -m "
        "av_tagger.studies.fusion_fit."
    )
    write_fusion(fusion_of(shift, 0.5, eye, note), folder / "fusion.logit.json")


def _note(one: Figures) -> str:
    low, middle, high = (100 * value for value in one.gain)
    return (
        "log-odds of heard + gain x seen - against x (how much better another of the family is "
        f"seen). Fitted for the ear {one.ear} and EfficientNet-Lite2 to 100 videos; on sources "
        f"left out: micro-F1 {one.f1['heard']:.3f} heard, {one.f1['fused']:.3f} fused, "
        f"{middle:+.1f} points (95 %: {low:+.1f} to {high:+.1f}). Made by python -m "
        "av_tagger.studies.fusion_fit."
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path)
    parser.add_argument("heard", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--write", type=Path, help="a folder for the fusion files")
    arguments = parser.parse_args(words)
    arguments.output.mkdir(parents=True, exist_ok=True)
    videos = read(arguments.videos, arguments.heard, arguments.output)
    figures = [measure(ear, one) for ear, one in videos.items()]
    alone = next(iter(videos.values()))
    eye = eye_threshold(alone)
    tags = np.nan_to_num(alone.seen) >= eye
    print(f"the eye alone from {eye:.2f} on: micro-F1 {micro_f1(tags, alone.truth):.3f} (fitted)")
    for one in figures:
        print("\n".join(one.lines()))
    if arguments.write is not None:
        write(figures, videos, arguments.write)


if __name__ == "__main__":
    main()
