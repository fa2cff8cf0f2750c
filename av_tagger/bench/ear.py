"""The ear on this machine: the front end against librosa, the CRNN by batch size; one thread, side by side, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from av_tagger.audio.branch import EarSettings, MilEar
from av_tagger.audio.checkpoint import Header
from av_tagger.audio.frontend import LogMel, LogMelSettings
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.clip import Waveform
from av_tagger.networks import folded, quick_memory

SECONDS = 10
ROUNDS = 15


def main() -> None:
    torch.set_num_threads(1)
    waves = (
        np.random.default_rng(0).standard_normal((16, SECONDS * 20_000)).astype(np.float32) * 0.1
    )
    before, _ = _forward_ms(waves[:1])
    quick_memory()
    after, quickest = _forward_ms(waves[:1])
    print(f"CPU milliseconds for a {SECONDS}-s clip, one thread, median of {ROUNDS} rounds")
    print(
        f"forward pass     {before:7.2f} as built   {after:7.2f} with mallopt   {quickest:7.2f} folded too   ({before / quickest:.2f} x)"
    )
    _front_end(waves[0])
    _whole_ear(waves)


def medians(*runs: Callable[[], object]) -> list[float]:
    """Milliseconds of this process's CPU time; A B A B, so that a busy neighbour disturbs all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(ROUNDS):
        for i, run in enumerate(runs):
            began = time.process_time()
            run()
            times[i].append((time.process_time() - began) * 1e3)
    return [statistics.median(t) for t in times]


def _forward_ms(waves: np.ndarray) -> tuple[float, float]:
    """As built, and with its batch norms folded."""
    network = build_network(EarArchitecture(17, margin=5)).eval()
    with torch.inference_mode():
        features = network.features(torch.from_numpy(waves))
        quick = folded(network)
        plain, fast = medians(lambda: network(features), lambda: quick(features))
    return plain, fast


def _front_end(wave: np.ndarray) -> None:
    import librosa  # a library for tests, and slow to import

    s = LogMelSettings()
    single, exact = LogMel(s), LogMel(replace(s, exact=True))
    batch = torch.from_numpy(wave)[None]

    def by_librosa() -> object:
        mel = librosa.feature.melspectrogram(
            y=wave, sr=s.rate, n_fft=s.fft, hop_length=s.hop, win_length=s.window, n_mels=s.mels
        )
        return np.log(mel + s.floor)

    with torch.inference_mode():
        ours, double, theirs = medians(lambda: single(batch), lambda: exact(batch), by_librosa)
    print(
        f"front end        {ours:7.2f} single   {double:7.2f} exact   {theirs:7.2f} librosa   (single: {theirs / ours:.2f} x)"
    )


def _whole_ear(waves: np.ndarray) -> None:
    architecture = EarArchitecture(17, margin=5)
    header = Header("benchmark", architecture, tuple(f"class {i}" for i in range(17)))
    network = build_network(architecture)
    clips = [Waveform(w, 20_000) for w in waves]
    print(f"parameters       {sum(p.numel() for p in network.parameters()):,}")
    for settings in (EarSettings(), EarSettings(dtype="bfloat16")):
        ear = MilEar(network, header, "cpu", settings)
        for size in (1, 4, 16):
            ms = medians(partial(ear.hear, clips[:size]))[0] / size
            print(
                f"whole ear        {ms:7.2f} a clip, {settings.dtype}, batches of {size:2d}   ({SECONDS * 1e3 / ms:.0f} x real time)"
            )


if __name__ == "__main__":
    main()
