"""What each saving of the eye costs: key frames, coverage and tags, against full precision.

    python -m av_tagger.bench.savings FILMS --network alexnet_grouped --network-weights FILE \\
        --recogniser mobilenetv2_100 --recogniser-weights FILE --words VECTORS

The first window of each film is tagged in every variant. `excess` is how much worse the chosen
frames cover the film than the best four, in distances of full precision over all frames; tags are
those of ear and eye together, and of the eye alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from av_tagger.bench.measure import parser, run_main
from av_tagger.clip import Clip, Media
from av_tagger.config import Config
from av_tagger.errors import UsageError
from av_tagger.media import close_decoders, find_media
from av_tagger.plan import load
from av_tagger.scores import Tagged
from av_tagger.tagger import Tagger
from av_tagger.video.branch import EyeSettings, SparseEye
from av_tagger.video.distances import distances
from av_tagger.video.keyframes import representatives

REFERENCE, FAST = "float32", "--fast"
FEWEST = 8  # frames of a window that is compared
VARIANTS: dict[str, dict[str, Any]] = {
    REFERENCE: {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "int8": {"precision": "int8"},
    "still 0.5": {"precision": "bfloat16", "still": 0.5},
    "still 1": {"precision": "bfloat16", "still": 1.0},
    "still 2": {"precision": "bfloat16", "still": 2.0},
    "8 a second": {"precision": "bfloat16", "frame_rate": 8.0},
}


@dataclass
class Variant:
    """One setting of the eye, and its results film by film."""

    both: Tagger
    eye: Tagger
    same: list[bool] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    tags: list[bool] = field(default_factory=list)
    seen_tags: list[bool] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def score(self, media: Media) -> tuple[Tagged, Tagged]:
        """Results of ear and eye together, and of the eye alone."""
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
    """A first window, and the cost of its best four frames in full precision."""

    media: Media
    distances: np.ndarray[Any, np.dtype[np.float32]]
    best: float

    def cost(self, times: Sequence[float]) -> float:
        """How badly the frames at these times cover all frames."""
        assert self.media.frames is not None
        rows = np.abs(self.media.frames.times[:, None] - np.array(times)).argmin(axis=0)
        return float(self.distances[rows].min(axis=0).sum())


def variants(settings: EyeSettings, names: Sequence[str]) -> dict[str, Variant]:
    """The named variants and the reference."""
    plain = Config(ear="starter", offline=True, eye=settings)
    known = {
        name: replace(plain, eye=replace(settings, **changes)) for name, changes in VARIANTS.items()
    }
    known[FAST] = replace(plain, fast=True)
    return {name: _variant(config) for name, config in known.items() if name in (REFERENCE, *names)}


def _variant(config: Config) -> Variant:
    return Variant(load(config), load(replace(config, only="eye")))


def films(folder: Path, reference: Variant) -> Iterator[MeasuredFilm]:
    """The first windows of all films with at least eight frames."""
    eye = reference.both.parts.eye
    assert isinstance(eye, SparseEye)
    for path in find_media([str(folder)]):
        media = first_window(reference, path)
        if media is None or media.frames is None or len(media.frames) < FEWEST:
            continue
        D = distances(eye.parts.features.describe([media.frames]))[0].numpy()
        yield MeasuredFilm(media, D, float(D[representatives(D, 4).rows].min(axis=0).sum()))


def first_window(variant: Variant, path: Path) -> Media | None:
    return next(iter(variant.both.parts.open(Clip(path), variant.both.parts.request)), None)


def compare(film: MeasuredFilm, found: dict[str, Variant]) -> None:
    """Add the results of one film to every variant."""
    answers = {}
    for name, variant in found.items():
        media = film.media if name == REFERENCE else first_window(variant, film.media.clip.path)
        assert media is not None
        answers[name] = variant.score(media)
    expected = answers[REFERENCE]
    for name, variant in found.items():
        both, seen = answers[name]
        times = [frame.seconds for frame in both.keyframes]
        variant.same.append(times == [frame.seconds for frame in expected[0].keyframes])
        variant.excess.append(film.cost(times) / film.best - 1 if film.best > 0 else 0.0)
        variant.tags.append(_labels(both) == _labels(expected[0]))
        variant.seen_tags.append(_labels(seen) == _labels(expected[1]))
        variant.change.append(_largest_change(both, expected[0]))


def _largest_change(found: Tagged, expected: Tagged) -> float:
    """Of the eye's scores, over all classes."""
    pairs = ((s.seen, expected.scores[label].seen) for label, s in found.scores.items())
    return max(abs((ours or 0.0) - (theirs or 0.0)) for ours, theirs in pairs)


def _labels(tagged: Tagged) -> set[str]:
    return {tag.label for tag in tagged.tags}


def show(found: dict[str, Variant]) -> None:
    """Print one row per variant."""
    heads = ("CPU s", "same frames", "excess", "most", "same tags", "by eye alone", "seen changes")
    print(f"{'':12s}" + "".join(f"{head:>14s}" for head in heads))
    for name, variant in found.items():
        n = len(variant.same)
        counts = [
            f"{sum(values)} of {n}" for values in (variant.same, variant.tags, variant.seen_tags)
        ]
        excess = [f"{100 * v:.3f} %" for v in (np.mean(variant.excess), np.max(variant.excess))]
        seconds, change = f"{variant.seconds / n:.2f}", f"{np.mean(variant.change):.3f}"
        cells = (seconds, counts[0], *excess, counts[1], counts[2], change)
        print(f"{name:12s}" + "".join(f"{cell:>14s}" for cell in cells))


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("folder", type=Path, help="of films")
    for name in ("network", "recogniser"):
        options.add_argument(f"--{name}", default=getattr(EyeSettings, name))
    for name in ("network-weights", "recogniser-weights", "words"):
        options.add_argument(f"--{name}", type=Path, default=None)
    names = ",".join([*VARIANTS, FAST])
    options.add_argument("--variants", default=names, help="comma-separated")
    chosen = vars(options.parse_args(words))
    folder, names = chosen.pop("folder"), chosen.pop("variants")
    torch.set_num_threads(1)
    found = variants(EyeSettings(pictures=False, **chosen), names.split(","))
    for film in films(folder, found[REFERENCE]):
        compare(film, found)
    close_decoders()
    if not found[REFERENCE].same:
        raise UsageError(f"{folder}: holds no film with at least {FEWEST} frames; name another one")
    show(found)


if __name__ == "__main__":
    run_main(main)
