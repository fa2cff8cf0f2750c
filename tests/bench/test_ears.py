"""The ears that are compared: the published size of CNN14, and what each of them hears."""

from __future__ import annotations

import pytest
import torch

from av_tagger.bench.ears import EARS, Cnn14, parameters, peak_of, waveforms


def test_cnn14_has_the_published_size() -> None:
    """PANNs table: 80.75 million parameters with a front end that is fixed."""
    assert sum(p.numel() for p in Cnn14().parameters()) == pytest.approx(80.75e6, rel=0.002)


def test_cnn14_has_three_outputs_per_second() -> None:
    with torch.no_grad():
        bag, frames = Cnn14().eval()(torch.zeros(1, 64_000))
    assert bag.shape == (1, 527)
    assert frames.shape[0::2] == (1, 527)
    assert frames.shape[1] == pytest.approx(2 * 3.125, abs=1)


@pytest.mark.parametrize("name", [name for name in EARS if "cnn14" not in name])
def test_every_ear_hears_what_it_is_given(name: str) -> None:
    torch.manual_seed(0)
    ear = EARS[name]()
    clips = waveforms(ear, 2, 1.0)
    assert [(len(w.samples), w.rate) for w in clips] == [(ear.rate, ear.rate)] * 2
    scores = ear.hear(clips)
    assert [len(s.probabilities) for s in scores] == [len(ear.labels)] * 2
    assert parameters(ear) > 10_000


def test_the_memory_of_a_new_process() -> None:
    assert 50 < peak_of("crnn of the paper", 1, 1.0) < 5000
