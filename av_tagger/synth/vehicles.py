"""Road vehicles from engines, tyres and brakes, also passing by with Doppler shift."""

from __future__ import annotations

import numpy as np

from av_tagger.synth.dsp import (
    Curve,
    RandomDraw,
    SampleSpan,
    Sound,
    band_noise,
    eq,
    fade,
    noise,
    overlay,
    partials,
    pulse_train,
    random_drift,
    resonate,
    saturate,
    tone,
    unit,
)
from av_tagger.synth.engines import (
    car_engine,
    diesel_engine,
    engine_sound,
    exhaust,
    gears,
    motorcycle_engine,
    revving,
    with_starter,
)

SOUND_SPEED = 343.0  # m/s


def tyres(d: RandomDraw, span: SampleSpan) -> Sound:
    return noise(d, span, (40, -10), (120, -6), (d.log(500, 1100), 0), (2500, -9), (8000, -26))


def skid(d: RandomDraw, span: SampleSpan) -> Sound:
    f = d.log(600, 1400) * random_drift(d, span, 12, 0.05)
    return fade(
        unit(
            tone(f, span.rate, partials(d, 8, 6)) + band_noise(d, span, 700, 3000) * np.float32(0.4)
        ),
        span.rate,
        0.05,
        0.15,
    )


def air_brake(d: RandomDraw, span: SampleSpan) -> Sound:
    """Release of compressed air."""
    hiss = band_noise(d, span, d.log(1500, 4000), 12000, 25)
    shape = np.exp(-span.times() / d.log(0.08, 0.5)) + d.between(0, 0.3)
    squeak = tone(
        np.full(span.n, d.log(1500, 4000)) * random_drift(d, span, 10, 0.02),
        span.rate,
        partials(d, 3, 8),
    ) * np.float32(0.3 * d.chance(0.3))
    return fade((hiss + squeak) * shape.astype(np.float32), span.rate, 0.004, 0.06)


def air_brakes(d: RandomDraw, span: SampleSpan, how_many: int) -> Sound:
    sounds = [air_brake(d, SampleSpan(span.rate, d.log(0.25, 1.4))) for _ in range(how_many)]
    return overlay(span, sounds, [d.between(0, max(0.01, span.seconds - 0.3)) for _ in sounds])


def squeal(d: RandomDraw, span: SampleSpan) -> Sound:
    """Squealing brake pads or wheel flanges: one to three nearly pure tones that drift."""
    x = np.zeros(span.n, np.float32)
    for _ in range(d.count(1, 3)):
        x += tone(
            np.full(span.n, d.log(1800, 6000)) * random_drift(d, span, 4, 0.01),
            span.rate,
            partials(d, 3, 10),
        ) * random_drift(d, span, 8, 0.8).astype(np.float32)
    return fade(unit(x), span.rate, 0.15, 0.3)


def car(d: RandomDraw, span: SampleSpan) -> Sound:
    kind = d.rng.random()
    if kind < 0.3:
        return race_car(d, span)
    if kind < 0.45:
        return car_passing(d, span)
    low = d.log(18, 40)
    f = (
        gears(d, span, low * 1.3, d.log(90, 230), (1.0, 4.0))
        if d.chance(0.35)
        else revving(d, span, low, d.log(60, 260))
    )
    x = with_starter(d, span, engine_sound(d, span, f, car_engine(d)))
    x = unit(x + tyres(d, span) * np.float32(d.log(0.03, 0.8)))
    if d.chance(0.15):
        x = x + overlay(
            span, [skid(d, span.part(d.log(0.4, 1.5)))], [d.between(0, span.seconds * 0.8)]
        )
    return unit(x)


def race_car(d: RandomDraw, span: SampleSpan) -> Sound:
    high = d.log(250, 800)
    f = (
        gears(d, span, high * d.between(0.3, 0.7), high, (0.4, 2.5))
        if d.chance(0.6)
        else revving(d, span, high / 3, high)
    )
    x = engine_sound(d, span, f, car_engine(d, racing=True))
    x = unit(
        saturate(x, d.log(0.3, 3)) + band_noise(d, span, 300, 5000) * np.float32(d.log(0.02, 0.3))
    )
    return passing(d, x, span, d.log(30, 80)) if d.chance(0.5) else x


def car_passing(d: RandomDraw, span: SampleSpan) -> Sound:
    """One to three cars passing: mostly tyre noise."""
    out = np.zeros(span.n, np.float32)
    for _ in range(d.pick(1, 1, 2, 3)):
        x = tyres(d, span) + engine_sound(
            d, span, np.full(span.n, d.log(40, 140)), car_engine(d)
        ) * np.float32(d.log(0.05, 0.8))
        out += passing(d, x, span, d.log(8, 32)) * np.float32(d.between(0.5, 1))
    return unit(out)


def heavy_vehicle(
    d: RandomDraw, span: SampleSpan, high: tuple[float, float], shift: tuple[float, float]
) -> Sound:
    low = d.log(22, 42)
    f = (
        gears(d, span, low, d.log(*high), shift)
        if d.chance(0.5)
        else revving(d, span, low, d.log(*high))
    )
    x = with_starter(d, span, engine_sound(d, span, f, diesel_engine(d)))
    road = noise(
        d,
        span,
        (30, 0),
        (d.log(150, 600), -2),
        (d.log(900, 2500), -d.between(4, 14)),
        (6000, -d.between(18, 34)),
    )
    return unit(
        x + road * random_drift(d, span, 1.5, 0.25).astype(np.float32) * np.float32(d.log(0.2, 2.5))
    )


def truck(d: RandomDraw, span: SampleSpan) -> Sound:
    x = heavy_vehicle(d, span, (70, 130), (0.7, 3.0))
    if d.chance(0.45):
        x = x + air_brakes(d, span, d.count(1, 2)) * np.float32(d.log(0.2, 1.5))
    if d.chance(0.25):
        rattle = band_noise(d, span, 300, 4000) * (random_drift(d, span, 25, 1.0)).astype(
            np.float32
        )
        x = x + rattle * np.float32(d.log(0.05, 0.4))
    return passing(d, x, span, d.log(5, 25)) if d.chance(0.4) else unit(x)


def bus(d: RandomDraw, span: SampleSpan) -> Sound:
    """Like a truck with less treble; often air brakes and squealing brakes."""
    x = heavy_vehicle(d, span, (60, 110), (1.5, 5.0))
    x = eq(x, span.rate, (60, 0), (600, 0), (2500, -d.between(2, 14)), (8000, -24))
    if d.chance(0.6):
        x = x + air_brakes(d, span, d.count(1, 3)) * np.float32(d.log(0.2, 1.5))
    if d.chance(0.35):
        at = d.between(0, span.seconds / 2)
        x = x + overlay(span, [squeal(d, span.part(d.log(0.6, 2.5)))], [at]) * np.float32(
            d.log(0.1, 0.8)
        )
    if d.chance(0.2):
        x = x + tone(gears(d, span, 200, 900, (2, 5)), span.rate, partials(d, 4, 8)) * np.float32(
            d.log(0.1, 0.6)
        )
    return passing(d, x, span, d.log(4, 14)) if d.chance(0.35) else unit(x)


def idling_motorcycle(d: RandomDraw, span: SampleSpan) -> Sound:
    """A big single or twin cylinder at idle: each explosion is audible by itself."""
    f = d.log(5, 16) * random_drift(d, span, 6, 0.06)
    weights = d.pick(
        np.array([1.0, 0.5]), np.array([1.0, 0.7, 0.0]), np.array([1.0, 0.8, 0.3]), np.ones(1)
    ) * d.between(0.9, 1.1)
    shape = pulse_train(np.cumsum(f / span.rate) * len(weights), weights, d.log(2, 7))
    crack = (
        noise(
            d,
            span,
            (40, 0),
            (d.log(100, 400), 0),
            (2000, -d.between(4, 14)),
            (9000, -d.between(12, 30)),
        )
        * shape
    )
    boom = resonate(shape - shape.mean(), span.rate, exhaust(d, (50, 160), 3, 2500), 0.05)
    return unit(
        unit(crack) * np.float32(d.log(0.3, 2.0))
        + unit(boom)
        + tyres(d, span) * np.float32(d.log(0.02, 0.2))
    )


def motorcycle(d: RandomDraw, span: SampleSpan) -> Sound:
    if d.chance(0.3):
        return idling_motorcycle(d, span)
    low, high = d.log(7, 40), d.log(60, 420)
    f = gears(d, span, low * 2, high, (0.6, 2.5)) if d.chance(0.45) else revving(d, span, low, high)
    x = with_starter(d, span, engine_sound(d, span, f, motorcycle_engine(d)))
    return passing(d, x, span, d.log(8, 45)) if d.chance(0.35) else unit(x)


def passing(d: RandomDraw, x: Sound, span: SampleSpan, speed: float) -> Sound:
    """Drive past at `speed` m/s with a random distance and time of the closest approach."""
    closest, middle = d.log(2.5, 25), span.seconds * d.between(0.25, 0.7)
    return drive_past(x, span, speed, closest, middle)


def drive_past(x: Sound, span: SampleSpan, speed: float, closest: float, middle: float) -> Sound:
    """Doppler shift by a distance-dependent delay, level by 1/r, treble loss with distance.

    `speed` in m/s, `closest` distance in m, `middle`: second of the closest approach.
    """
    t = span.times()
    distance = np.sqrt(closest**2 + (speed * (t - middle)) ** 2)
    heard = t - (distance - distance.min()) / SOUND_SPEED
    source = (
        np.interp(heard * span.rate, np.arange(span.n), x, left=0.0, right=0.0)
        if heard[0] >= 0
        else mirrored(x, heard * span.rate)
    )
    gain = closest / distance
    near = gain.astype(np.float32)
    bright = np.asarray(source, np.float32)
    dull = eq(bright, span.rate, (300, 0), (1500, -6), (6000, -30))
    return unit((bright * near + dull * (1 - near)) * near)


def mirrored(x: Sound, index: Curve) -> Sound:
    """Interpolate at fractional indices; negative ones read the mirrored sound."""
    return np.asarray(np.interp(np.abs(index), np.arange(len(x)), x), np.float32)
