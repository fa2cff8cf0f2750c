"""Reverberation, distance and recorders: decay times, treble loss, band limits."""

from __future__ import annotations

import numpy as np
import pytest

from av_tagger.synth import rooms
from av_tagger.synth.dsp import SampleSpan, white
from tests.synth.measure import RATE, SEEDS, centroid_hz, draw, level_db, power


@pytest.mark.parametrize("decay", [0.3, 1.0])
def test_the_tail_decays_60_db_in_rt60(decay: float) -> None:
    """Schroeder's backward integration between -5 and -25 dB, as rooms are measured."""
    h = np.mean(
        [np.square(rooms.impulse(draw(s), RATE, decay, wet=5.0), dtype=np.float64) for s in SEEDS],
        axis=0,
    )
    h[: RATE // 100] = 0  # direct sound
    left = 10 * np.log10(np.cumsum(h[::-1])[::-1] / h.sum())
    start, end = np.argmax(left < -5), np.argmax(left < -25)
    assert 3 * (end - start) / RATE == pytest.approx(decay, rel=0.35)


def test_the_direct_sound_comes_first_and_unchanged() -> None:
    h = rooms.impulse(draw(0), RATE, 0.5, wet=0.3)
    assert h[0] == pytest.approx(1.0, abs=0.1)
    assert not h[1 : int(0.002 * RATE)].any()


def test_a_room_sounds_on_after_the_source() -> None:
    x = np.zeros(RATE, np.float32)
    x[: RATE // 4] = white(draw(0), SampleSpan(RATE, 0.25))
    wet = rooms.in_room(draw(1), x, RATE, decay=(0.8, 0.8), wet=(1.0, 1.0))
    dry = rooms.in_room(draw(1), x, RATE, decay=(0.8, 0.8), wet=(1e-6, 1e-6))
    after = slice(RATE // 2, RATE)
    assert level_db(wet[after]) > level_db(dry[after]) + 20
    assert len(wet) == len(x)


def test_distance_takes_treble_away() -> None:
    x = white(draw(0), SampleSpan(RATE, 4.0))
    hz, before = power(x)
    for seed in SEEDS:
        gain = 10 * np.log10(power(rooms.at_distance(draw(seed), x, RATE))[1] / before)
        low, middle, high = (gain[(hz > a) & (hz < 1.3 * a)].mean() for a in (200, 2000, 7000))
        assert low == pytest.approx(0, abs=0.5)
        assert low > middle > high
        assert high / middle == pytest.approx(9 / 1, rel=0.4), "nine times the dB at 8 kHz"


def test_recorders_narrow_the_band() -> None:
    x = white(draw(0), SampleSpan(RATE, 2.0))
    for seed in SEEDS:
        y = rooms.through_recorder(draw(seed), x, RATE)
        hz, p = power(y)
        assert len(y) == len(x)
        assert p[hz < 10].mean() < 0.1 * p[(hz > 400) & (hz < 3000)].mean()


def test_some_recorders_clip() -> None:
    x = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    clipped = 0
    for seed in range(40):
        y = rooms.through_recorder(draw(seed), x, RATE)
        clipped += int(np.count_nonzero(np.abs(y) >= 0.999 * np.abs(y).max()) > RATE // 10)
    assert 1 <= clipped <= 14, "about 15 % of them"


def test_about_a_quarter_of_the_sources_arrive_unchanged() -> None:
    """The others are duller or reverberant; all have the same level."""
    span = SampleSpan(RATE, 1.0)
    x = white(draw(0), span)
    found = [rooms.heard(draw(seed), x, span) for seed in range(40)]
    assert all(level_db(y) == pytest.approx(-20, abs=0.01) for y in found)
    unchanged = sum(np.corrcoef(x, y)[0, 1] > 0.9999 for y in found)
    assert 3 <= unchanged <= 18
    assert min(map(centroid_hz, found)) < 0.8 * centroid_hz(x)
