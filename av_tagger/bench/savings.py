"""What each saving of the eye costs: key frames, coverage and tags on real films, against every frame in full precision.

    python -m av_tagger.bench.savings FILMS --network alexnet_grouped --network-weights FILE \\
        --recogniser mobilenetv2_100 --recogniser-weights FILE --words VECTORS

The first window of each film is judged by ear and eye in every way. `excess` is how much worse the chosen frames cover the film than the
best four do, in distances of full precision over all frames; tags are those of both witnesses together, and of the eye alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from av_tagger.clip import Clip, Media
from av_tagger.config import Config
from av_tagger.media import close_workers, find_media
from av_tagger.plan import load
from av_tagger.scores import Tagged
from av_tagger.tagger import Tagger
from av_tagger.video.branch import EyeSettings, SparseEye
from av_tagger.video.distances import distances
from av_tagger.video.keyframes import representatives

REFERENCE, FAST = "fp32", "--fast"
WAYS: dict[str, dict[str, Any]] = {
    REFERENCE: {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
    "int8": {"precision": "int8"},
    "8 a second": {"precision": "bf16", "frame_rate": 8.0},
}


@dataclass
class Way:
    """One way to look, and what came of it film by film."""

    both: Tagger
    eye: Tagger
    same: list[bool] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    tags: list[bool] = field(default_factory=list)
    seen_tags: list[bool] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def score(self, media: Media) -> tuple[Tagged, Tagged]:
        began = time.process_time()
        seen = self.both.see([media])
        self.seconds += time.process_time() - began
        silent = self.eye.hear([media])
        return (
            self.both.merge_windows(
                media.clip, self.both.weigh([media], self.both.hear([media]), seen), 0.0
            ),
            self.eye.merge_windows(media.clip, self.eye.weigh([media], silent, seen), 0.0),
        )


@dataclass(frozen=True)
class MeasuredFilm:
    """A first window, and what the best four of all its frames are in full precision."""

    media: Media
    distances: np.ndarray[Any, np.dtype[np.float32]]
    best: float

    def cost(self, times: Sequence[float]) -> float:
        assert self.media.frames is not None
        rows = np.abs(self.media.frames.times[:, None] - np.array(times)).argmin(axis=0)
        return float(self.distances[rows].min(axis=0).sum())


def ways(settings: EyeSettings, names: Sequence[str]) -> dict[str, Way]:
    plain = Config(ear="starter", offline=True, eye=settings)
    known = {
        name: replace(plain, eye=replace(settings, **changes)) for name, changes in WAYS.items()
    }
    known[FAST] = replace(plain, fast=True)
    return {name: _way(config) for name, config in known.items() if name in (REFERENCE, *names)}


def _way(config: Config) -> Way:
    return Way(load(config), load(replace(config, only="eye")))


def films(folder: Path, reference: Way) -> Iterator[MeasuredFilm]:
    eye = reference.both.parts.eye
    assert isinstance(eye, SparseEye)
    for path in find_media([str(folder)]):
        media = first_window(reference, path)
        if media is None or media.frames is None or len(media.frames) < 8:
            continue
        D = distances(eye.parts.features.describe([media.frames]))[0].numpy()
        yield MeasuredFilm(media, D, float(D[representatives(D, 4).rows].min(axis=0).sum()))


def first_window(way: Way, path: Path) -> Media | None:
    return next(iter(way.both.parts.open(Clip(path), way.both.parts.request)), None)


def compare(film: MeasuredFilm, found: dict[str, Way]) -> None:
    """Adds one film to what is known of every way."""
    answers = {}
    for name, way in found.items():
        media = film.media if name == REFERENCE else first_window(way, film.media.clip.path)
        assert media is not None
        answers[name] = way.score(media)
    expected = answers[REFERENCE]
    for name, way in found.items():
        both, seen = answers[name]
        times = [frame.seconds for frame in both.keyframes]
        way.same.append(times == [frame.seconds for frame in expected[0].keyframes])
        way.excess.append(film.cost(times) / film.best - 1 if film.best > 0 else 0.0)
        way.tags.append(_labels(both) == _labels(expected[0]))
        way.seen_tags.append(_labels(seen) == _labels(expected[1]))
        changes = [
            abs((s.seen or 0.0) - (expected[0].scores[label].seen or 0.0))
            for label, s in both.scores.items()
        ]
        way.change.append(max(changes))


def _labels(tagged: Tagged) -> set[str]:
    return {tag.label for tag in tagged.tags}


def show(found: dict[str, Way]) -> None:
    heads = ("CPU s", "same frames", "excess", "most", "same tags", "by eye alone", "seen changes")
    print(f"{'':12s}" + "".join(f"{head:>14s}" for head in heads))
    for name, way in found.items():
        n = len(way.same)
        counts = [f"{sum(values)} of {n}" for values in (way.same, way.tags, way.seen_tags)]
        excess = [f"{100 * value:.3f} %" for value in (np.mean(way.excess), np.max(way.excess))]
        cells = (
            f"{way.seconds / n:.2f}",
            counts[0],
            *excess,
            counts[1],
            counts[2],
            f"{np.mean(way.change):.3f}",
        )
        print(f"{name:12s}" + "".join(f"{cell:>14s}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    for name in ("network", "recogniser"):
        parser.add_argument(f"--{name}", default=getattr(EyeSettings, name))
    for name in ("network-weights", "recogniser-weights", "words"):
        parser.add_argument(f"--{name}", type=Path, default=None)
    parser.add_argument(
        "--ways", default=",".join([*WAYS, FAST]), help="those to compare, comma-separated"
    )
    arguments = vars(parser.parse_args())
    folder, names = arguments.pop("folder"), arguments.pop("ways").split(",")
    torch.set_num_threads(1)
    found = ways(EyeSettings(pictures=False, **arguments), names)
    for film in films(folder, found[REFERENCE]):
        compare(film, found)
    show(found)
    close_workers()


if __name__ == "__main__":
    main()
