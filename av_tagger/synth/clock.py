"""A ticking wall clock: a sound and a picture that networks trained on real media recognise."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from av_tagger.synth.scene import Scene, SceneEvent

RATE = 32_000
SECONDS, TICKS_BEGIN, TICKS_END = 10.0, 0.5, 9.5
STEP = 0.25  # seconds between ticks
OVERSAMPLING = 3  # pictures are drawn larger and reduced
LABEL = "Clock"

Picture = NDArray[np.uint8]  # (height, width, 3) RGB


def clock_demo(
    seed: int, size: tuple[int, int] = (480, 360), fps: float = 8.0
) -> tuple[Scene, Iterator[Picture], float]:
    """A seeded scene, its frames and their rate: another tick, another time on another wall."""
    random = np.random.default_rng(seed)
    event = SceneEvent(LABEL, TICKS_BEGIN, TICKS_END)
    scene = Scene(_ticking(random), RATE, (LABEL,), (event,))
    clock = _Clock(size, 12 * 60 * random.random(), tuple(random.integers(150, 230, 3)))
    return scene, (clock.at(n / fps) for n in range(round(SECONDS * fps))), fps


def _ticking(random: np.random.Generator) -> NDArray[np.float32]:
    """Short bursts of noise through two resonances in turn, over faint noise."""
    samples = np.zeros(round(SECONDS * RATE))
    pitches = np.array([5000.0, 3500.0]) * random.uniform(0.95, 1.05)
    for number, start in enumerate(np.arange(TICKS_BEGIN, TICKS_END - STEP, STEP)):
        tick = _tick(random, pitches[number % 2]) * (1.0, 0.7)[number % 2]
        begin = round(start * RATE)
        samples[begin : begin + len(tick)] += tick
    samples *= 0.3 / np.abs(samples).max()
    return (samples + random.normal(0, 8e-4, len(samples))).astype(np.float32)


def _tick(random: np.random.Generator, pitch: float) -> NDArray[np.float64]:
    from scipy.signal import butter, lfilter

    count = RATE // 8
    burst = random.normal(size=count) * np.exp(-150 * np.arange(count) / RATE)
    band = [0.7 * pitch / (RATE / 2), 1.4 * pitch / (RATE / 2)]
    tick: NDArray[np.float64] = lfilter(*butter(2, band, "band"), burst)
    echo = round(0.012 * RATE)
    tick[echo:] += 0.5 * tick[:-echo]
    return tick


class _Clock:
    """Draws a wall clock that shows a time of day, in minutes, at the start."""

    def __init__(self, size: tuple[int, int], minutes: float, wall: tuple[int, ...]) -> None:
        self.size, self.minutes, self.wall = size, minutes, wall
        self.width, self.height = size[0] * OVERSAMPLING, size[1] * OVERSAMPLING
        self.x, self.y = self.width // 2, self.height // 2
        self.radius = int(0.38 * self.height)  # of the dial

    def at(self, seconds: float) -> Picture:
        image = Image.new("RGB", (self.width, self.height), self.wall)
        draw = ImageDraw.Draw(image)
        self._disc(draw, 1.12, (70, 40, 20))
        self._disc(draw, 1.0, (250, 248, 240))
        self._dial(draw)
        self._hand(draw, self.minutes / (12 * 60), 0.5, 22, (15, 15, 15))
        self._hand(draw, self.minutes / 60, 0.74, 15, (15, 15, 15))
        self._hand(draw, math.floor(seconds) / 60, 0.8, 5, (190, 20, 20))
        self._disc(draw, 0.05, (15, 15, 15))
        return np.asarray(image.resize(self.size, Image.Resampling.LANCZOS))

    def _point(self, turn: float, share: float) -> tuple[float, float]:
        """At a share of the radius, `turn` turns clockwise from the top."""
        angle = 2 * math.pi * turn
        length = share * self.radius
        return self.x + length * math.sin(angle), self.y - length * math.cos(angle)

    def _disc(self, draw: ImageDraw.ImageDraw, share: float, colour: tuple[int, ...]) -> None:
        r = share * self.radius
        draw.ellipse([self.x - r, self.y - r, self.x + r, self.y + r], fill=colour)

    def _dial(self, draw: ImageDraw.ImageDraw) -> None:
        font = ImageFont.load_default(size=int(0.22 * self.radius))
        for mark in range(60):
            hour = mark % 5 == 0
            line = [self._point(mark / 60, 0.78 if hour else 0.82), self._point(mark / 60, 0.86)]
            draw.line(line, fill=(20, 20, 20), width=9 if hour else 3)
        for number in range(1, 13):
            where = self._point(number / 12, 0.66)
            draw.text(where, str(number), fill=(15, 15, 15), font=font, anchor="mm")

    def _hand(
        self,
        draw: ImageDraw.ImageDraw,
        turn: float,
        length: float,
        width: int,
        colour: tuple[int, ...],
    ) -> None:
        ends = [self._point(turn, -0.15 * length), self._point(turn, length)]
        draw.line(ends, fill=colour, width=width)
