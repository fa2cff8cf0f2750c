"""Small JPEGs of frames: made where the frames were decoded, else here."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from av_tagger.clip import ColourMatrix, Frames, Rows
from av_tagger.small_pictures import request_jpegs, small_jpegs
from tests.assets import as_planes, smooth_pictures

ROWS = np.array([0, 2])


def film() -> Frames:
    return as_planes(smooth_pictures(3, 48, 64), ColourMatrix())


class Process:
    """Stands in for the decoding process: notes what is asked, and when it is waited for."""

    def __init__(self, answer: list[bytes] | None) -> None:
        self.answer, self.said = answer, list[str]()

    def __call__(self, rows: Rows) -> Callable[[], list[bytes] | None]:
        self.said.append(f"asked for {rows.tolist()}")

        def wait() -> list[bytes] | None:
            self.said.append("waited")
            return self.answer

        return wait


def test_pictures_of_planes_are_those_of_their_colours() -> None:
    for jpeg, image in zip(small_jpegs(film(), ROWS), film().rgb(ROWS), strict=True):
        found = np.asarray(Image.open(io.BytesIO(jpeg)))
        assert found.shape == image.shape
        assert np.abs(found.astype(int) - image).mean() < 8


def test_the_decoding_process_is_asked_at_once_and_waited_for_later() -> None:
    process = Process([b"\xff\xd8 one", b"\xff\xd8 two"])
    wait = request_jpegs(replace(film(), encode=process), ROWS)
    assert process.said == ["asked for [0, 2]"]
    assert wait() == process.answer
    assert process.said == ["asked for [0, 2]", "waited"]


@pytest.mark.parametrize(
    "answer",
    [None, [], [b"\xff\xd8 one"], [b"\xff\xd8 one", b"<script>"]],
    ids=["no answer", "empty", "too few", "no JPEG"],
)
def test_what_the_process_does_not_give_is_made_here(answer: list[bytes] | None) -> None:
    asked = replace(film(), encode=Process(answer))
    assert request_jpegs(asked, ROWS)() == small_jpegs(film(), ROWS)


def test_frames_of_this_process_are_encoded_here() -> None:
    assert film().encode is None
    assert request_jpegs(film(), ROWS)() == small_jpegs(film(), ROWS)


def test_who_encodes_is_no_part_of_what_frames_say() -> None:
    assert "encode" not in repr(replace(film(), encode=Process(None)))
