"""Horns: air and truck horns, train horns as chords, steam whistles, car horns."""

from __future__ import annotations

import numpy as np

from av_tagger.synth.dsp import (
    Curve,
    RandomDraw,
    SampleSpan,
    Sound,
    band_noise,
    curve,
    eq,
    fade,
    noise,
    overlay,
    partials,
    random_drift,
    resonate,
    saturate,
    tone,
    unit,
)
from av_tagger.synth.rooms import in_room

# Hz: three- and five-chime horns of North American locomotives, two-note horns of European ones.
TRAIN_CHORDS = (
    (311, 415, 494),
    (311, 370, 415, 494, 622),
    (255, 311, 440),
    (277, 370, 440),
    (261, 329, 392, 440, 523),
    (220, 277, 311, 370, 440),
    (311, 370),
    (370, 660),
    (300, 363),
)


def horn_bell(d: RandomDraw, span: SampleSpan, pitch: float, slope: float) -> Sound:
    """One horn bell: the pitch rises at the onset and falls at the release."""
    scoop, build = d.between(0.9, 0.99), d.log(0.02, 0.15)
    f = pitch * curve(
        span,
        [
            (0, scoop),
            (build, 1.0),
            (max(build, span.seconds - 0.12), 1.0),
            (span.seconds, d.between(0.85, 0.99)),
        ],
    )
    return tone(
        f * random_drift(d, span, 12, 0.002),
        span.rate,
        partials(d, 32, slope, 4.0),
        d.between(0, 1),
    )


def chord(d: RandomDraw, span: SampleSpan, pitches: tuple[float, ...], slope: float) -> Sound:
    x = np.zeros(span.n, np.float32)
    for p in pitches:
        x += horn_bell(d, span, p * d.between(0.992, 1.008), slope) * np.float32(
            d.between(0.5, 1.0)
        )
    return x


def with_breath(d: RandomDraw, x: Sound, span: SampleSpan, breath: float) -> Sound:
    """Add air noise, loudest at the onset, and fade in and out."""
    hiss = band_noise(d, span, 500, 8000) * (0.3 + np.exp(-span.times() / 0.08)).astype(np.float32)
    return fade(
        unit(unit(x) + np.float32(breath) * hiss), span.rate, d.log(0.008, 0.08), d.log(0.03, 0.25)
    )


def air_horn_blast(d: RandomDraw, span: SampleSpan) -> Sound:
    pitch = d.log(130, 480) if d.chance(0.7) else d.log(400, 800)
    pitches: tuple[float, ...] = (pitch,)
    if d.chance(0.6):
        pitches = (pitch, pitch * d.pick(1.19, 1.25, 1.26, 1.33, 1.5) * d.between(0.98, 1.02))
    x = chord(d, span, pitches, d.between(0.5, 6.5))
    if d.chance(0.35):
        x = saturate(x, d.log(0.5, 3.0))
    x = eq(
        x,
        span.rate,
        (80, -12),
        (250, -2),
        (d.log(500, 3000), d.between(0, 10)),
        (d.log(4000, 7000), -6),
        (12000, -24),
    )
    return with_breath(d, x, span, d.log(0.02, 0.25))


def blast_times(
    d: RandomDraw, span: SampleSpan, lengths: tuple[float, float], gaps: tuple[float, float]
) -> list[tuple[float, float]]:
    """(start, length) of blasts until the span is full; the first starts at 0 s."""
    out, at = [], 0.0
    while at < span.seconds - 0.15:
        length = min(d.log(*lengths), span.seconds - at)
        out.append((at, length))
        at += length + d.log(*gaps)
    return out


def electronic_horn(d: RandomDraw, span: SampleSpan) -> Sound:
    """Horn of an emergency-vehicle amplifier: a steady, dense buzz with one loud formant."""
    f = np.full(span.n, d.log(55, 420))
    x = tone(f, span.rate, partials(d, 60, d.between(-1, 4), 4.0))
    for _ in range(d.pick(0, 0, 1, 2)):
        x = x + tone(
            f * d.pick(1.19, 1.25, 1.33, 1.5, d.between(1.02, 1.9)),
            span.rate,
            partials(d, 40, d.between(-1, 5), 4.0),
        )
    x = saturate(x, d.log(0.4, 4.0)) if d.chance(0.5) else unit(x)
    peaks = [
        (d.log(350, 2600), d.log(80, 1200), 1.0),
        (d.log(350, 5000), d.log(150, 1500), d.log(0.1, 0.8)),
    ]
    x = resonate(x, span.rate, peaks, d.log(0.02, 0.3))
    return unit(x + band_noise(d, span, 300, 6000) * np.float32(d.log(0.005, 0.1)))


def gas_horn(d: RandomDraw, span: SampleSpan) -> Sound:
    """Gas horn: the pitch starts up to 60 % higher and settles within a quarter of a second."""
    low, fall = d.log(250, 650), d.log(0.03, 0.25)
    f = low * (1 + d.between(0.1, 0.6) * np.exp(-span.times() / fall))
    x = tone(f, span.rate, partials(d, 40, d.between(-1, 3), 4.0))
    return fade(
        unit(
            eq(x, span.rate, (200, -6), (1000, 0), (5000, -2), (9000, -14))
            + band_noise(d, span, 1000, 8000) * np.float32(d.log(0.01, 0.2))
        ),
        span.rate,
        0.01,
        0.04,
    )


def air_horn(d: RandomDraw, span: SampleSpan) -> Sound:
    """Electronic horn, gas horn, or one to twelve blasts of one air horn."""
    kind = d.rng.random()
    if kind < 0.4:
        return electronic_horn(d, span)
    if kind < 0.5:
        return gas_horn(d, span.part(d.log(0.4, 3.0)))
    seed = int(d.rng.integers(2**31))
    blasts = blast_times(d, span, (0.25, 2.5), (0.08, 1.5))[: d.pick(1, 2, 4, 12)]
    sounds = [
        air_horn_blast(RandomDraw(np.random.default_rng(seed)), SampleSpan(span.rate, length))
        for _, length in blasts
    ]
    return unit(overlay(span, sounds, [s for s, _ in blasts]))


def train_horn_blast(d: RandomDraw, span: SampleSpan, pitches: tuple[float, ...]) -> Sound:
    x = chord(d, span, pitches, d.between(2, 8))
    x = saturate(x, d.log(0.2, 2.0)) if d.chance(0.5) else x
    x = eq(
        x,
        span.rate,
        (100, -10),
        (300, 0),
        (d.log(600, 2000), d.between(0, 8)),
        (4000, -d.between(2, 10)),
        (9000, -d.between(12, 30)),
    )
    return with_breath(d, x, span, d.log(0.03, 0.4))


def train_horn(d: RandomDraw, span: SampleSpan) -> Sound:
    """One to four blasts of one chord, usually with reverberation and low noise."""
    tuning = d.between(0.85, 1.18)
    pitches = tuple(p * tuning for p in TRAIN_CHORDS[d.count(0, len(TRAIN_CHORDS) - 1)])
    blasts = blast_times(d, span, (0.5, 4.0), (0.25, 1.2))[: d.pick(1, 2, 4, 4)]
    sounds = [train_horn_blast(d, SampleSpan(span.rate, length), pitches) for _, length in blasts]
    x = overlay(span, sounds, [s for s, _ in blasts])
    x = in_room(d, x, span.rate, decay=(0.4, 3.0), wet=(0.3, 2.0)) if d.chance(0.75) else unit(x)
    if d.chance(0.5):
        x = x + noise(
            d, span, (30, 0), (d.log(80, 400), -2), (2000, -16), (8000, -40)
        ) * np.float32(d.log(0.03, 0.5))
    return unit(x)


def whistle(d: RandomDraw, span: SampleSpan) -> Sound:
    """Steam whistle: few partials, much noise, glides at both ends."""
    low = d.log(280, 750)
    ratios: Curve = np.array(d.pick((1.0,), (1.0, 1.26, 1.5), (1.0, 1.2, 1.5, 1.8)))
    f = curve(
        span,
        [
            (0, 0.75),
            (d.log(0.08, 0.5), 1.0),
            (max(0.5, span.seconds - 0.4), 1.0),
            (span.seconds, 0.7),
        ],
    )
    x = sum(
        (
            tone(low * r * f * random_drift(d, span, 6, 0.004), span.rate, partials(d, 4, 14, 3.0))
            for r in ratios
        ),
        np.zeros(span.n, np.float32),
    )
    steam = band_noise(d, span, 800, 7000) * np.float32(d.log(0.1, 0.5))
    return fade(unit(unit(np.asarray(x, np.float32)) + steam), span.rate, 0.08, 0.2)


def car_horn(d: RandomDraw, span: SampleSpan) -> Sound:
    """Car horn: one or two steady tones in unison or a third apart."""
    low = d.log(300, 520)
    blasts = blast_times(d, span, (0.12, 1.2), (0.08, 0.8))[: d.pick(1, 2, 3, 6)]
    colour, other = partials(d, 30, d.between(0, 5), 5.0), partials(d, 30, d.between(0, 5), 5.0)
    ratio = d.pick(1.0, 1.2, 1.25, 1.26)
    sounds = []
    for _, length in blasts:
        s = SampleSpan(span.rate, length)
        x = tone(np.full(s.n, low), s.rate, colour) + tone(
            np.full(s.n, low * ratio * 1.003), s.rate, other
        )
        sounds.append(
            fade(eq(x, s.rate, (150, -14), (500, 0), (2500, 4), (6000, -10)), s.rate, 0.012, 0.03)
        )
    return unit(overlay(span, sounds, [s for s, _ in blasts]))
