"""Sirens and alarms: wail, yelp, phaser, hi-lo, mechanical, civil defense, car alarms, beeps."""

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
    partials,
    random_drift,
    resonate,
    saturate,
    tone,
    unit,
)
from av_tagger.synth.horns import air_horn_blast, electronic_horn

# Two-tone horns by service in Hz (French, German, Italian, British practice).
HILO_POLICE = ((435, 580), (435, 732), (440, 585), (392, 660), (466, 622), (560, 840))
HILO_FIRE = ((435, 488), (362, 483), (410, 547), (392, 466), (370, 493), (500, 620))
HILO_AMBULANCE = (
    (435, 651),
    (420, 516),
    (392, 523),
    (660, 880),
    (450, 600),
    (600, 900),
    (960, 770),
)


def sweep(d: RandomDraw, span: SampleSpan, low: float, high: float, period: float) -> Curve:
    """Periodic rise and fall between two frequencies with random shape."""
    rise, bend = d.between(0.25, 0.65), d.between(0.5, 2.0)
    phase = (span.times() / period + d.between(0, 1)) % 1.0
    up = np.clip(phase / rise, 0, 1) ** (1 / bend)
    down = np.clip((phase - rise) / (1 - rise), 0, 1) ** bend
    return np.asarray(low * (high / low) ** np.where(phase < rise, up, 1 - down))


def wail(d: RandomDraw, span: SampleSpan) -> Curve:
    low = d.log(350, 900)
    return sweep(d, span, low, low * d.between(1.6, 3.0), d.log(2.2, 8.0))


def yelp(d: RandomDraw, span: SampleSpan) -> Curve:
    low = d.log(450, 1000)
    return sweep(d, span, low, low * d.between(1.5, 2.6), d.log(0.22, 0.5))


def phaser(d: RandomDraw, span: SampleSpan) -> Curve:
    low = d.log(500, 1200)
    return sweep(d, span, low, low * d.between(1.4, 2.4), d.log(0.05, 0.14))


def two_tone(d: RandomDraw, span: SampleSpan, tones: tuple[float, float], period: float) -> Curve:
    """Two alternating tones with a short glide between them."""
    tuning = d.between(0.96, 1.04)
    phase = (span.times() / period + d.pick(0.0, 0.5)) % 1.0
    glide = d.between(0.005, 0.06)
    share = np.clip((phase - 0.5) / glide, 0, 1) - np.clip((phase - (1 - glide)) / glide, 0, 1)
    return np.asarray(tuning * (tones[0] + (tones[1] - tones[0]) * share))


def electronic_siren(d: RandomDraw, frequency: Curve, span: SampleSpan) -> Sound:
    """Amplifier and horn loudspeaker: a tone, often clipped, in a narrow band with a peak."""
    x = tone(frequency, span.rate, partials(d, 16, d.between(4, 14), 4.0, even=d.between(-18, 2)))
    x = saturate(x, d.log(0.3, 4.0)) if d.chance(0.6) else x
    low, high = d.log(250, 600), d.log(2500, 9000)
    peak = d.log(800, 2500)
    y = eq(
        x,
        span.rate,
        (low / 2, -d.between(12, 30)),
        (low, 0),
        (peak / 1.4, 0),
        (peak, d.between(0, 9)),
        (peak * 1.4, 0),
        (high, -3),
        (high * 2, -24),
    )
    return unit(y)


def pneumatic_siren(d: RandomDraw, frequency: Curve, span: SampleSpan) -> Sound:
    """Compressor horn: many partials and a little air noise."""
    x = tone(
        frequency * random_drift(d, span, 8, 0.003),
        span.rate,
        partials(d, 30, d.between(1, 6), 5.0),
    )
    breath = band_noise(d, span, 800, 6000) * np.float32(d.log(0.01, 0.1))
    return unit(
        eq(x, span.rate, (100, -20), (400, 0), (3000, d.between(-6, 4)), (8000, -18)) + breath
    )


def mechanical_siren(d: RandomDraw, span: SampleSpan) -> Sound:
    """Rotor siren of older fire engines: slow rise, slower fall."""
    points = [(0.0, d.log(150, 700))]
    while points[-1][0] < span.seconds:
        t = points[-1][0] + d.log(1.5, 5)
        points += [(t, d.log(750, 1250)), (t + d.log(2, 6), d.log(300, 700))]
    f = curve(span, points)
    x = tone(f, span.rate, partials(d, 24, d.between(2, 7), 4.0))
    return unit(
        x * (0.3 + (f / f.max()).astype(np.float32))
        + band_noise(d, span, 300, 3000) * np.float32(0.08)
    )


def changing_modes(d: RandomDraw, span: SampleSpan, *modes: object) -> Curve:
    """One random mode, or two in succession."""
    kinds = [m for m in modes if callable(m)]
    first: Curve = d.pick(*kinds)(d, span)
    if d.chance(0.4) and span.seconds > 3:
        second: Curve = d.pick(*kinds)(d, span)
        cut = int(span.n * d.between(0.25, 0.75))
        first = np.concatenate([first[:cut], second[cut:]])
    return first


def hilo_siren(
    d: RandomDraw, span: SampleSpan, table: tuple[tuple[float, float], ...], low: float, high: float
) -> Sound:
    frequency = two_tone(d, span, table[d.count(0, len(table) - 1)], d.log(low, high))
    return (pneumatic_siren if d.chance(0.5) else electronic_siren)(d, frequency, span)


def police(d: RandomDraw, span: SampleSpan) -> Sound:
    if d.chance(0.25):
        return hilo_siren(d, span, HILO_POLICE, 0.9, 2.2)
    return electronic_siren(d, changing_modes(d, span, wail, yelp, yelp, phaser), span)


def ambulance(d: RandomDraw, span: SampleSpan) -> Sound:
    if d.chance(0.45):
        return hilo_siren(d, span, HILO_AMBULANCE, 0.6, 1.8)
    return electronic_siren(d, changing_modes(d, span, wail, yelp, wail), span)


def fire_engine(d: RandomDraw, span: SampleSpan) -> Sound:
    kind = d.rng.random()
    if kind < 0.3:
        x = hilo_siren(d, span, HILO_FIRE, 1.0, 4.5)
    elif kind < 0.65:
        x = mechanical_siren(d, span)
    else:
        x = electronic_siren(d, wail(d, span), span)
    if d.chance(0.45):
        x = x + horn_blasts(d, span) * np.float32(d.between(0.6, 1.6))
    if d.chance(0.5):
        x = x + eq(
            band_noise(d, span, 40, 400), span.rate, (50, 0), (300, -6), (2000, -20)
        ) * np.float32(d.between(0.2, 0.8))
    return unit(x)


def horn_blasts(d: RandomDraw, span: SampleSpan) -> Sound:
    """Horn blasts of a fire engine, to be added to its siren."""
    out = np.zeros(span.n, np.float32)
    at = d.between(0, span.seconds / 2)
    while at < span.seconds - 0.3:
        part = SampleSpan(span.rate, d.log(0.25, 1.5))
        blast = (
            fade(electronic_horn(d, part), span.rate, 0.01, 0.02)
            if d.chance(0.4)
            else air_horn_blast(d, part)
        )
        a = int(at * span.rate)
        out[a : a + len(blast)] += blast[: span.n - a]
        at += len(blast) / span.rate + d.log(0.2, 2.5)
    return out


def civil_defense(d: RandomDraw, span: SampleSpan) -> Sound:
    """Slow rise, plateau and fall; one rotor, or two a fixed interval apart."""
    top, bottom = d.log(380, 850), d.between(0.2, 0.75)
    points, t = [(0.0, d.between(bottom, 1.0))], 0.0
    while t < span.seconds:
        t += d.log(1.5, 7)
        points += [(t, 1.0), (t + d.log(0.1, 6), 1.0)]
        t = points[-1][0] + d.log(1.5, 7)
        points.append((t, bottom if d.chance(0.8) else 1.0))
    f = top * curve(span, points)
    x = tone(f, span.rate, partials(d, 18, d.between(4, 11), 4.0))
    if d.chance(0.5):
        x = x + tone(
            f * d.pick(1.2, 1.25, 0.833, 4 / 3), span.rate, partials(d, 14, d.between(4, 11), 4.0)
        )
    x = unit(x) * (0.2 + (f / f.max())).astype(np.float32) ** 1.5
    return unit(
        resonate(x, span.rate, [(d.log(400, 1500), 700, 1.0)], 0.3)
        + band_noise(d, span, 100, 1500) * np.float32(0.04)
    )


def reversing_beeps(d: RandomDraw, span: SampleSpan) -> Sound:
    """Regular beeps at one pitch, rarely bursts of noise."""
    on, period = d.between(0.35, 0.65), d.log(0.6, 1.5)
    duty = ((span.times() / period) % 1.0 < on).astype(np.float32)
    edge = max(3, int(span.rate * d.between(0.002, 0.02)))
    duty = np.convolve(duty, np.ones(edge, np.float32) / edge, "same").astype(np.float32)
    pitch = d.log(850, 1700) if d.chance(0.8) else d.log(1700, 3000)
    amplitudes = partials(d, d.pick(1, 3, 9), d.between(6, 18), 3.0, even=-10)
    x = (
        tone(np.full(span.n, pitch), span.rate, amplitudes)
        if d.chance(0.93)
        else band_noise(d, span, 600, 6000)
    )
    return unit(x * duty)


def alarm_sweep(d: RandomDraw, span: SampleSpan) -> Curve:
    """Frequency curve of one pattern of a car alarm."""
    low, high = d.log(350, 1500) if d.chance(0.4) else d.log(600, 1500), d.log(1600, 3500)
    kind = d.count(0, 4)
    if kind == 0:
        return sweep(d, span, low, high, d.log(0.08, 0.35))
    if kind == 1:
        return two_tone(d, span, (low, high), d.log(0.08, 0.6))
    if kind == 2:
        return np.asarray(low * (high / low) ** ((span.times() / d.log(0.15, 0.9)) % 1.0))
    if kind == 3:
        return np.asarray(high * (low / high) ** ((span.times() / d.log(0.15, 0.9)) % 1.0))
    return sweep(d, span, low, high, d.log(0.8, 2.5))


def car_alarm(d: RandomDraw, span: SampleSpan) -> Sound:
    """One to six sweep patterns in turn, or the car's horn in a regular beat."""
    if d.chance(0.25):
        return honking(d, span)
    voices, length = d.pick(1, 3, 4, 6), d.log(0.7, 3.0)
    colour = partials(d, 14, d.between(1, 6) if d.chance(0.4) else d.between(4, 12), 4.0)
    parts: list[Sound] = []
    while sum(len(p) for p in parts) < span.n:
        part = SampleSpan(span.rate, length)
        x = tone(alarm_sweep(d, part), span.rate, colour)
        if d.chance(0.3):
            x = x * ((part.times() / d.log(0.08, 0.4)) % 1.0 < 0.6).astype(np.float32)
        parts.append(fade(x, span.rate, 0.003, 0.003))
        if len(parts) >= voices:
            parts = parts * (2 + span.n // (len(parts) * part.n))
    x = np.concatenate(parts)[: span.n]
    return unit(
        eq(
            x,
            span.rate,
            (200, -20),
            (d.log(400, 1200), 0),
            (d.log(1800, 3200), d.between(0, 8)),
            (6000, -6),
            (12000, -20),
        )
    )


def honking(d: RandomDraw, span: SampleSpan) -> Sound:
    low = d.log(330, 480)
    x = tone(np.full(span.n, low), span.rate, partials(d, 24, d.between(2, 6), 4.0))
    x = x + tone(
        np.full(span.n, low * d.between(1.15, 1.3)),
        span.rate,
        partials(d, 20, d.between(2, 6), 4.0),
    )
    period = d.log(0.5, 1.3)
    return unit(x * ((span.times() / period) % 1.0 < d.between(0.4, 0.6)).astype(np.float32))
