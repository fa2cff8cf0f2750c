"""Background beds: traffic, wind, rain, voices, music, birds, machines, footsteps, near silence."""

from __future__ import annotations

import numpy as np

from av_tagger.synth import distractors
from av_tagger.synth.dsp import (
    Curve,
    RandomDraw,
    SampleSpan,
    Sound,
    Source,
    eq,
    modal_hit,
    noise,
    overlay,
    partials,
    random_drift,
    tone,
    unit,
)
from av_tagger.synth.voices import babble, speech


def rumble(d: RandomDraw, span: SampleSpan) -> Sound:
    """Distant city: low-frequency noise with slow swells, no single vehicle."""
    x = noise(d, span, (30, 0), (d.log(80, 300), -3), (1000, -d.between(12, 22)), (6000, -40))
    return unit(x * random_drift(d, span, 0.7, 0.3).astype(np.float32))


def wind(d: RandomDraw, span: SampleSpan) -> Sound:
    gusts = random_drift(d, span, 1.5, 0.7).astype(np.float32)
    howl = (
        noise(d, span, (60, -10), (d.log(250, 700), 0), (1200, -20), (6000, -45))
        * gusts
        * np.float32(d.between(0, 0.5))
    )
    return unit(noise(d, span, (20, 0), (90, -3), (300, -18), (3000, -45)) * gusts + howl)


def rain(d: RandomDraw, span: SampleSpan) -> Sound:
    x = noise(d, span, (200, -18), (1500, -4), (d.log(3000, 8000), 0), (14000, -8))
    n = int(d.log(5, 60) * span.seconds)
    drops = [
        modal_hit(d, span.rate, [d.log(800, 4000)], [d.log(0.003, 0.012)], 0.3) for _ in range(6)
    ]
    return unit(
        x
        + unit(
            overlay(
                span,
                [drops[i % 6] for i in range(n)],
                list(d.many(n, 0, span.seconds)),
                list(d.many(n, 0.1, 1)),
            )
        )
        * np.float32(d.between(0, 1))
    )


def hum(d: RandomDraw, span: SampleSpan) -> Sound:
    """Mains harmonics plus broadband machine noise."""
    x = tone(
        np.full(span.n, d.pick(50.0, 60.0, d.log(25, 200))),
        span.rate,
        partials(d, 30, d.between(3, 10), 6.0),
    )
    return unit(
        x + noise(d, span, (50, 0), (d.log(200, 1500), -4), (4000, -30)) * np.float32(d.log(0.1, 3))
    )


def birds(d: RandomDraw, span: SampleSpan) -> Sound:
    x = distractors.birdsong(d, span)
    return unit(x + rumble(d, span) * np.float32(d.log(0.05, 0.8)))


def water(d: RandomDraw, span: SampleSpan) -> Sound:
    swell = (1 + 0.8 * np.sin(2 * np.pi * span.times() / d.log(3, 9) + d.between(0, 6))).astype(
        np.float32
    )
    return unit(noise(d, span, (60, -6), (500, 0), (3000, -6), (12000, -20)) * swell)


def footsteps(d: RandomDraw, span: SampleSpan) -> Sound:
    gap = d.between(0.35, 0.7)
    starts: Curve = np.arange(d.between(0, gap), span.seconds, gap)
    steps = [
        modal_hit(
            d, span.rate, [d.log(80, 250), d.log(500, 1500)], [0.02, 0.008], d.between(0.5, 4)
        )
        for _ in starts
    ]
    x = overlay(
        span, steps, list(starts + d.many(len(starts), 0, 0.04)), list(d.many(len(starts), 0.5, 1))
    )
    return unit(unit(x) + rumble(d, span) * np.float32(d.log(0.02, 0.3)))


def room_tone(d: RandomDraw, span: SampleSpan) -> Sound:
    return noise(
        d, span, (30, 0), (200, -10), (2000, -d.between(16, 30)), (10000, -d.between(25, 45))
    )


def city(d: RandomDraw, span: SampleSpan) -> Sound:
    """Rumble plus two or three of the other beds."""
    parts = [
        d.pick(rumble, wind, hum, footsteps, birds, babble, rumble)(d, span)
        * np.float32(d.log(0.1, 1))
        for _ in range(d.count(2, 3))
    ]
    return unit(np.sum([rumble(d, span), *parts], axis=0, dtype=np.float32))


def hiss(d: RandomDraw, span: SampleSpan) -> Sound:
    """Noise floor of a recorder or a lossy codec."""
    x = noise(d, span, (20, 0), (12000, 0))
    return unit(
        eq(x, span.rate, (100, -d.between(0, 12)), (8000, 0), (14000, -d.between(0, 20))),
    )


BEDS: dict[str, Source] = {
    "rumble": rumble,
    "city": city,
    "wind": wind,
    "rain": rain,
    "hum": hum,
    "birds": birds,
    "water": water,
    "footsteps": footsteps,
    "room": room_tone,
    "hiss": hiss,
    "speech": speech,
    "babble": babble,
    "music": distractors.music,
}
