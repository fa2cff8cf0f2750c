"""Speed of the ear on one CPU thread: front end against librosa, CRNN by batch size and precision.

    python -m av_tagger.bench.ear [--rounds 15] [--seconds 10] [--sizes 1 4 16]

Times are CPU milliseconds per clip, medians of rounds in which the sides take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from av_tagger.audio.architecture import LogMelSettings
from av_tagger.audio.branch import MilEar
from av_tagger.audio.frontend import LogMel
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.audio.settings import EarSettings
from av_tagger.bench.measure import Work, medians_in_turn, parser, run_main
from av_tagger.bench.naive import import_librosa
from av_tagger.bench.random_networks import ARCHITECTURE
from av_tagger.clip import Waveform
from av_tagger.errors import MissingExtra
from av_tagger.labels import dcase2017
from av_tagger.networks import folded, quick_memory

RATE = 20_000


def milliseconds(sides: dict[str, Work], rounds: int) -> list[float]:
    """Median CPU milliseconds of each side."""
    return [1e3 * seconds for seconds in medians_in_turn(sides, rounds).values()]


def forward_pass(waves: np.ndarray, rounds: int) -> list[float]:
    """Milliseconds of the network as built and with batch normalisation folded."""
    network = build_network(ARCHITECTURE).eval()
    with torch.inference_mode():
        features = network.features(torch.from_numpy(waves))
        quick = folded(network)
        sides: dict[str, Work] = {
            "as built": lambda: network(features),
            "folded": lambda: quick(features),
        }
        return milliseconds(sides, rounds)


def front_end(wave: np.ndarray, rounds: int) -> None:
    """Log-mel features in float32 and float64, and by librosa."""
    librosa = import_librosa()
    s = LogMelSettings()
    single, exact = LogMel(s), LogMel(replace(s, exact=True))
    batch = torch.from_numpy(wave)[None]

    def by_librosa() -> object:
        mel = librosa.feature.melspectrogram(
            y=wave, sr=s.rate, n_fft=s.fft, hop_length=s.hop, win_length=s.window, n_mels=s.mels
        )
        return np.log(mel + s.floor)

    sides: dict[str, Work] = {
        "float32": lambda: single(batch),
        "exact": lambda: exact(batch),
        "librosa": by_librosa,
    }
    with torch.inference_mode():
        ours, double, theirs = milliseconds(sides, rounds)
    print(
        f"front end        {ours:7.2f} float32   {double:7.2f} exact   {theirs:7.2f} librosa   "
        f"(librosa / float32: {theirs / ours:.2f})"
    )


def whole_ear(waves: np.ndarray, rounds: int, sizes: Sequence[int]) -> None:
    """From waveforms to scores, by precision and batch size."""
    header = Header("random", ARCHITECTURE, dcase2017().labels)
    network = build_network(ARCHITECTURE)
    clips = [Waveform(w, RATE) for w in waves]
    seconds = waves.shape[1] / RATE
    print(f"parameters       {sum(p.numel() for p in network.parameters()):,}")
    for settings in (EarSettings(), EarSettings(precision="bfloat16")):
        ear = MilEar(network, header, "cpu", settings)
        for size in sizes:
            sides: dict[str, Work] = {"ear": partial(ear.hear, clips[:size])}
            ms = milliseconds(sides, rounds)[0] / size
            print(
                f"whole ear        {ms:7.2f} per clip, {settings.precision}, batches of {size:2d}"
                f"   ({seconds * 1e3 / ms:.0f} x real time)"
            )


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--seconds", type=float, default=10.0, help="per clip")
    options.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 16], help="clips per batch")
    chosen = options.parse_args(words)
    torch.set_num_threads(1)
    shape = (max(chosen.sizes), round(chosen.seconds * RATE))
    waves = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 0.1
    print(f"CPU ms for {chosen.seconds:g}-s clips, one thread, median of {chosen.rounds} rounds")
    before, _ = forward_pass(waves[:1], chosen.rounds)
    quick_memory()
    after, quickest = forward_pass(waves[:1], chosen.rounds)
    print(
        f"forward pass     {before:7.2f} as built   {after:7.2f} with mallopt   "
        f"{quickest:7.2f} folded too   ({before / quickest:.2f} x)"
    )
    try:
        front_end(waves[0], chosen.rounds)
    except MissingExtra as error:
        print(f"front end        not compared: {error}")
    whole_ear(waves, chosen.rounds, chosen.sizes)


if __name__ == "__main__":
    run_main(main)
