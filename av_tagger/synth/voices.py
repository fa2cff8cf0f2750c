"""Voices: screams, and the speech, baby and animal sounds that are confused with them."""

from __future__ import annotations

import numpy as np

from av_tagger.synth.dsp import (
    Curve,
    RandomDraw,
    SampleSpan,
    Sound,
    band_noise,
    curve,
    fade,
    overlay,
    partials,
    random_drift,
    resonate,
    saturate,
    tone,
    unit,
)

VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
    (660, 1720, 2410),
)


def voice_source(d: RandomDraw, span: SampleSpan, pitch: Curve, roughness: float) -> Sound:
    """Glottal tone with jitter; `roughness` adds fast modulation and subharmonics."""
    jitter = random_drift(d, span, 90, 0.012 + 0.05 * roughness)
    x = tone(pitch * jitter, span.rate, partials(d, 40, d.between(5, 11), 2.5))
    if roughness > 0:
        beat = 1 + roughness * np.sin(
            2 * np.pi * np.cumsum(random_drift(d, span, 20, 0.3) * d.between(35, 130)) / span.rate
        )
        sub = 1 + roughness * np.sin(np.pi * np.cumsum(pitch / span.rate))
        x = x * (beat * sub).astype(np.float32)
    return unit(x)


def scream_contour(d: RandomDraw, span: SampleSpan, top: float) -> Curve:
    end = d.between(0.45, 1.0)
    rise = span.seconds * d.between(0.02, 0.3)
    hold = span.seconds * d.between(0.4, 0.9)
    return (
        top
        * curve(
            span,
            [
                (0, d.between(0.5, 1.0)),
                (rise, 1.0),
                (hold, d.between(0.85, 1.1)),
                (span.seconds, end),
            ],
        )
        * random_drift(d, span, 6, 0.03)
    )


def single_scream(
    d: RandomDraw, span: SampleSpan, top: float, roughness: float, tract: float
) -> Sound:
    x = voice_source(d, span, scream_contour(d, span, top), roughness)
    x = unit(x + band_noise(d, span, 1000, 8000) * np.float32(d.log(0.02, 0.5)))
    gains = (d.log(0.2, 1.0), 1.0, d.log(0.2, 1.0), d.log(0.1, 0.6))
    peaks = [
        (f * tract * d.between(0.85, 1.2), f * d.between(0.1, 0.5), g)
        for f, g in zip((950, 1500, 2900, 3900), gains, strict=True)
    ]
    x = resonate(x, span.rate, peaks, d.log(0.02, 0.15))
    return fade(saturate(x, d.log(0.2, 2.5)), span.rate, d.log(0.01, 0.12), d.log(0.05, 0.4))


def screaming(d: RandomDraw, span: SampleSpan) -> Sound:
    """Screams of one voice or of three or six, once or repeated."""
    out = np.zeros(span.n, np.float32)
    for _ in range(d.pick(1, 1, 1, 1, 3, 6)):
        top, tract = d.log(420, 1900), d.between(0.85, 1.2)
        rough = d.between(0.0, 1.0)
        t = 0.0
        while t < span.seconds - 0.25:
            length = min(d.log(0.3, 4.5), span.seconds - t)
            x = single_scream(
                d, SampleSpan(span.rate, length), top * d.between(0.85, 1.15), rough, tract
            )
            a = int(t * span.rate)
            out[a : a + len(x)] += (x * np.float32(d.between(0.5, 1)))[: span.n - a]
            t += length + d.log(0.1, 1.5)
            if d.chance(0.35):
                break
    return unit(out)


def syllable(d: RandomDraw, span: SampleSpan, pitch: float, tract: float) -> Sound:
    f = pitch * curve(span, [(0, d.between(0.85, 1.15)), (span.seconds, d.between(0.75, 1.1))])
    vowel = VOWELS[d.count(0, len(VOWELS) - 1)]
    x = resonate(
        voice_source(d, span, f, 0.0),
        span.rate,
        [(v * tract, 60 + v * 0.06, g) for v, g in zip(vowel, (1.0, 0.5, 0.25), strict=True)],
        0.004,
    )
    return fade(unit(x), span.rate, 0.03, 0.06)


def speech(d: RandomDraw, span: SampleSpan) -> Sound:
    """Speech-like syllables, fricatives and pauses without words."""
    pitch, tract = d.log(85, 280), d.between(0.9, 1.2)
    sounds: list[Sound] = []
    starts: list[float] = []
    gains: list[float] = []
    t = 0.0
    while t < span.seconds - 0.1:
        part = SampleSpan(span.rate, min(d.between(0.09, 0.28), span.seconds - t))
        sounds.append(syllable(d, part, pitch * d.between(0.85, 1.2), tract))
        starts.append(t)
        gains.append(d.between(0.4, 1))
        if d.chance(0.4):
            sounds.append(
                fade(
                    band_noise(
                        d, SampleSpan(span.rate, d.between(0.04, 0.14)), d.log(2500, 5000), 8000
                    ),
                    span.rate,
                    0.015,
                    0.03,
                )
            )
            starts.append(max(0.0, t - 0.06))
            gains.append(d.between(0.1, 0.5))
        t += part.seconds + (d.log(0.15, 1.0) if d.chance(0.18) else d.between(0.0, 0.05))
    return unit(overlay(span, sounds, starts, gains))


def babble(d: RandomDraw, span: SampleSpan) -> Sound:
    return unit(
        np.sum(
            [speech(d, span) * np.float32(d.between(0.3, 1)) for _ in range(d.count(3, 5))],
            axis=0,
            dtype=np.float32,
        )
    )


def baby_cry(d: RandomDraw, span: SampleSpan) -> Sound:
    """Crying baby: regular arches at 330 to 620 Hz, smoother than screams."""
    pitch, length, rest = d.log(330, 620), d.log(0.5, 1.3), d.log(0.25, 0.7)
    sounds, starts, t = [], [], 0.0
    while t < span.seconds - 0.2:
        part = SampleSpan(span.rate, min(length * d.between(0.8, 1.2), span.seconds - t))
        arch = pitch * curve(part, [(0, 0.75), (part.seconds * 0.3, 1.0), (part.seconds, 0.7)])
        x = resonate(
            voice_source(d, part, arch, d.between(0, 0.2)),
            span.rate,
            [(1100, 250, 1.0), (3300, 500, 0.6)],
            0.02,
        )
        sounds.append(fade(unit(x), span.rate, 0.06, 0.12))
        starts.append(t)
        t += part.seconds + rest
    return unit(overlay(span, sounds, starts))


def bark(d: RandomDraw, span: SampleSpan) -> Sound:
    pitch, sounds, starts, t = d.log(180, 900), [], [], 0.0
    while t < span.seconds - 0.1:
        part = SampleSpan(span.rate, d.between(0.1, 0.28))
        f = pitch * curve(part, [(0, 0.7), (0.04, 1.2), (part.seconds, 0.6)])
        x = resonate(
            voice_source(d, part, f, d.between(0.2, 0.9)),
            span.rate,
            [(d.log(500, 900), 200, 1.0), (d.log(1200, 2200), 400, 0.6)],
            0.03,
        )
        sounds.append(
            fade(unit(x + band_noise(d, part, 500, 4000) * np.float32(0.2)), span.rate, 0.008, 0.06)
        )
        starts.append(t)
        t += d.log(0.25, 1.5)
    return unit(overlay(span, sounds, starts, list(d.many(len(starts), 0.5, 1))))


def animal_call(d: RandomDraw, span: SampleSpan) -> Sound:
    """Long single calls of animals (cow, goat, rooster, dog, cat) with a slow contour."""
    low = d.log(90, 700)
    sounds, starts, t = [], [], 0.0
    while t < span.seconds - 0.3:
        part = SampleSpan(span.rate, min(d.log(0.4, 2.0), span.seconds - t))
        trill = 1 + d.pick(0.0, 0.0, 0.06) * np.sin(2 * np.pi * part.times() * d.between(7, 14))
        f = (
            low
            * trill
            * curve(
                part,
                [
                    (0, d.between(0.7, 1.0)),
                    (part.seconds / 2, d.between(0.9, 1.5)),
                    (part.seconds, d.between(0.5, 1.0)),
                ],
            )
        )
        x = resonate(
            voice_source(d, part, f, d.between(0, 0.5)),
            span.rate,
            [(d.log(300, 1100), 200, 1.0), (d.log(1100, 2800), 400, 0.5)],
            0.01,
        )
        sounds.append(fade(x, span.rate, 0.08, 0.15))
        starts.append(t)
        t += part.seconds + d.log(0.3, 3)
    return unit(overlay(span, sounds, starts))


def animal_cry(d: RandomDraw, span: SampleSpan) -> Sound:
    """Loud, rough calls like screams: horse, sheep or goat, cat, elephant, monkey or owl."""
    kind = d.count(0, 4)
    base, tremor, depth = (
        (d.log(500, 1100), d.between(10, 16), 0.08),  # horse: falls and trembles
        (d.log(180, 500), d.between(6, 10), 0.05),  # sheep, goat
        (d.log(400, 900), 3.0, 0.01),  # cat
        (d.log(250, 700), d.between(20, 45), 0.06),  # elephant
        (d.log(400, 1400), 3.0, 0.02),  # monkey, owl
    )[kind]
    sounds, starts, t = [], [], 0.0
    while t < span.seconds - 0.1:
        length = d.log(0.08, 0.3) if kind == 4 else d.log(0.5, 1.8)
        part = SampleSpan(span.rate, min(length, span.seconds - t))
        slide = curve(
            part,
            [
                (0, d.between(0.6, 1.1)),
                (part.seconds * d.between(0.1, 0.6), 1.0),
                (part.seconds, d.between(0.4, 1.0) if kind != 4 else 1.2),
            ],
        )
        f = base * slide * (1 + depth * np.sin(2 * np.pi * tremor * part.times()))
        beat = (1 + 5 * depth * np.sin(2 * np.pi * tremor * part.times())).astype(np.float32)
        x = voice_source(d, part, f, d.between(0.3, 1.0) if kind == 3 else d.between(0, 0.3)) * beat
        x = resonate(
            x + band_noise(d, part, 300, 6000) * np.float32(d.log(0.02, 0.3)),
            span.rate,
            [(d.log(500, 1500), 300, 1.0), (d.log(1500, 3500), 600, 0.6)],
            0.02,
        )
        sounds.append(fade(unit(x), span.rate, 0.04, 0.1))
        starts.append(t)
        t += part.seconds + (d.log(0.04, 0.2) if kind == 4 else d.log(0.2, 3))
    return unit(overlay(span, sounds, starts, list(d.many(len(starts), 0.5, 1))))


def roar(d: RandomDraw, span: SampleSpan) -> Sound:
    """Lions, bears, snoring: very low, rough sounds that swell and fade."""
    f = d.log(30, 140) * curve(span, [(0, 0.8), (span.seconds * 0.4, 1.2), (span.seconds, 0.7)])
    x = voice_source(d, span, f, d.between(0.5, 1.0)) + band_noise(d, span, 80, 900) * np.float32(
        d.log(0.2, 1.0)
    )
    x = resonate(x, span.rate, [(d.log(200, 500), 150, 1.0), (d.log(600, 1500), 400, 0.4)], 0.02)
    breaths = np.abs(np.sin(np.pi * span.times() / d.log(0.8, 4.0))) ** d.between(0.5, 2)
    return unit(x * breaths.astype(np.float32))
