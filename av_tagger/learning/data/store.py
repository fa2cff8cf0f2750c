"""The waveform store: every clip decoded once into memory-mapped int16 shards that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, StorageError
from av_tagger.learning.data.manifests import Skipped
from av_tagger.protocols import DecodeRequest, MediaBackend
from av_tagger.settings import fingerprint

Pcm = NDArray[np.int16]
Decode = Callable[[Clip, int, float], Pcm]  # clip, rate in Hz, longest in seconds
Progress = Callable[[int, int], None]  # clips done, clips in all

VERSION = 1
DECODER = "pyav"
FULL_SCALE = 32_767  # int16: -98 dB of noise, far below any recording, at half the size of float32


@dataclass(frozen=True)
class StoreSettings:
    """How clips are kept; all of it shapes the stored numbers except `workers`."""

    rate: int = 20_000  # Hz
    longest_seconds: float = 60.0  # more of a long file than this is not kept
    shortest_seconds: float = 0.1
    shard_clips: int = 64
    workers: int = 1  # decoding processes


@dataclass(frozen=True)
class Shard:
    """A run of clips that are stored together; its name changes with everything that shapes its content."""

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
    """All clips that were asked for, in order; a clip that could not be decoded has no samples and a reason."""

    rate: int
    files: tuple[Path, ...]  # one a shard
    shard: NDArray[np.int64]  # (clips,) which file
    offset: NDArray[np.int64]  # (clips,) first sample in it
    samples: NDArray[np.int64]  # (clips,) how many
    skipped: tuple[Skipped, ...]
    sha256: str  # over all shards

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, clip: int, start: int = 0, count: int | None = None) -> Pcm:
        """Samples of one clip, mapped from the disk and not yet copied."""
        first = int(self.offset[clip]) + start
        last = int(self.offset[clip] + self.samples[clip])
        return self._maps[int(self.shard[clip])][
            first : last if count is None else min(first + count, last)
        ]

    @cached_property
    def _maps(self) -> list[Pcm]:
        return [
            np.memmap(f, np.int16, "r") if f.stat().st_size else np.zeros(0, np.int16)
            for f in self.files
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value for key, value in self.__dict__.items() if key != "_maps"
        }  # a worker maps the files itself


def build_store(
    clips: Sequence[Clip],
    folder: Path,
    settings: StoreSettings,
    *,
    progress: Progress | None = None,
    decode: Decode | None = None,
    patient: bool = False,
) -> Store:
    """Decode what is not yet in `folder` and open the whole; killed at any point, it goes on where it was.

    A patient process waits for another that decodes the same clips.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shards = [
            Shard(tuple(clips[i : i + settings.shard_clips]), settings)
            for i in range(0, len(clips), settings.shard_clips)
        ]
        done = 0
        finished = (
            _awaited(shards, folder)
            if patient
            else _finished(shards, folder, decode or decode_clip)
        )
        for shard in finished:
            done += len(shard.clips)
            if progress:
                progress(done, len(clips))
        return _open(shards, folder, settings.rate)
    except OSError as error:
        raise StorageError(
            f"{folder}: the waveform store cannot be written ({error.strerror or error}); free some space"
        ) from error


def decode_clip(
    clip: Clip, rate: int, longest_seconds: float, backend: MediaBackend | None = None
) -> Pcm:
    """The sound of a clip at `rate`, at most `longest_seconds` of it, in one window."""
    if backend is None:
        from av_tagger.media.backend import make_backend  # decoders load where decoding happens

        backend = make_backend(DECODER)
    request = DecodeRequest(
        audio_rate=rate, short_side=None, window_seconds=longest_seconds, overlap_seconds=0.0
    )
    first = next(iter(backend.windows(clip, request)), None)
    if first is None or first.waveform is None:
        raise MediaError(clip.path, "has no sound to learn from")
    seconds = (
        longest_seconds
        if clip.end_seconds is None
        else min(longest_seconds, clip.end_seconds - first.waveform.start_seconds)
    )
    samples = first.waveform.samples[
        : round(seconds * rate)
    ]  # a decoder may hand out the rest of a packet
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


def _finished(shards: Sequence[Shard], folder: Path, decode: Decode) -> Iterator[Shard]:
    """Every shard once it is whole on the disk, in any order."""
    todo = []
    for shard in shards:
        if _is_whole(folder, shard):
            yield shard
        else:
            todo.append(shard)
    workers = min(todo[0].settings.workers, len(todo)) if todo else 0
    yield from (
        _written_in_parallel(todo, folder, decode, workers)
        if workers > 1
        else _written(todo, folder, decode)
    )


def _awaited(shards: Sequence[Shard], folder: Path) -> Iterator[Shard]:
    for shard in shards:
        while not _is_whole(folder, shard):
            time.sleep(0.5)
        yield shard


def _written(shards: Sequence[Shard], folder: Path, decode: Decode) -> Iterator[Shard]:
    for shard in shards:
        _write(shard, folder, decode)
        yield shard


def _written_in_parallel(
    shards: Sequence[Shard], folder: Path, decode: Decode, workers: int
) -> Iterator[Shard]:
    left = {shard.name: shard for shard in shards}
    with _pool(workers) as pool:
        futures = {pool.submit(_write, shard, folder, decode): shard for shard in shards}
        for future in as_completed(futures):
            try:
                future.result()
            except BrokenProcessPool:  # a decoder crashed, and took the shards in flight with it
                break
            yield left.pop(futures[future].name)
    for shard in left.values():
        fatal = frozenset(
            i for i, clip in enumerate(shard.clips) if not _survives(clip, shard.settings, decode)
        )
        _write(shard, folder, decode, fatal)
        yield shard


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _survives(clip: Clip, settings: StoreSettings, decode: Decode) -> bool:
    """Whether a process of its own outlives decoding this clip."""
    with _pool(1) as pool:
        try:
            return pool.submit(partial(_attempt, clip, settings, decode)).exception() is None
        except BrokenProcessPool:
            return False


def _attempt(clip: Clip, settings: StoreSettings, decode: Decode) -> tuple[Pcm, str, str]:
    """Samples, or none and the kind and reason of the failure."""
    nothing = np.zeros(0, np.int16)
    try:
        pcm = decode(clip, settings.rate, settings.longest_seconds)
    except MediaError as error:
        return nothing, "broken", error.reason
    if len(pcm) < settings.shortest_seconds * settings.rate:
        return nothing, "empty", f"holds only {len(pcm) / settings.rate:.2f} s of sound"
    return pcm, "", ""


def _write(shard: Shard, folder: Path, decode: Decode, fatal: frozenset[int] = frozenset()) -> None:
    """Data first, index last, both by renaming: the index is the mark that the shard is whole."""
    temporary = folder / f"{shard.name}.{os.getpid()}.part"
    digest, rows, offset = hashlib.sha256(), [], 0
    try:
        with temporary.open("wb") as out:
            for i, clip in enumerate(shard.clips):
                crashed = np.zeros(0, np.int16), "broken", "crashes the decoder"
                pcm, kind, reason = (
                    crashed if i in fatal else _attempt(clip, shard.settings, decode)
                )
                out.write(pcm.tobytes())
                digest.update(pcm.tobytes())
                rows.append(
                    {
                        "file": clip.name,
                        "offset": offset,
                        "samples": len(pcm),
                        "kind": kind,
                        "reason": reason,
                    }
                )
                offset += len(pcm)
        temporary.replace(folder / f"{shard.name}.i16")
        temporary.write_text(
            json.dumps(
                {"version": VERSION, "samples": offset, "sha256": digest.hexdigest(), "clips": rows}
            )
        )
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


def _is_whole(folder: Path, shard: Shard) -> bool:
    index, data = _index(folder, shard), folder / f"{shard.name}.i16"
    return index is not None and data.is_file() and data.stat().st_size == 2 * index["samples"]


def _open(shards: Sequence[Shard], folder: Path, rate: int) -> Store:
    columns: list[tuple[int, int, int]] = []
    skipped: list[Skipped] = []
    digest = hashlib.sha256()
    for number, shard in enumerate(shards):
        index = _index(folder, shard)
        if index is None:
            raise StorageError(
                f"{folder}: shard {shard.name} vanished while the store was opened; start again"
            )
        digest.update(index["sha256"].encode())
        columns += [(number, row["offset"], row["samples"]) for row in index["clips"]]
        skipped += [
            Skipped(row["file"], row["kind"], row["reason"])
            for row in index["clips"]
            if row["kind"]
        ]
    table = np.array(columns, np.int64).reshape(-1, 3)
    files = tuple(folder / f"{shard.name}.i16" for shard in shards)
    return Store(
        rate, files, table[:, 0], table[:, 1], table[:, 2], tuple(skipped), digest.hexdigest()
    )
