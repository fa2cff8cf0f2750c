"""How many decoders and inference threads a run has, and how much decoded data may wait."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from av_tagger.systems import available_cores, physical_memory

GIB = 1 << 30
MOST_DECODERS = 64
GPU_BATCH = 8  # windows; a GPU is filled by about 2000 frames
GATHER_SECONDS = 2.0  # a GPU, and the process that drives it, do more per second in full batches
CPU_BATCH = 1  # a core is busy with one, and its scores then do not depend on its neighbours


@dataclass(frozen=True)
class Concurrency:
    """0 stands for a value that `for_machine` chooses."""

    decoders: int = 0  # decoding processes
    inference_threads: int = 0  # threads that run the networks
    threads: int = 0  # per inference thread, inside the networks
    batch: int = 0  # windows per call of the networks
    memory_bytes: int = 0  # of decoded windows that wait or are being scored
    ahead: int = 64  # clips that may be started beyond the oldest unfinished one
    window_limit: float = 120.0  # seconds to decode one window
    clip_limit: float = 3600.0  # seconds to decode one clip
    detail: bool = False  # keep curves and pictures in the documents
    gather_seconds: float = 0.0  # that a thread waits for a full batch

    def __post_init__(self) -> None:
        counts = (self.decoders, self.inference_threads, self.threads, self.batch)
        if min(*counts, self.memory_bytes, self.gather_seconds) < 0 or self.ahead < 1:
            raise ValueError(f"counts must not be negative, and `ahead` at least 1: {self}")
        if self.window_limit <= 0 or self.clip_limit <= 0:
            raise ValueError(
                f"time limits must be above 0: {self.window_limit = }, {self.clip_limit = }"
            )


def for_machine(concurrency: Concurrency, device: str, sharing: int = 1) -> Concurrency:
    """Replace every 0 by a value for this machine, shared by `sharing` processes.

    CPU: one inference thread per core, each with one thread inside the networks: two threads with
    one each are faster than one with two. Decoders need no cores of their own, as they sleep while
    the queue is full. GPU: two inference threads, so that one prepares and copies data while the
    other computes, and one decoder per core, because decoding is the bottleneck.
    """
    cores = max(1, available_cores() // sharing)
    gpu = not device.startswith("cpu")
    share = min((8 if gpu else 4) * GIB, physical_memory() // 4) // sharing
    chosen = {
        "decoders": min(MOST_DECODERS, cores),
        "inference_threads": 2 if gpu else cores,
        "threads": max(1, cores // 4) if gpu else 1,
        "batch": GPU_BATCH if gpu else CPU_BATCH,
        "gather_seconds": GATHER_SECONDS if gpu else 0.0,
        "memory_bytes": max(GIB // 2, share),
    }
    undecided: dict[str, Any] = {
        name: value for name, value in chosen.items() if getattr(concurrency, name) == 0
    }
    return replace(concurrency, **undecided)


def describe(concurrency: Concurrency, device: str) -> str:
    """One line for --verbose."""
    c = concurrency
    return (
        f"{_count(c.decoders, 'decoding process', 'es')}, "
        f"{_count(c.inference_threads, 'inference thread')} with {_count(c.threads, 'thread')} "
        f"each on {device}, batches of {c.batch} windows, "
        f"at most {c.memory_bytes / GIB:.1f} GiB of decoded windows"
    )


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"
