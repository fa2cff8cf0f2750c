"""The waveform store: clips decoded once into memory-mapped int16 shards, written atomically."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, StorageError
from av_tagger.learning.data.examples import SkippedEntry
from av_tagger.media.decoder_pool import DecoderPool
from av_tagger.protocols import DecodeRequest, MediaBackend
from av_tagger.settings import fingerprint

Pcm = NDArray[np.int16]
Decode = Callable[[Clip, int, float], Pcm]  # clip, rate in Hz, most seconds
Progress = Callable[[int, int], None]  # clips done, total

VERSION = 1
DECODER = "pyav"
FULL_SCALE = 32_767  # int16 has -98 dB of noise, less than any recording, and half the size


@dataclass(frozen=True)
class StoreSettings:
    """How clips are stored; everything but `workers` changes the stored samples."""

    rate: int = 20_000  # Hz
    longest_seconds: float = 60.0  # longer files are cut
    shortest_seconds: float = 0.1
    shard_clips: int = 64
    workers: int = 1  # clips decoded at a time, each in its own process


@dataclass(frozen=True)
class Shard:
    """Clips that are stored in one file; its name is a fingerprint of everything that shapes it."""

    clips: tuple[Clip, ...]
    settings: StoreSettings

    @cached_property
    def name(self) -> str:
        s = self.settings
        return fingerprint(
            VERSION,
            s.rate,
            s.longest_seconds,
            s.shortest_seconds,
            [_identity(c) for c in self.clips],
        )


@dataclass(frozen=True)
class Store:
    """All clips in order; one that could not be decoded has no samples and is in `skipped`."""

    rate: int
    files: tuple[Path, ...]  # one per shard
    shard: NDArray[np.int64]  # (clips,) which file
    offset: NDArray[np.int64]  # (clips,) first sample in it
    samples: NDArray[np.int64]  # (clips,) how many
    skipped: tuple[SkippedEntry, ...]
    sha256: str  # over all shards

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, clip: int, start: int = 0, count: int | None = None) -> Pcm:
        """Samples of one clip, memory-mapped (no copy)."""
        first = int(self.offset[clip]) + start
        last = int(self.offset[clip] + self.samples[clip])
        end = last if count is None else min(first + count, last)
        return self._maps[int(self.shard[clip])][first:end]

    @cached_property
    def _maps(self) -> list[Pcm]:
        return [
            np.memmap(f, np.int16, "r") if f.stat().st_size else np.zeros(0, np.int16)
            for f in self.files
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps: each worker opens its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_maps"}


def build_store(
    clips: Sequence[Clip],
    folder: Path,
    settings: StoreSettings,
    *,
    progress: Progress | None = None,
    decode: Decode | None = None,
    patient: bool = False,
) -> Store:
    """Decode what is not yet in `folder`, then open the store; an interrupted run can be repeated.

    With `patient` another process decodes the clips, and this one waits for it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        size = settings.shard_clips
        starts = range(0, len(clips), size)
        shards = [Shard(tuple(clips[i : i + size]), settings) for i in starts]
        finished = _awaited(shards, folder) if patient else _finished(shards, folder, decode)
        done = 0
        for shard in finished:
            done += len(shard.clips)
            if progress:
                progress(done, len(clips))
        return _open(shards, folder, settings.rate)
    except OSError as error:
        reason = f"the waveform store cannot be written ({error.strerror or error})"
        raise StorageError(f"{folder}: {reason}; free some space") from error


def decode_clip(backend: MediaBackend, clip: Clip, rate: int, longest_seconds: float) -> Pcm:
    """The first `longest_seconds` of sound of a clip at `rate`."""
    request = DecodeRequest(
        audio_rate=rate, short_side=None, window_seconds=longest_seconds, overlap_seconds=0.0
    )
    first = next(iter(backend.windows(clip, request)), None)
    if first is None or first.waveform is None:
        raise MediaError(clip.path, "has no sound")
    seconds = longest_seconds
    if clip.end_seconds is not None:
        seconds = min(seconds, clip.end_seconds - first.waveform.start_seconds)
    samples = first.waveform.samples[: round(seconds * rate)]  # without the rest of a packet
    return np.rint(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16)


# Writing


def _identity(clip: Clip) -> tuple[str, float, float | None, int, int]:
    try:
        stat = clip.path.stat()
    except OSError:
        return str(clip.path.absolute()), clip.start_seconds, clip.end_seconds, -1, -1
    return (
        str(clip.path.absolute()),
        clip.start_seconds,
        clip.end_seconds,
        stat.st_size,
        stat.st_mtime_ns,
    )


def _finished(shards: Sequence[Shard], folder: Path, decode: Decode | None) -> Iterator[Shard]:
    """The shards in any order, each when it is complete on the disk."""
    todo = []
    for shard in shards:
        if _is_complete(folder, shard):
            yield shard
        else:
            todo.append(shard)
    if decode is not None:
        yield from _written(todo, folder, decode)
    elif todo:
        with closing(DecoderPool(DECODER, keep=todo[0].settings.workers)) as pool:
            yield from _written(todo, folder, partial(decode_clip, pool))


def _awaited(shards: Sequence[Shard], folder: Path) -> Iterator[Shard]:
    for shard in shards:
        while not _is_complete(folder, shard):
            time.sleep(0.5)
        yield shard


def _written(shards: Sequence[Shard], folder: Path, decode: Decode) -> Iterator[Shard]:
    """Each thread waits for a decoding process, so as many processes as threads are busy."""
    workers = min(shards[0].settings.workers, len(shards)) if shards else 0
    if workers < 2:
        for shard in shards:
            _write(shard, folder, decode)
            yield shard
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(_write, shard, folder, decode): shard for shard in shards}
        for future in as_completed(futures):
            future.result()
            yield futures[future]


def _attempt(clip: Clip, settings: StoreSettings, decode: Decode) -> tuple[Pcm, str, str]:
    """Samples, or no samples with the kind and reason of the failure."""
    nothing = np.zeros(0, np.int16)
    try:
        pcm = decode(clip, settings.rate, settings.longest_seconds)
    except MediaError as error:
        return nothing, "broken", error.reason
    if len(pcm) < settings.shortest_seconds * settings.rate:
        return nothing, "empty", f"has only {len(pcm) / settings.rate:.2f} s of sound"
    return pcm, "", ""


def _write(shard: Shard, folder: Path, decode: Decode) -> None:
    """Data first, index last, both by renaming: a shard with an index is complete."""
    temporary = folder / f"{shard.name}.{os.getpid()}.part"
    digest, rows, offset = hashlib.sha256(), [], 0
    try:
        with temporary.open("wb") as out:
            for clip in shard.clips:
                pcm, kind, reason = _attempt(clip, shard.settings, decode)
                out.write(pcm.tobytes())
                digest.update(pcm.tobytes())
                row = {"file": clip.name, "offset": offset, "samples": len(pcm)}
                rows.append(row | {"kind": kind, "reason": reason})
                offset += len(pcm)
        temporary.replace(folder / f"{shard.name}.i16")
        index = {"version": VERSION, "samples": offset, "sha256": digest.hexdigest(), "clips": rows}
        temporary.write_text(json.dumps(index))
        temporary.replace(folder / f"{shard.name}.json")
    finally:
        temporary.unlink(missing_ok=True)


# Reading


def _index(folder: Path, shard: Shard) -> dict[str, Any] | None:
    try:
        index: dict[str, Any] = json.loads((folder / f"{shard.name}.json").read_text())
    except (OSError, ValueError):
        return None
    return index


def _is_complete(folder: Path, shard: Shard) -> bool:
    index, data = _index(folder, shard), folder / f"{shard.name}.i16"
    return index is not None and data.is_file() and data.stat().st_size == 2 * index["samples"]


def _open(shards: Sequence[Shard], folder: Path, rate: int) -> Store:
    columns: list[tuple[int, int, int]] = []
    skipped: list[SkippedEntry] = []
    digest = hashlib.sha256()
    for number, shard in enumerate(shards):
        index = _index(folder, shard)
        if index is None:
            raise StorageError(f"{folder}: shard {shard.name} has disappeared; start again")
        digest.update(index["sha256"].encode())
        columns += [(number, row["offset"], row["samples"]) for row in index["clips"]]
        failed = (row for row in index["clips"] if row["kind"])
        skipped += [SkippedEntry(row["file"], row["kind"], row["reason"]) for row in failed]
    table = np.array(columns, np.int64).reshape(-1, 3)
    files = tuple(folder / f"{shard.name}.i16" for shard in shards)
    return Store(
        rate, files, table[:, 0], table[:, 1], table[:, 2], tuple(skipped), digest.hexdigest()
    )
