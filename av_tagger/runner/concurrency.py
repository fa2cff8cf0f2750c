"""How many hands a run has and how far they may run ahead: chosen for the machine, changeable by flags."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

GIB = 1 << 30
MOST_DECODERS = 64
GPU_BATCH, CPU_BATCH = 8, 2  # windows; a GPU is filled by about 2000 frames, a core by far fewer


@dataclass(frozen=True)
class Concurrency:
    """0 means: chosen for the machine by `suited`."""

    decoders: int = 0  # processes that decode
    inference_threads: int = 0  # threads that run the networks
    threads: int = 0  # of each judge, inside the networks
    batch: int = 0  # windows judged together
    memory_bytes: int = 0  # decoded windows that wait or are being judged
    ahead: int = 64  # clips begun beyond the oldest that is not finished: bounds what waits for its turn in the table
    window_limit: float = 120.0  # seconds to decode one window
    clip_limit: float = 3600.0  # seconds to decode one clip
    detail: bool = False  # keep curves and pictures in the documents

    def __post_init__(self) -> None:
        if (
            min(self.decoders, self.inference_threads, self.threads, self.batch, self.memory_bytes)
            < 0
            or self.ahead < 1
        ):
            raise ValueError(f"counts are not negative and at least one clip is begun: {self}")
        if self.window_limit <= 0 or self.clip_limit <= 0:
            raise ValueError(
                f"limits are above 0 seconds: {self.window_limit = }, {self.clip_limit = }"
            )


def suited(concurrency: Concurrency, device: str, sharing: int = 1) -> Concurrency:
    """The same pace with every 0 decided, for one of `sharing` processes on this machine.

    CPU: as many one-thread judges as cores. Two judges with one thread each beat one with two (a convolution does not halve), and
    decoders need no cores of their own: they sleep while nobody takes what they decoded, so the two never fight for long.
    GPU: two judges, so that one prepares and copies while the other computes; a decoder a core, for decoding bounds everything.
    """
    cores = max(1, available_cores() // sharing)
    gpu = not device.startswith("cpu")
    chosen = {
        "decoders": min(MOST_DECODERS, cores),
        "inference_threads": 2 if gpu else cores,
        "threads": max(1, cores // 4) if gpu else 1,
        "batch": GPU_BATCH if gpu else CPU_BATCH,
        "memory_bytes": max(GIB // 2, min((8 if gpu else 4) * GIB, memory() // 4) // sharing),
    }
    undecided: dict[str, Any] = {
        name: value for name, value in chosen.items() if getattr(concurrency, name) == 0
    }
    return replace(concurrency, **undecided)


def in_words(concurrency: Concurrency, device: str) -> str:
    """For --verbose: what was chosen."""
    return (
        f"{concurrency.decoders} decoding processes, {concurrency.inference_threads} judges with {concurrency.threads} thread(s) each on {device}, "
        f"up to {concurrency.batch} windows together, at most {concurrency.memory_bytes / GIB:.1f} GiB of decoded windows"
    )


def available_cores() -> int:
    """Those that this process may use, as a scheduler or container says."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def _quota() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return None


def memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * GIB
