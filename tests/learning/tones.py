"""Five tones at 4 kHz as training data: in memory, and as a folder with a sub-folder per class."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 4_000
TONES = {"low": 250.0, "deep": 450.0, "middle": 750.0, "high": 1100.0, "shrill": 1600.0}


def sing(labels: Sequence[str], seed: int, seconds: float = 1.0) -> NDArray[np.float32]:
    """Faint noise with a tone of 0.2 s per label at random positions."""
    draw = np.random.default_rng(seed)
    samples = 0.01 * draw.standard_normal(round(seconds * RATE))
    tone = np.arange(RATE // 5) / RATE
    for label in labels:
        start = int(draw.integers(len(samples) - len(tone)))
        phase = 2 * np.pi * (TONES[label] * tone + draw.random())
        samples[start : start + len(tone)] += 0.3 * np.sin(phase)
    return samples.astype(np.float32)


def write_wav(path: Path, samples: NDArray[np.float32], rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.rint(samples * 32_767).astype("<i2").tobytes())
    return path


def write_folders(root: Path, count: int = 4) -> Path:
    """Three classes and clips without any, `count` each, and a file that is not sound."""
    for i, name in enumerate(["low", "middle", "shrill", "none"] * count):
        write_wav(root / name / f"{i}.wav", sing(() if name == "none" else (name,), i))
    (root / "low" / "notes.wav").write_text("la la la")
    return root
