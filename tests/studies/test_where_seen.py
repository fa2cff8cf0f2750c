"""Places against drawn boxes: hits, overlap, baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from av_tagger.scores import Heat
from av_tagger.studies.where_seen import (
    Located,
    inside,
    lines,
    locate,
    overlap,
    peak_of,
    read_boxes,
)
from tests.video.test_activation import Pointing

WHOLE = (0.0, 0.0, 1.0, 1.0)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(WHOLE, WHOLE) == 1.0
    assert overlap((0.0, 0.0, 0.5, 1.0), (0.25, 0.0, 0.75, 1.0)) == pytest.approx(1 / 3)
    assert overlap((0.0, 0.0, 0.2, 0.2), (0.5, 0.5, 1.0, 1.0)) == 0.0


def test_the_peak_is_the_middle_of_its_cell() -> None:
    heat = Heat(((0.1, 0.2), (1.0, 0.3)), (0.2, 0.0, 0.8, 1.0), WHOLE)
    assert peak_of(heat) == pytest.approx((0.35, 0.75))
    assert inside((0.35, 0.75), (0.3, 0.7, 0.4, 0.8))
    assert not inside((0.35, 0.75), (0.4, 0.7, 0.5, 0.8))


def test_a_network_without_maps_hits_nothing() -> None:
    lost = Located("a.jpg", WHOLE, None)
    assert not lost.hit
    assert lost.overlap == 0.0
    assert "1 pictures, 0 with a map" in lines([lost])
    assert "all: peak in the box 0 of 1, middle of the picture 1 of 1" in lines([lost])


def test_pictures_are_found_by_the_table(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "n1_bus.jpg")
    table = tmp_path / "boxes.csv"
    table.write_text("file,left,top,right,bottom\nn1_bus.jpg,0.1,0.2,0.3,0.4\n")
    boxes = read_boxes(table)
    assert boxes == {"n1_bus.jpg": (0.1, 0.2, 0.3, 0.4)}
    recogniser = Pointing()
    (found,) = locate(recogniser, tmp_path, boxes)  # type: ignore[arg-type]
    assert found == Located("n1_bus.jpg", (0.1, 0.2, 0.3, 0.4), None)
    assert recogniser.asked == [[1]]


def test_every_drawn_box_is_one() -> None:
    boxes = read_boxes(Path(__file__).parent.parent / "video" / "vehicle_boxes.csv")
    assert len(boxes) == 30
    for left, top, right, bottom in boxes.values():
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
