"""Drawn frames of the demo video: vehicles cross a street while their sound is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from av_tagger.synth.dsp import RandomDraw
from av_tagger.synth.scene import Scene, SceneEvent, SceneSettings, scene

Picture = NDArray[np.uint8]  # (height, width, 3) RGB
Colour = tuple[int, int, int]

DEMO_CLASSES = (
    "Train horn",
    "Air horn, truck horn",
    "Bicycle",
    "Skateboard",
    "Ambulance (siren)",
    "Fire engine, fire truck (siren)",
    "Police car (siren)",
    "Car",
    "Bus",
    "Truck",
    "Motorcycle",
    "Train",
)
DARK: Colour = (30, 30, 34)
GLASS: Colour = (170, 205, 225)


@dataclass(frozen=True)
class Body:
    """A vehicle made of boxes and wheels; lengths relative to its own length, y axis upwards."""

    length: float  # relative to the picture width
    height: float  # relative to its length
    wheels: tuple[float, ...]
    radius: float
    cabin: tuple[float, float] | None  # from, to
    box: tuple[float, float] | None  # load or wagon: from, to
    colours: tuple[Colour, ...]
    light: bool = False
    ladder: bool = False
    rider: bool = False


BODIES: dict[str, Body] = {
    "car": Body(
        0.24,
        0.36,
        (0.2, 0.8),
        0.1,
        (0.25, 0.75),
        None,
        ((190, 30, 35), (40, 70, 160), (220, 220, 224), (60, 62, 66)),
    ),
    "police": Body(
        0.24,
        0.36,
        (0.2, 0.8),
        0.1,
        (0.25, 0.75),
        None,
        ((240, 240, 245), (25, 60, 150)),
        light=True,
    ),
    "ambulance": Body(
        0.3, 0.5, (0.2, 0.8), 0.09, (0.72, 0.95), (0.02, 0.72), ((245, 245, 240),), light=True
    ),
    "fire": Body(
        0.42,
        0.36,
        (0.18, 0.7, 0.84),
        0.07,
        (0.76, 0.97),
        (0.02, 0.76),
        ((205, 20, 20),),
        light=True,
        ladder=True,
    ),
    "truck": Body(
        0.5,
        0.34,
        (0.1, 0.22, 0.68, 0.88),
        0.055,
        (0.76, 0.98),
        (0.01, 0.72),
        ((70, 120, 70), (210, 170, 60), (120, 120, 130)),
    ),
    "bus": Body(
        0.48,
        0.3,
        (0.2, 0.78),
        0.06,
        None,
        (0.0, 1.0),
        ((250, 200, 40), (200, 60, 50), (60, 110, 190)),
    ),
    "motorcycle": Body(
        0.15, 0.45, (0.18, 0.82), 0.17, None, None, ((50, 50, 55), (170, 30, 30)), rider=True
    ),
    "bicycle": Body(
        0.14, 0.45, (0.18, 0.82), 0.18, None, None, ((60, 140, 90), (40, 40, 45)), rider=True
    ),
    "skateboard": Body(0.09, 0.18, (0.2, 0.8), 0.06, None, None, ((150, 90, 50),), rider=True),
    "train": Body(
        1.4,
        0.13,
        tuple(np.linspace(0.05, 0.95, 14)),
        0.016,
        (0.9, 0.99),
        (0.0, 0.9),
        ((60, 80, 120), (150, 40, 40)),
    ),
}
SHOWN_AS: dict[str, str] = {
    "Train horn": "train",
    "Train": "train",
    "Air horn, truck horn": "truck",
    "Truck": "truck",
    "Reversing beeps": "truck",
    "Car alarm": "car",
    "Car": "car",
    "Car passing by": "car",
    "Bus": "bus",
    "Motorcycle": "motorcycle",
    "Bicycle": "bicycle",
    "Skateboard": "skateboard",
    "Ambulance (siren)": "ambulance",
    "Fire engine, fire truck (siren)": "fire",
    "Police car (siren)": "police",
}


@dataclass(frozen=True)
class Passage:
    """Path of one vehicle through the picture, from slightly before to slightly after its sound."""

    body: Body
    colour: Colour
    start: float
    end: float
    lane: float  # y of the wheels, relative to the picture height
    leftwards: bool

    def position(self, seconds: float) -> float | None:
        """Left edge relative to the picture width; None while out of sight."""
        if not self.start <= seconds <= self.end:
            return None
        way = (seconds - self.start) / (self.end - self.start)
        return -self.body.length + (1 + self.body.length) * ((1 - way) if self.leftwards else way)


def backdrop(d: RandomDraw, width: int, height: int) -> Image.Image:
    """Sky, houses, pavement, rails and road."""
    image = Image.new(
        "RGB", (width, height), (int(d.between(120, 190)), int(d.between(170, 210)), 235)
    )
    pen = ImageDraw.Draw(image)
    x = 0
    while x < width:
        w, top = int(d.between(0.08, 0.22) * width), int(d.between(0.1, 0.4) * height)
        grey = int(d.between(110, 190))
        pen.rectangle(
            (x, top, x + w, int(0.6 * height)), fill=(grey, int(grey * 0.93), int(grey * 0.86))
        )
        for wx in range(x + 6, x + w - 8, 18):
            for wy in range(top + 8, int(0.55 * height), 22):
                pen.rectangle((wx, wy, wx + 8, wy + 11), fill=(70, 80, 96))
        x += w
    pen.rectangle((0, int(0.6 * height), width, int(0.67 * height)), fill=(150, 148, 142))
    pen.rectangle((0, int(0.67 * height), width, height), fill=(74, 75, 78))
    pen.rectangle((0, int(0.62 * height), width, int(0.63 * height)), fill=(96, 92, 90))
    for x in range(0, width, max(24, width // 12)):
        pen.rectangle(
            (x, int(0.83 * height), x + width // 24, int(0.845 * height)), fill=(225, 225, 215)
        )
    return image


def draw_body(
    pen: ImageDraw.ImageDraw, p: Passage, left: float, size: tuple[int, int], seconds: float
) -> None:
    """Draw body or rider, then ladder, light and wheels."""
    width, height = size
    b, ground = p.body, p.lane * height
    long = b.length * width
    tall, r = b.height * long, b.radius * long

    def at(x: float, y: float) -> tuple[float, float]:
        """Body coordinates (from its rear, from the ground) to pixels."""
        return left * width + (1 - x if p.leftwards else x) * long, ground - y * tall

    def slab(x0: float, x1: float, y0: float, y1: float, fill: Colour) -> None:
        (ax, ay), (bx, by) = at(x0, y0), at(x1, y1)
        pen.rectangle((min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)), fill=fill)

    if b.rider:
        draw_rider(pen, p, at)
    else:
        draw_hull(p, slab)
    if b.ladder:
        slab(0.05, 0.8, 1.04, 1.1, (200, 200, 205))
    if b.light:
        slab(0.45, 0.6, 1.0, 1.12, (40, 80, 255) if int(seconds * 6) % 2 else (255, 60, 40))
    for w in b.wheels:
        x, _ = at(w, 0)
        pen.ellipse((x - r, ground - 2 * r, x + r, ground), fill=DARK)
        pen.ellipse(
            (x - r * 0.4, ground - 1.4 * r, x + r * 0.4, ground - 0.6 * r), fill=(160, 160, 165)
        )


def draw_hull(p: Passage, slab: Callable[[float, float, float, float, Colour], None]) -> None:
    """Chassis, load or wagon, cabin, windows."""
    b = p.body
    slab(0.0, 1.0, 0.18, 0.55, p.colour)
    if b.box:
        slab(*b.box, 0.2, 1.0, p.colour)
    if b.cabin:
        slab(*b.cabin, 0.2, 0.95, p.colour)
        slab(b.cabin[0] + 0.03, b.cabin[1] - 0.02, 0.58, 0.85, GLASS)
    elif b.box:
        for x in np.arange(b.box[0] + 0.04, b.box[1] - 0.1, 0.13):
            slab(float(x), float(x) + 0.1, 0.55, 0.85, GLASS)


def draw_rider(
    pen: ImageDraw.ImageDraw, p: Passage, at: Callable[[float, float], tuple[float, float]]
) -> None:
    """A frame or board with a rider."""
    pen.line([at(0.18, 0.4), at(0.5, 0.5), at(0.82, 0.4)], fill=p.colour, width=4)
    pen.line([at(0.5, 0.5), at(0.45, 1.2), at(0.62, 1.9)], fill=(40, 50, 90), width=5)
    pen.line([at(0.6, 1.6), at(0.78, 1.0)], fill=(40, 50, 90), width=4)
    (x, y), r = at(0.63, 2.15), abs(at(0.1, 0)[0] - at(0, 0)[0])
    pen.ellipse((x - r, y - r, x + r, y + r), fill=(225, 180, 150))


def make_passages(d: RandomDraw, events: tuple[SceneEvent, ...]) -> list[Passage]:
    """One passage per event whose class has a body, sorted from back to front."""
    out = []
    for e in events:
        if e.label in SHOWN_AS:
            name = SHOWN_AS[e.label]
            lane = 0.635 if name == "train" else d.between(0.75, 0.95)
            body = BODIES[name]
            colour = body.colours[d.count(0, len(body.colours) - 1)]
            out.append(
                Passage(
                    body,
                    colour,
                    e.start - 0.5,
                    max(e.end + 0.5, e.start + 1.5),
                    lane,
                    d.chance(0.5),
                )
            )
    return sorted(out, key=lambda p: p.lane)


def frames(
    scene_: Scene, seed: int, size: tuple[int, int] = (640, 360), fps: float = 12.0
) -> Iterator[Picture]:
    """RGB frames of the street for the whole length of the scene."""
    d = RandomDraw(np.random.default_rng([seed, 1]))
    street = backdrop(d, *size)
    moving = make_passages(d, scene_.events)
    for k in range(round(len(scene_.samples) / scene_.rate * fps)):
        image = street.copy()
        pen = ImageDraw.Draw(image)
        for p in moving:
            left = p.position(k / fps)
            if left is not None:
                draw_body(pen, p, left, size, k / fps)
        yield np.asarray(image)


def demo_scene(
    seed: int,
    seconds: float = 10.0,
    rate: int = 20_000,
    size: tuple[int, int] = (640, 360),
    fps: float = 12.0,
) -> tuple[Scene, Iterator[Picture], float]:
    """Scene, RGB frames and frame rate of the demo video."""
    made = scene(
        seed,
        seconds,
        rate,
        DEMO_CLASSES,
        SceneSettings(
            counts=(2, 3), snr_db=(10, 30), distractor=0.0, recorder=0.0, peak_db=(-6.0, -1.0)
        ),
    )
    return made, frames(made, seed, size, fps), fps
