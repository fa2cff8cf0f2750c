from __future__ import annotations

import numpy as np
import pytest
import torch

from av_tagger.learning.data.augment import (
    Augment,
    at_snr,
    augment_wave,
    looped,
    mask_features,
    mixup,
)
from av_tagger.learning.data.balance import generator

NOISE = np.random.default_rng(0).standard_normal(4_000).astype(np.float32)
TONE = np.sin(np.arange(4_000)).astype(np.float32)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 12.5])
def test_backgrounds_have_the_given_snr(snr: float) -> None:
    noise = at_snr(NOISE, TONE, snr)
    assert 10 * np.log10(np.mean(TONE**2) / np.mean(noise**2)) == pytest.approx(snr, abs=1e-4)


def test_silence_gives_finite_samples() -> None:
    silence = np.zeros(10, np.float32)
    assert np.isfinite(at_snr(NOISE[:10], silence, 10)).all()
    assert np.isfinite(at_snr(silence, TONE[:10], 10)).all()


def test_a_short_background_is_repeated() -> None:
    wave = looped(np.array([1, 2, 3], np.float32), 7, generator(3))
    start = int(wave[0])
    assert wave.tolist() == [(start - 1 + i) % 3 + 1 for i in range(7)]


def test_a_shift_is_circular() -> None:
    moved = augment_wave(NOISE, Augment(shift_seconds=0.5), 4_000, generator(1), None)
    assert not np.array_equal(moved, NOISE)
    assert np.array_equal(np.sort(moved), np.sort(NOISE))


def test_gains_are_within_their_limits() -> None:
    gains = [
        20
        * np.log10(augment_wave(TONE, Augment(gain_db=6), 4_000, generator(i), None)[1] / TONE[1])
        for i in range(50)
    ]
    assert min(gains) >= -6.0001
    assert max(gains) <= 6.0001
    assert np.std(gains) > 2


def test_backgrounds_have_the_given_share() -> None:
    how = Augment(background_share=0.3, background_snr_db=(10, 10))
    changed = [
        not np.array_equal(augment_wave(TONE, how, 4_000, generator(i), lambda _: NOISE), TONE)
        for i in range(400)
    ]
    assert abs(sum(changed) - 120) < 4 * np.sqrt(400 * 0.3 * 0.7)


def test_the_defaults_change_nothing() -> None:
    assert augment_wave(TONE, Augment(), 4_000, generator(0), lambda _: NOISE) is TONE


@pytest.mark.parametrize("labels", ["mix", "union"])
def test_mixup_is_a_weighted_sum_of_two_bags_and_of_their_labels(labels: str) -> None:
    inputs, lengths = np.diag([1.0, 2.0, 4.0]).astype(np.float32), np.array([1, 2, 3])
    targets = np.eye(3, dtype=np.float32)
    how = Augment(mixup_alpha=0.5, mixup_labels=labels)  # type: ignore[arg-type]
    mixed, longest, heard = mixup(inputs, lengths, targets, how, generator(2))
    weights = mixed / np.array([1, 2, 4], np.float32)  # row i: how much of each bag is in it
    assert weights.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    assert (np.diag(weights) >= 0.5).all()
    assert heard == pytest.approx(weights if labels == "mix" else (weights > 0).astype(float))
    assert longest.tolist() == [int(max(lengths[row > 0])) for row in weights]


def test_mixtures_with_an_unknown_label_are_unknown() -> None:
    targets = np.array([[np.nan, 1], [0, 0]], np.float32)
    for seed in range(10):
        _, _, heard = mixup(
            np.ones((2, 3), np.float32),
            np.array([3, 3]),
            targets,
            Augment(mixup_alpha=1),
            generator(seed),
        )
        assert np.isnan(heard[0, 0])
        assert np.isfinite(heard[:, 1]).all()


def test_masks_have_the_given_width() -> None:
    features = torch.from_numpy(
        np.random.default_rng(1).standard_normal((6, 2, 40, 16)).astype(np.float32)
    )
    how = Augment(time_masks=1, time_mask_frames=5, band_masks=1, band_mask_bands=3)
    masked = mask_features(features, how, generator(4))
    changed = (masked != features).all(dim=1).numpy()  # (6, 40, 16), both channels alike
    frames, bands = changed.all(axis=2), changed.all(axis=1)
    assert frames.any()
    assert bands.any()
    for stripe, widest in ((frames, 5), (bands, 3)):
        widths = stripe.sum(axis=1)
        assert widths.max() <= widest
        assert (
            (np.diff(np.pad(stripe, ((0, 0), (1, 1))).astype(int)) == 1).sum(axis=1) <= 1
        ).all()  # one run each
    assert np.array_equal(changed, frames[:, :, None] | bands[:, None, :])
    hidden = torch.from_numpy(changed)[:, None].expand_as(features)
    assert torch.equal(
        masked[hidden], features.mean(dim=(2, 3), keepdim=True).expand_as(features)[hidden]
    )


@pytest.mark.parametrize(
    "wrong", [{"background_share": 1.5}, {"background_snr_db": (5.0, 1.0)}, {"gain_db": -1.0}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"lies between|not negative"):
        Augment(**wrong)  # type: ignore[arg-type]
