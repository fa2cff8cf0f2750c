"""Where a recogniser sees vehicles, against boxes drawn by hand.

    python -m av_tagger.studies.where_seen PICTURES BOXES.csv
    python -m av_tagger.studies.where_seen PICTURES BOXES.csv --recogniser timm:NAME --weights FILE

PICTURES: photos named by the object, `n02701002_ambulance.jpg`. BOXES.csv: file, left, top, right,
bottom as shares of the picture. Hits: the highest activation of the photo's object lies in the box
(pointing game). IoU: of the box around that activation with the drawn one. Baselines: the middle of
the picture; the square that the network sees.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_tagger.protocols import LocatingRecogniser
from av_tagger.scores import Box, Heat

MIDDLE = (0.5, 0.5)
SMALL = 0.4  # of the picture: the middle is no good guess


@dataclass(frozen=True)
class Located:
    """One picture."""

    name: str
    drawn: Box
    heat: Heat | None  # None: this network has no map

    @property
    def hit(self) -> bool:
        return self.heat is not None and inside(peak_of(self.heat), self.drawn)

    @property
    def overlap(self) -> float:
        return 0.0 if self.heat is None else overlap(self.heat.box, self.drawn)


def peak_of(heat: Heat) -> tuple[float, float]:
    """The middle of the cell with the highest activation, in shares of the picture."""
    grid = np.array(heat.grid)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    left, top, right, bottom = heat.area
    across = (float(column) + 0.5) / grid.shape[1]
    down = (float(row) + 0.5) / grid.shape[0]
    return left + (right - left) * across, top + (bottom - top) * down


def inside(point: tuple[float, float], box: Box) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (_size(one) + _size(other) - shared)


def _size(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def read_boxes(path: Path) -> dict[str, Box]:
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["file"]: (
                float(row["left"]),
                float(row["top"]),
                float(row["right"]),
                float(row["bottom"]),
            )
            for row in csv.DictReader(file)
        }


def locate(
    recogniser: LocatingRecogniser, pictures: Path, boxes: dict[str, Box]
) -> Iterator[Located]:
    from PIL import Image

    names = [name.split(",")[0].casefold() for name in recogniser.objects]
    for file, drawn in boxes.items():
        image = np.asarray(Image.open(pictures / file).convert("RGB"))
        wanted = Path(file).stem.partition("_")[2].replace("_", " ").casefold()
        (heat,) = recogniser.where(image, [names.index(wanted)])
        yield Located(file, drawn, heat)


def lines(found: Sequence[Located]) -> list[str]:
    small = [one for one in found if _size(one.drawn) < SMALL]
    mapped = sum(one.heat is not None for one in found)
    return [
        f"{len(found)} pictures, {mapped} with a map",
        *_compared("all", found),
        *_compared(f"box below {SMALL:g} of the picture", small),
    ]


def _compared(name: str, found: Sequence[Located]) -> list[str]:
    count = len(found)
    middle = sum(inside(MIDDLE, one.drawn) for one in found)
    square = [overlap(one.heat.area, one.drawn) for one in found if one.heat is not None]
    hits, mean = sum(one.hit for one in found), np.mean([one.overlap for one in found] or [0.0])
    base = np.mean(square or [0.0])
    return [
        f"{name}: peak in the box {hits} of {count}, middle of the picture {middle} of {count}",
        f"{name}: mean IoU {mean:.3f}, the square that the network sees {base:.3f}",
    ]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("boxes", type=Path)
    parser.add_argument("--recogniser", default="auto")
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args(words)
    from av_tagger.labels import dcase2017
    from av_tagger.video.branch import EyeSettings
    from av_tagger.video.eyes import load_eye

    settings = EyeSettings(
        recogniser=arguments.recogniser, recogniser_weights=arguments.weights, network="thumbnail"
    )
    recogniser = load_eye(settings, dcase2017()).parts.recogniser
    if not isinstance(recogniser, LocatingRecogniser):
        raise SystemExit("this recogniser does not say where it sees something")
    found = list(locate(recogniser, arguments.pictures, read_boxes(arguments.boxes)))
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
