"""Distractors: sounds that resemble one of the classes and belong to none of them."""

from __future__ import annotations

import numpy as np

from av_tagger.synth import voices
from av_tagger.synth.dsp import (
    Curve,
    RandomDraw,
    SampleSpan,
    Sound,
    Source,
    band_noise,
    curve,
    eq,
    fade,
    modal_hit,
    noise,
    overlay,
    partials,
    random_drift,
    resonate,
    saturate,
    tone,
    unit,
)
from av_tagger.synth.engines import Engine, engine_sound

SEMITONE = 2 ** (1 / 12)


def music(d: RandomDraw, span: SampleSpan) -> Sound:
    """Random notes of a scale, plucked or sustained, with or without drums."""
    root, beat = d.log(90, 350), d.log(0.25, 0.8)
    scale = d.pick((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10))
    colour, plucked = partials(d, 12, d.between(5, 14), 5.0), d.chance(0.6)
    notes: list[Sound] = []
    starts: list[float] = []
    for t in np.arange(d.between(0, beat), span.seconds, beat):
        for _ in range(d.pick(1, 1, 2, 3)):
            part = SampleSpan(span.rate, beat * d.pick(0.9, 1.8))
            f = root * SEMITONE ** (scale[d.count(0, len(scale) - 1)] + 12 * d.count(0, 2))
            x = tone(
                np.full(part.n, f) * (1 + 0.006 * np.sin(2 * np.pi * part.times() * 5.5)),
                span.rate,
                colour,
            )
            notes.append(
                fade(
                    x
                    * np.exp(-part.times() * (d.between(3, 8) if plucked else 0)).astype(
                        np.float32
                    ),
                    span.rate,
                    0.008 if plucked else 0.06,
                    0.08,
                )
            )
            starts.append(float(t))
    x = overlay(span, notes, starts)
    return (
        unit(unit(x) + drums(d, span, beat) * np.float32(d.between(0.3, 1.2)))
        if d.chance(0.4)
        else unit(x)
    )


def solo(d: RandomDraw, span: SampleSpan) -> Sound:
    """One instrument playing single notes: piano, violin, trumpet, flute or organ."""
    struck_notes = d.chance(0.4)
    colour, vibrato = (
        partials(d, 16, d.between(4, 16), 4.0),
        0.0 if struck_notes else d.pick(0.0, 0.006, 0.012),
    )
    root, notes, starts, t = d.log(110, 900), [], [], 0.0
    while t < span.seconds - 0.1:
        part = SampleSpan(span.rate, min(d.log(0.2, 2.5), span.seconds - t))
        f = (
            root
            * SEMITONE ** d.pick(0, 2, 4, 5, 7, 9, 12)
            * (1 + vibrato * np.sin(2 * np.pi * part.times() * d.between(4.5, 7)))
        )
        x = tone(np.full(part.n, 1.0) * f, span.rate, colour) * np.exp(
            -part.times() * (d.between(1, 5) if struck_notes else 0)
        ).astype(np.float32)
        notes.append(fade(x, span.rate, 0.004 if struck_notes else d.between(0.03, 0.2), 0.08))
        starts.append(t)
        t += part.seconds * d.between(0.7, 1.05)
    return unit(overlay(span, notes, starts, list(d.many(len(starts), 0.5, 1))))


def applause(d: RandomDraw, span: SampleSpan) -> Sound:
    n = int(d.log(20, 300) * span.seconds)
    claps = [
        modal_hit(d, span.rate, [d.log(600, 1500), d.log(1500, 3500)], [0.004, 0.003], d.log(1, 5))
        for _ in range(8)
    ]
    x = overlay(
        span,
        [claps[i % 8] for i in range(n)],
        list(d.many(n, 0, span.seconds)),
        list(d.many(n, 0.1, 1)),
    )
    return unit(unit(x) + band_noise(d, span, 600, 6000) * np.float32(d.log(0.05, 1)))


def hiss_and_grains(d: RandomDraw, span: SampleSpan) -> Sound:
    """Rain, surf, frying, crumpling: steady or swelling noise."""
    x = noise(d, span, (100, -d.between(0, 25)), (d.log(400, 4000), 0), (12000, -d.between(0, 20)))
    return unit(x * random_drift(d, span, d.log(0.5, 60), d.between(0, 0.5)).astype(np.float32))


def drums(d: RandomDraw, span: SampleSpan, beat: float) -> Sound:
    kick, snare = (
        modal_hit(d, span.rate, [55, 90], [0.12, 0.05], 0.3),
        modal_hit(d, span.rate, [190, 330], [0.05, 0.04], 3.0),
    )
    starts = list(np.arange(0, span.seconds, beat))
    return unit(overlay(span, [kick if i % 2 == 0 else snare for i in range(len(starts))], starts))


def human_whistle(d: RandomDraw, span: SampleSpan) -> Sound:
    f = d.log(900, 2200) * random_drift(d, span, 3, 0.18)
    x = tone(f * (1 + 0.01 * np.sin(2 * np.pi * span.times() * 6)), span.rate, partials(d, 2, 24))
    gate = (random_drift(d, span, 3, 1.0) > 0.7).astype(np.float32)
    return unit(
        x * np.convolve(gate, np.ones(400, np.float32) / 400, "same").astype(np.float32)
        + band_noise(d, span, 1000, 4000) * np.float32(0.05)
    )


def phone(d: RandomDraw, span: SampleSpan) -> Sound:
    """Ring, dial, notification and alarm-clock tones: two alternating tones in short bursts."""
    low, ratio = d.log(400, 2600), d.between(1.05, 1.6)
    on, cycle = d.log(0.04, 0.5), d.pick(0.5, 1.0, 2.0, 3.0)
    warble = np.where((span.times() * d.pick(8, 16, 20, 25)) % 1.0 < 0.5, 1.0, ratio)
    x = tone(low * warble, span.rate, partials(d, 4, d.between(6, 20)))
    bursts = ((span.times() % cycle) % (2 * on) < on) & (
        span.times() % cycle < min(cycle * 0.7, on * 2 * d.count(1, 4))
    )
    return unit(x * bursts.astype(np.float32))


def doorbell(d: RandomDraw, span: SampleSpan) -> Sound:
    pitch = d.log(400, 1200)
    strokes = [
        modal_hit(d, span.rate, [p, 2.01 * p, 3.9 * p], [0.5, 0.3, 0.1], 0.1)
        for p in (pitch, pitch * d.pick(0.79, 0.84, 0.67))
    ]
    starts = [0.0, d.between(0.3, 0.8)]
    return unit(overlay(span, strokes, starts))


def church_bells(d: RandomDraw, span: SampleSpan) -> Sound:
    pitch = d.log(180, 600)
    starts = list(np.arange(0, span.seconds, d.log(0.5, 2.0)))
    bells = [
        modal_hit(
            d,
            span.rate,
            [pitch * k * SEMITONE ** d.count(0, 5) for k in (0.5, 1, 1.19, 1.5, 2, 2.7)],
            [1.2, 0.9, 0.7, 0.5, 0.4, 0.2],
            0.3,
        )
        for _ in range(3)
    ]
    return unit(overlay(span, [bells[i % 3] for i in range(len(starts))], starts))


def mower(d: RandomDraw, span: SampleSpan) -> Sound:
    """Lawn mowers, chain saws, generators: engines that move no vehicle."""
    engine = Engine(
        np.ones(1),
        d.log(2, 8),
        ((d.log(100, 300), 120, 1.0), (d.log(800, 2500), 700, d.log(0.1, 0.6))),
        d.log(0.2, 1.0),
        d.log(0.02, 0.4),
        d.log(0.3, 2),
    )
    f = d.log(40, 150) * curve(
        span, [(0, 1), (span.seconds / 2, d.between(0.9, 1.4)), (span.seconds, 1)]
    )
    return unit(
        engine_sound(d, span, f, engine)
        + band_noise(d, span, 300, 5000) * np.float32(d.log(0.05, 0.6))
    )


def fan(d: RandomDraw, span: SampleSpan) -> Sound:
    x = noise(d, span, (60, -8), (d.log(150, 900), 0), (3000, -8), (9000, -25))
    return unit(
        x
        + tone(np.full(span.n, d.log(90, 1500)), span.rate, partials(d, 6, 8))
        * np.float32(d.log(0.03, 0.5))
    )


def helicopter(d: RandomDraw, span: SampleSpan) -> Sound:
    turns = span.times() * d.log(9, 24)
    chop = (np.exp(-d.between(3, 8) * (turns % 1.0)) + 0.15).astype(np.float32)
    return unit(noise(d, span, (30, 0), (d.log(100, 500), -2), (3000, -16), (9000, -35)) * chop)


def aircraft(d: RandomDraw, span: SampleSpan) -> Sound:
    x = noise(d, span, (40, -3), (300, 0), (1500, -5), (6000, -18), (12000, -35))
    sing = tone(
        np.full(span.n, d.log(600, 3500)) * curve(span, [(0, 1.05), (span.seconds, 0.9)]),
        span.rate,
        partials(d, 3, 8),
    )
    return unit(
        (x + sing * np.float32(d.log(0.02, 0.4)))
        * curve(
            span,
            [(0, d.between(0.2, 1)), (span.seconds * d.between(0.2, 0.8), 1), (span.seconds, 0.2)],
        ).astype(np.float32)
    )


def birdsong(d: RandomDraw, span: SampleSpan) -> Sound:
    base, kind = d.log(1500, 5500), d.count(0, 2)
    notes, starts, t = [], [], d.between(0, 0.5)
    while t < span.seconds - 0.1:
        part = SampleSpan(span.rate, d.log(0.03, 0.3))
        bend = curve(
            part,
            [
                (0, d.between(0.7, 1.3)),
                (part.seconds / 2, d.between(0.8, 1.3)),
                (part.seconds, d.between(0.7, 1.3)),
            ],
        )
        trill = 1 + (0.1 if kind == 2 else 0.0) * np.sin(2 * np.pi * part.times() * 40)
        notes.append(
            fade(tone(base * bend * trill, span.rate, partials(d, 2, 18)), span.rate, 0.01, 0.02)
        )
        starts.append(t)
        t += part.seconds + (d.log(0.03, 0.15) if d.chance(0.7) else d.log(0.3, 2))
    return unit(overlay(span, notes, starts, list(d.many(len(starts), 0.3, 1))))


def bangs(d: RandomDraw, span: SampleSpan) -> Sound:
    """Shots, doors, hammers, clocks, typing: isolated impacts."""
    gap, modes = d.log(0.08, 1.5), [d.log(80, 400), d.log(400, 1500), d.log(1500, 6000)]
    starts: Curve = np.arange(0, span.seconds, gap) + d.many(
        len(np.arange(0, span.seconds, gap)), 0, gap / 2 if d.chance(0.6) else 0.001
    )
    knocks = [
        modal_hit(d, span.rate, modes, [d.log(0.01, 0.1), d.log(0.005, 0.04), 0.006], d.log(0.2, 6))
        for _ in range(3)
    ]
    return unit(
        overlay(
            span,
            [knocks[i % 3] for i in range(len(starts))],
            list(starts),
            list(d.many(len(starts), 0.5, 1)),
        )
    )


def thunder(d: RandomDraw, span: SampleSpan) -> Sound:
    x = noise(d, span, (25, 0), (100, 0), (500, -14), (4000, -35)) * random_drift(
        d, span, 5, 0.8
    ).astype(np.float32)
    return unit(x * np.exp(-span.times() / d.between(0.8, 3)).astype(np.float32))


def ship_horn(d: RandomDraw, span: SampleSpan) -> Sound:
    """Ship's horn: one long, very low note."""
    f = np.full(span.n, d.log(70, 180)) * random_drift(d, span, 3, 0.004)
    return fade(
        eq(
            tone(f, span.rate, partials(d, 20, d.between(3, 9))),
            span.rate,
            (60, 0),
            (1000, -8),
            (5000, -35),
        ),
        span.rate,
        0.25,
        0.4,
    )


def theremin(d: RandomDraw, span: SampleSpan) -> Sound:
    """Glides of synthesizers and toys: too clean, too wide or too slow for a siren."""
    f = d.log(200, 1500) * random_drift(d, span, d.log(0.5, 8), d.between(0.15, 0.8))
    return unit(
        resonate(
            tone(np.clip(f, 60, 5000), span.rate, partials(d, d.pick(1, 3, 12), 9)),
            span.rate,
            [(1200, 1500, 1.0)],
            0.3,
        )
    )


def buzzer(d: RandomDraw, span: SampleSpan) -> Sound:
    """Game-show buzzers, fire-alarm buzzers, kazoos."""
    x = saturate(
        tone(np.full(span.n, d.log(90, 800)), span.rate, partials(d, 30, d.between(1, 4))), 2
    )
    return fade(
        x * ((span.times() / d.log(0.4, 4)) % 1 < d.between(0.5, 1)).astype(np.float32),
        span.rate,
        0.01,
        0.02,
    )


DISTRACTORS: dict[str, Source] = {
    "music": music,
    "human whistle": human_whistle,
    "phone": phone,
    "doorbell": doorbell,
    "church bells": church_bells,
    "mower": mower,
    "fan": fan,
    "helicopter": helicopter,
    "aircraft": aircraft,
    "birdsong": birdsong,
    "bangs": bangs,
    "thunder": thunder,
    "ship": ship_horn,
    "theremin": theremin,
    "buzzer": buzzer,
    "speech": voices.speech,
    "babble": voices.babble,
    "baby": voices.baby_cry,
    "dog": voices.bark,
    "animal": voices.animal_call,
    "beast": voices.animal_cry,
    "roar": voices.roar,
    "solo": solo,
    "applause": applause,
    "shower": hiss_and_grains,
}
