"""Trains, skateboards and bicycles."""

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
    modal_hit,
    noise,
    overlay,
    partials,
    random_drift,
    tone,
    unit,
)
from av_tagger.synth.engines import diesel_engine, engine_sound
from av_tagger.synth.horns import train_horn, whistle
from av_tagger.synth.rooms import in_room
from av_tagger.synth.vehicles import squeal
from av_tagger.synth.voices import speech


def rail_joints(d: RandomDraw, span: SampleSpan) -> Sound:
    """Rail joints: pairs of impacts from the axles of one bogie or two."""
    axle, period = d.log(0.08, 0.3), d.log(0.45, 1.6)
    follow = d.between(1.6, 3.0) * axle if d.chance(0.6) else None
    hits: list[Sound] = []
    starts: list[float] = []
    gains: list[float] = []
    thud = d.log(0.5, 8)
    modes = [d.log(60, 300), d.log(300, 900), d.log(900, 2500), d.log(2500, 5000)]
    t = d.between(0, period / 4)
    while t < span.seconds:
        for k in (0.0, axle) + ((follow, follow + axle) if follow else ()):
            hits.append(
                modal_hit(
                    d, span.rate, modes, [d.log(0.02, 0.09), d.log(0.01, 0.06), 0.01, 0.006], thud
                )
            )
            starts.append(t + k)
            gains.append(d.between(0.5, 1))
        t += period * d.between(0.96, 1.04)
    return in_room(
        d, overlay(span, hits, starts, gains), span.rate, decay=(0.15, 0.8), wet=(0.3, 1.5)
    )


def rolling_stock(d: RandomDraw, span: SampleSpan) -> Sound:
    """Broadband noise of wheels on rails with slow swells."""
    roar = noise(
        d, span, (30, -8), (80, 0), (d.log(250, 900), 0), (2500, -d.between(6, 16)), (8000, -35)
    )
    return unit(roar * random_drift(d, span, d.log(1, 5), 0.25).astype(np.float32))


def locomotive(d: RandomDraw, span: SampleSpan) -> Sound:
    """Diesel locomotive at constant speed: engine, band noise, and tones of turbo and fans."""
    f = d.log(8, 60) * curve(
        span, [(0, 1), (span.seconds, d.pick(1.0, 1.0, 1.0, d.between(0.7, 1.5)))]
    )
    x = engine_sound(d, span, f, diesel_engine(d))
    x = eq(x, span.rate, (40, 4), (300, 0), (2000, -d.between(0, 14)), (7000, -d.between(8, 30)))
    bands = [(d.log(80, 9000), d.between(-14, 6)) for _ in range(6)]
    roar = noise(d, span, (30, -6), *sorted(bands), (14000, -d.between(8, 40)))
    x = x + roar * np.float32(d.log(0.2, 3.0))
    for _ in range(d.pick(0, 1, 1, 2, 3)):
        x = x + tone(
            np.full(span.n, d.log(250, 4000)) * random_drift(d, span, 1, 0.01),
            span.rate,
            partials(d, 2, 12),
        ) * np.float32(d.log(0.03, 0.4))
    return unit(x)


def steam_engine(d: RandomDraw, span: SampleSpan) -> Sound:
    """Steam engine: four bursts of noise per turn of the wheels."""
    rate = d.log(1.0, 9.0) * curve(span, [(0, 1), (span.seconds, d.log(0.8, 1.7))])
    turns = np.cumsum(rate / span.rate)
    beat = np.array([1.0, d.between(0.5, 1), d.between(0.7, 1), d.between(0.5, 1)])[
        turns.astype(np.int64) % 4
    ]
    shape = beat * np.exp(-d.between(3, 8) * (turns % 1.0)) * (1 - np.exp(-25 * (turns % 1.0)))
    puff = noise(d, span, (60, -10), (d.log(200, 700), 0), (2500, -8), (8000, -20)) * (
        shape + d.between(0, 0.08)
    ).astype(np.float32)
    return unit(unit(puff) + rolling_stock(d, span) * np.float32(d.log(0.05, 0.4)))


def train(d: RandomDraw, span: SampleSpan) -> Sound:
    kind = d.rng.random()
    if kind < 0.35:
        x = locomotive(d, span)
    elif kind < 0.5:
        x = steam_engine(d, span)
    else:
        x = rolling_stock(d, span) + rail_joints(d, span) * np.float32(d.log(0.3, 3.0))
        if d.chance(0.35):
            x = x + locomotive(d, span) * np.float32(d.log(0.2, 1.0))
    if d.chance(0.25):
        x = x + overlay(
            span, [squeal(d, span.part(d.log(0.8, 4)))], [d.between(0, span.seconds / 2)]
        ) * np.float32(d.log(0.2, 1.0))
    if d.chance(0.3):
        x = x + (whistle if d.chance(0.3) else train_horn)(d, span) * np.float32(d.log(0.3, 3.0))
    if d.chance(0.3):
        x = x * approach_gain(d, span)
    return unit(x)


def approach_gain(d: RandomDraw, span: SampleSpan) -> Sound:
    middle = span.seconds * d.between(0.3, 0.9)
    return curve(
        span, [(0, d.between(0.05, 0.4)), (middle, 1.0), (span.seconds, d.between(0.1, 1.0))]
    ).astype(np.float32)


def board_roll(d: RandomDraw, span: SampleSpan) -> Sound:
    """Hard wheels on a rough floor: modulated noise, half of the time with regular ticks."""
    grain = random_drift(d, span, d.log(60, 400), d.between(0.2, 0.7)).astype(np.float32)
    roar = (
        noise(
            d,
            span,
            (60, -12),
            (d.log(150, 400), 0),
            (d.log(1200, 3500), 0),
            (7000, -14),
            (14000, -30),
        )
        * grain
    )
    if d.chance(0.5):
        gap = d.log(0.08, 0.5)
        starts: Curve = np.arange(d.between(0, gap), span.seconds, gap)
        ticks = [
            modal_hit(d, span.rate, [d.log(200, 500), d.log(700, 2000)], [0.012, 0.006], 1.0)
            for _ in starts
        ]
        roar = unit(roar) + unit(overlay(span, ticks, list(starts))) * np.float32(d.log(0.2, 1.0))
    return unit(roar)


def board_hit(d: RandomDraw, rate: int) -> Sound:
    """Board on concrete: two impacts shortly after each other."""
    base = d.log(180, 520)
    modes = [
        base,
        base * d.between(1.7, 2.4),
        base * d.between(3, 5),
        d.log(1800, 3200),
        d.log(3200, 6500),
    ]
    x = modal_hit(
        d, rate, modes, [d.log(0.01, 0.05), d.log(0.008, 0.03), 0.012, 0.008, 0.006], d.log(1, 6)
    )
    x = x + slap_burst(d, rate, len(x))
    second = modal_hit(
        d, rate, [m * 1.07 for m in modes], [0.02, 0.012, 0.009, 0.006, 0.005], d.log(1, 5)
    )
    both = np.zeros(len(x) + int(0.05 * rate) + len(second), np.float32)
    both[: len(x)] += x
    lag = int(d.between(0.005, 0.045) * rate)
    both[lag : lag + len(second)] += second * np.float32(d.between(0.2, 1))
    return both


def slap_burst(d: RandomDraw, rate: int, n: int) -> Sound:
    """Short broadband burst of the wheels."""
    burst = band_noise(d, SampleSpan(rate, n / rate), d.log(150, 600), d.log(4000, 9000), 15)
    return np.asarray(
        burst[:n] * np.exp(-np.arange(len(burst[:n])) / rate / d.log(0.008, 0.05)) * d.log(3, 40),
        np.float32,
    )


def skateboard_trick(d: RandomDraw, span: SampleSpan) -> Sound:
    """A jump: rolling, take-off impact, silence in the air, landing, rolling."""
    pop = span.seconds * d.between(0.15, 0.6)
    land = pop + d.between(0.25, 0.65)
    rolling = board_roll(d, span)
    t = span.times()
    level = d.log(0.03, 0.6)
    on_ground = np.where((t > pop) & (t < land), d.between(0.0, 0.15), 1.0) * np.where(
        t > land, d.between(0.4, 1.6), 1.0
    )
    hits = overlay(
        span,
        [board_hit(d, span.rate), board_hit(d, span.rate), board_hit(d, span.rate)],
        [pop, land, land + d.between(0.02, 0.12)],
        [1, d.between(0.6, 1.6), d.between(0, 0.8)],
    )
    hits = hits / max(float(np.abs(hits).max()), 1e-6)
    yard = in_room(d, np.asarray(hits, np.float32), span.rate, decay=(0.15, 0.9), wet=(0.3, 1.5))
    yard = yard / max(float(np.abs(yard).max()), 1e-6)
    return unit(
        rolling * np.float32(level) * on_ground.astype(np.float32)
        + yard * np.float32(d.between(0.4, 1.5))
    )


def skateboard_knocks(d: RandomDraw, span: SampleSpan) -> Sound:
    """A few impacts in a room over noise or speech, with hardly any rolling."""
    n = d.count(2, 6)
    starts = np.sort(d.many(n, 0.02, max(0.05, span.seconds - 0.1)))
    hits = in_room(
        d,
        overlay(
            span,
            [board_hit(d, span.rate) for _ in range(n)],
            list(starts),
            list(d.many(n, 0.15, 1)),
        ),
        span.rate,
        decay=(0.1, 0.7),
        wet=(0.4, 2.5),
    )
    hits = hits / max(float(np.abs(hits).max()), 1e-6)
    hiss = noise(
        d,
        span,
        (40, 0),
        (d.log(150, 1000), -d.between(0, 10)),
        (5000, -d.between(6, 25)),
        (12000, -d.between(8, 35)),
    )
    murmur = (
        speech(d, span) * np.float32(d.log(0.02, 0.5))
        if d.chance(0.25)
        else np.zeros(span.n, np.float32)
    )
    return unit(
        hits
        + hiss * np.float32(d.log(0.05, 1.2))
        + board_roll(d, span) * np.float32(d.log(0.02, 0.6))
        + murmur
    )


def skateboard(d: RandomDraw, span: SampleSpan) -> Sound:
    kind = d.rng.random()
    if kind < 0.4:
        return skateboard_trick(d, span.part(d.between(0.9, 4.0)))
    if kind < 0.7:
        return skateboard_knocks(d, span.part(d.log(0.9, 4.0)))
    x = board_roll(d, span) * random_drift(d, span, 1.5, 0.4).astype(np.float32)
    n = d.count(0, 5)
    hits = overlay(
        span, [board_hit(d, span.rate) for _ in range(n)], list(d.many(n, 0, span.seconds))
    )
    return unit(x + hits * np.float32(d.log(0.2, 1.2)))


def bell_stroke(d: RandomDraw, rate: int, pitch: float, decay: float) -> Sound:
    """One stroke on a bell with modes at about 1 : 2.45 : 4.4 : 6.8."""
    ratios = np.array([1.0, 2.45, 4.4, 6.8]) * (1 + d.many(4, -0.03, 0.03))
    return modal_hit(
        d, rate, list(pitch * ratios), list(decay * np.array([1.0, 0.8, 0.5, 0.3])), d.log(0.3, 3)
    )


def bicycle_bell(d: RandomDraw, span: SampleSpan) -> Sound:
    """Bicycle bell: pairs of fast stroke bursts that ring on, or single strokes."""
    pitch, decay = d.log(1300, 3000), d.log(0.25, 0.9)
    rattles, step = d.chance(0.8), d.log(0.012, 0.035)
    starts: list[float] = []
    gains: list[float] = []
    t = d.between(0, 0.1)
    while t < span.seconds - 0.05 and len(starts) < 150:
        for half in range(2 if rattles else 1):
            burst = d.count(4, 12) if rattles else 1
            starts += [t + k * step * d.between(0.8, 1.2) for k in range(burst)]
            gains += list(d.many(burst, 0.3, 1.0) * (1.0 if half == 0 else d.between(0.5, 1)))
            t = starts[-1] + d.log(0.06, 0.25)
        t += d.log(0.15, 2.0)
    strokes = [bell_stroke(d, span.rate, pitch, decay) for _ in range(min(len(starts), 4))]
    x = unit(overlay(span, [strokes[i % len(strokes)] for i in range(len(starts))], starts, gains))
    gear = band_noise(d, span.part(0.06), 1500, 9000) * np.exp(
        -span.part(0.06).times() / 0.01
    ).astype(np.float32)
    return unit(
        x + overlay(span, [gear] * len(starts), starts, gains) * np.float32(d.log(0.05, 0.8))
    )


def freewheel(d: RandomDraw, span: SampleSpan) -> Sound:
    """Regular metallic ticks whose rate changes slowly."""
    rate = d.log(7, 45) * curve(
        span, [(0, 1), (span.seconds / 2, d.log(0.6, 1.5)), (span.seconds, d.log(0.4, 1.5))]
    )
    turns = np.cumsum(rate / span.rate)
    at = np.flatnonzero(np.diff(turns.astype(np.int64)) > 0) / span.rate
    modes = [d.log(900, 2500), d.log(2500, 5000), d.log(5000, 9000)]
    ticks = [
        modal_hit(
            d, span.rate, modes, [d.log(0.002, 0.012), d.log(0.002, 0.01), 0.003], d.between(0.3, 2)
        )
        for _ in range(4)
    ]
    return unit(
        overlay(
            span, [ticks[i % 4] for i in range(len(at))], list(at), list(d.many(len(at), 0.6, 1))
        )
    )


def bicycle(d: RandomDraw, span: SampleSpan) -> Sound:
    if d.chance(0.5):
        x = bicycle_bell(d, span)
        return unit(x + tyre_hum(d, span) * np.float32(d.log(0.01, 0.3)))
    x = freewheel(d, span) * np.float32(d.log(0.3, 2.0)) + tyre_hum(d, span) * np.float32(
        d.log(0.1, 1.0)
    )
    if d.chance(0.4):
        beat = 0.5 + 0.5 * np.sin(2 * np.pi * span.times() * d.log(0.8, 2.2))
        x = x + band_noise(d, span, 1500, 6000) * beat.astype(np.float32) * np.float32(
            d.log(0.1, 0.8)
        )
    if d.chance(0.2):
        x = x + overlay(
            span, [squeal(d, span.part(d.log(0.3, 1.2)))], [d.between(0, span.seconds * 0.8)]
        )
    if d.chance(0.3):
        x = x + bicycle_bell(d, span) * np.float32(d.log(0.2, 1.0))
    return fade(unit(x), span.rate, 0.02, 0.02)


def tyre_hum(d: RandomDraw, span: SampleSpan) -> Sound:
    return noise(d, span, (60, -6), (250, 0), (d.log(600, 2000), -3), (5000, -18))
