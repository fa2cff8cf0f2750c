"""Engines as pulse trains: cylinders, gears, load, exhaust colour; cars, motorcycles, trucks, buses, and what passes by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_tagger.synth.dsp import (
    Curve,
    RandomDraw,
    SampleSpan,
    Sound,
    band,
    curve,
    drive,
    eq,
    fade,
    noise,
    partials,
    place,
    pulses,
    resonate,
    tone,
    unit,
    wander,
)

SOUND_SPEED = 343.0  # m/s


@dataclass(frozen=True)
class Engine:
    """What an engine is built like, apart from how it is driven."""

    weights: Curve  # strength of each explosion of one cycle
    sharpness: float  # how short an explosion is
    peaks: tuple[tuple[float, float, float], ...]  # resonances of exhaust and body
    clatter: float  # mechanical and combustion noise
    whine: float  # gears, turbo, fan
    drive: float


def run(d: RandomDraw, span: SampleSpan, firing: Curve, engine: Engine) -> Sound:
    """Pulses at the firing frequency (Hz), noise that breathes with them, resonances, and clipping under load."""
    firing = firing * wander(d, span, 15, 0.012) * wander(d, span, 2, 0.015)
    turns = np.cumsum(firing / span.rate) + d.between(0, 4)
    p = pulses(turns, engine.weights, engine.sharpness)
    hot = noise(d, span, (30, -6), (200, 0), (1500, -d.between(0, 8)), (8000, -d.between(8, 26)))
    breath = hot * (np.float32(d.log(0.05, 0.6)) + p) * np.float32(10 * engine.clatter)
    x = resonate(p - p.mean() + breath, span.rate, engine.peaks, d.log(0.02, 0.3))
    x = drive(x, engine.drive) if engine.drive > 0.05 else unit(x)
    if engine.whine > 0:
        whine = tone(firing * d.between(5.5, 17.0), span.rate, partials(d, 3, 10))
        x = x + whine * np.float32(engine.whine)
    return unit(x)


def cylinders(d: RandomDraw, n: int, unevenness: float) -> Curve:
    return np.maximum(0.1, d.rng.normal(1.0, unevenness, n))


def exhaust(
    d: RandomDraw, low: tuple[float, float], count: int, top: float
) -> tuple[tuple[float, float, float], ...]:
    """A boom and a few narrower resonances above it."""
    peaks = [(d.log(*low), d.log(40, 200), 1.0)]
    for _ in range(count):
        f = d.log(low[1], top)
        peaks.append((f, f * d.between(0.15, 0.8), d.log(0.03, 0.5)))
    return tuple(peaks)


def car_engine(d: RandomDraw, racing: bool = False) -> Engine:
    n = d.pick(4, 4, 6, 8)
    return Engine(
        cylinders(d, n, d.between(0.05, 0.3)),
        d.log(2, 9),
        exhaust(d, (60, 250), d.count(3, 6), 7000 if racing else 4000),
        d.log(0.1, 1.5),
        d.log(0.01, 0.15) if d.chance(0.4) else 0.0,
        d.log(0.05, 2.0) if racing or d.chance(0.3) else 0.0,
    )


def motorcycle_engine(d: RandomDraw) -> Engine:
    twin = d.chance(0.55)
    weights = (
        np.array([1.0, d.between(0.3, 0.9), 0.0, 0.0, 0.0])
        if twin and d.chance(0.5)
        else cylinders(d, d.pick(1, 2, 4), 0.35)
    )
    return Engine(
        weights,
        d.log(3, 14),
        exhaust(d, (70, 320), d.count(3, 7), 6500),
        d.log(0.3, 2.0),
        d.log(0.01, 0.06),
        d.log(0.3, 4.0),
    )


def diesel_engine(d: RandomDraw) -> Engine:
    """Sharp knock over a deep boom; the turbo sings along."""
    return Engine(
        cylinders(d, d.pick(4, 6, 6, 8), d.between(0.1, 0.35)),
        d.log(5, 22),
        exhaust(d, (40, 140), d.count(4, 7), 5000),
        d.log(0.5, 3.0),
        d.log(0.01, 0.12) if d.chance(0.5) else 0.0,
        d.log(0.1, 1.5) if d.chance(0.5) else 0.0,
    )


def gears(
    d: RandomDraw, span: SampleSpan, low: float, high: float, shift: tuple[float, float]
) -> Curve:
    """Pulling away: the pitch climbs in each gear and drops at each change."""
    points, t, base = [(0.0, low)], 0.0, low
    while t < span.seconds:
        t += d.log(*shift)
        top = d.between(0.75, 1.0) * high
        points.append((t, top))
        base = top * d.between(0.55, 0.75)
        t += d.between(0.1, 0.45)
        points.append((t, base))
    return curve(span, points)


def revving(d: RandomDraw, span: SampleSpan, low: float, high: float) -> Curve:
    """Blips of the throttle, or idling, or a steady pull."""
    kind = d.rng.random()
    if kind < 0.25:
        return low * curve(span, [(0, 1.0), (span.seconds, d.between(0.9, 1.15))])
    if kind < 0.45:
        return np.full(span.n, d.log(low, high))
    points = [(0.0, low if d.chance(0.6) else d.log(low, high))]
    while points[-1][0] < span.seconds:
        t = points[-1][0] + d.log(0.1, 1.5)
        peak = d.log(low * 1.3, high)
        points += [
            (t, points[-1][1]),
            (t + d.log(0.12, 1.2), peak),
            (t + d.log(1.3, 3.0), d.log(low, peak)),
        ]
    return curve(span, points)


def starter(d: RandomDraw, span: SampleSpan) -> Sound:
    """The starter motor grinds against compression."""
    f = np.full(span.n, d.log(90, 260)) * (
        1 + 0.12 * np.sin(2 * np.pi * span.times() * d.between(6, 12))
    )
    x = tone(f, span.rate, partials(d, 20, d.between(1, 5), 5.0)) + band(
        d, span, 600, 4000
    ) * np.float32(0.4)
    return fade(
        unit(
            x * (0.5 + 0.5 * np.sin(2 * np.pi * span.times() * d.between(6, 12))).astype(np.float32)
        ),
        span.rate,
        0.01,
        0.05,
    )


def started(d: RandomDraw, span: SampleSpan, engine: Sound) -> Sound:
    """Half of all engines are heard from the turn of the key."""
    if not d.chance(0.25) or span.seconds < 2:
        return engine
    crank = starter(d, span.part(d.between(0.5, 1.5)))
    out = engine.copy()
    out[: len(crank)] = crank
    return out


def tyres(d: RandomDraw, span: SampleSpan) -> Sound:
    return noise(d, span, (40, -10), (120, -6), (d.log(500, 1100), 0), (2500, -9), (8000, -26))


def skid(d: RandomDraw, span: SampleSpan) -> Sound:
    f = d.log(600, 1400) * wander(d, span, 12, 0.05)
    return fade(
        unit(tone(f, span.rate, partials(d, 8, 6)) + band(d, span, 700, 3000) * np.float32(0.4)),
        span.rate,
        0.05,
        0.15,
    )


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
    x = started(d, span, run(d, span, f, car_engine(d)))
    x = unit(x + tyres(d, span) * np.float32(d.log(0.03, 0.8)))
    if d.chance(0.15):
        x = x + place(
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
    x = run(d, span, f, car_engine(d, racing=True))
    x = unit(drive(x, d.log(0.3, 3)) + band(d, span, 300, 5000) * np.float32(d.log(0.02, 0.3)))
    return past(d, x, span, d.log(30, 80)) if d.chance(0.5) else x


def past(d: RandomDraw, x: Sound, span: SampleSpan, speed: float) -> Sound:
    """The source drives past: delay by the distance bends the pitch down (Doppler), 1/r shapes the level."""
    closest, middle = d.log(2.5, 25), span.seconds * d.between(0.25, 0.7)
    return drive_past(x, span, speed, closest, middle)


def drive_past(x: Sound, span: SampleSpan, speed: float, closest: float, middle: float) -> Sound:
    """`speed` in m/s, `closest` distance in m, `middle`: second of the closest approach."""
    t = span.times()
    distance = np.sqrt(closest**2 + (speed * (t - middle)) ** 2)
    heard = t - (distance - distance.min()) / SOUND_SPEED
    source = (
        np.interp(heard * span.rate, np.arange(span.n), x, left=0.0, right=0.0)
        if heard[0] >= 0
        else folded(x, heard * span.rate)
    )
    gain = closest / distance
    near = gain.astype(np.float32)
    bright = np.asarray(source, np.float32)
    dull = eq(bright, span.rate, (300, 0), (1500, -6), (6000, -30))
    return unit((bright * near + dull * (1 - near)) * near)


def folded(x: Sound, index: Curve) -> Sound:
    """Read at places before the start too: the sound is mirrored there."""
    return np.asarray(np.interp(np.abs(index), np.arange(len(x)), x), np.float32)


def car_passing(d: RandomDraw, span: SampleSpan) -> Sound:
    """Tyre roar and a little engine, one car or a few."""
    out = np.zeros(span.n, np.float32)
    for _ in range(d.pick(1, 1, 2, 3)):
        x = tyres(d, span) + run(
            d, span, np.full(span.n, d.log(40, 140)), car_engine(d)
        ) * np.float32(d.log(0.05, 0.8))
        out += past(d, x, span, d.log(8, 32)) * np.float32(d.between(0.5, 1))
    return unit(out)


def air_brake(d: RandomDraw, span: SampleSpan) -> Sound:
    """Psssh: the tanks blow off."""
    hiss = band(d, span, d.log(1500, 4000), 12000, 25)
    shape = np.exp(-span.times() / d.log(0.08, 0.5)) + d.between(0, 0.3)
    squeak = tone(
        np.full(span.n, d.log(1500, 4000)) * wander(d, span, 10, 0.02), span.rate, partials(d, 3, 8)
    ) * np.float32(0.3 * d.chance(0.3))
    return fade((hiss + squeak) * shape.astype(np.float32), span.rate, 0.004, 0.06)


def brakes(d: RandomDraw, span: SampleSpan, how_many: int) -> Sound:
    sounds = [air_brake(d, SampleSpan(span.rate, d.log(0.25, 1.4))) for _ in range(how_many)]
    return place(span, sounds, [d.between(0, max(0.01, span.seconds - 0.3)) for _ in sounds])


def squeal(d: RandomDraw, span: SampleSpan) -> Sound:
    """Brake pads or flanges: a few wandering, very pure tones."""
    x = np.zeros(span.n, np.float32)
    for _ in range(d.count(1, 3)):
        x += tone(
            np.full(span.n, d.log(1800, 6000)) * wander(d, span, 4, 0.01),
            span.rate,
            partials(d, 3, 10),
        ) * wander(d, span, 8, 0.8).astype(np.float32)
    return fade(unit(x), span.rate, 0.15, 0.3)


def heavy(
    d: RandomDraw, span: SampleSpan, high: tuple[float, float], shift: tuple[float, float]
) -> Sound:
    low = d.log(22, 42)
    f = (
        gears(d, span, low, d.log(*high), shift)
        if d.chance(0.5)
        else revving(d, span, low, d.log(*high))
    )
    x = started(d, span, run(d, span, f, diesel_engine(d)))
    road = noise(
        d,
        span,
        (30, 0),
        (d.log(150, 600), -2),
        (d.log(900, 2500), -d.between(4, 14)),
        (6000, -d.between(18, 34)),
    )
    return unit(
        x + road * wander(d, span, 1.5, 0.25).astype(np.float32) * np.float32(d.log(0.2, 2.5))
    )


def truck(d: RandomDraw, span: SampleSpan) -> Sound:
    x = heavy(d, span, (70, 130), (0.7, 3.0))
    if d.chance(0.45):
        x = x + brakes(d, span, d.count(1, 2)) * np.float32(d.log(0.2, 1.5))
    if d.chance(0.25):
        rattle = band(d, span, 300, 4000) * (wander(d, span, 25, 1.0)).astype(np.float32)
        x = x + rattle * np.float32(d.log(0.05, 0.4))
    return past(d, x, span, d.log(5, 25)) if d.chance(0.4) else unit(x)


def bus(d: RandomDraw, span: SampleSpan) -> Sound:
    """Quieter and smoother than a truck: doors, brakes that hiss and squeal, the pull away."""
    x = heavy(d, span, (60, 110), (1.5, 5.0))
    x = eq(x, span.rate, (60, 0), (600, 0), (2500, -d.between(2, 14)), (8000, -24))
    if d.chance(0.6):
        x = x + brakes(d, span, d.count(1, 3)) * np.float32(d.log(0.2, 1.5))
    if d.chance(0.35):
        at = d.between(0, span.seconds / 2)
        x = x + place(span, [squeal(d, span.part(d.log(0.6, 2.5)))], [at]) * np.float32(
            d.log(0.1, 0.8)
        )
    if d.chance(0.2):
        x = x + tone(gears(d, span, 200, 900, (2, 5)), span.rate, partials(d, 4, 8)) * np.float32(
            d.log(0.1, 0.6)
        )
    return past(d, x, span, d.log(4, 14)) if d.chance(0.35) else unit(x)


def thumper(d: RandomDraw, span: SampleSpan) -> Sound:
    """A big single or twin at idle: one hears each explosion, a crack with treble in it, and every other one is weaker."""
    f = d.log(5, 16) * wander(d, span, 6, 0.06)
    weights = d.pick(
        np.array([1.0, 0.5]), np.array([1.0, 0.7, 0.0]), np.array([1.0, 0.8, 0.3]), np.ones(1)
    ) * d.between(0.9, 1.1)
    shape = pulses(np.cumsum(f / span.rate) * len(weights), weights, d.log(2, 7))
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
        return thumper(d, span)
    low, high = d.log(7, 40), d.log(60, 420)
    f = gears(d, span, low * 2, high, (0.6, 2.5)) if d.chance(0.45) else revving(d, span, low, high)
    x = started(d, span, run(d, span, f, motorcycle_engine(d)))
    return past(d, x, span, d.log(8, 45)) if d.chance(0.35) else unit(x)
